"""`stopgap store`: check a store, back it up beside a daemon, restore it from what is whole."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.adapters.store import (
    audit_journal,
    backup_store,
    check_store,
    open_store,
    restore_store,
)
from daemon.cli import stopgap
from daemon.core.values.outcome import Permanent
from tests.contract.damage import beside, copy_of, damage, delete, holds_something, put_back
from tests.contract.test_inbox import NOW
from tests.contract.test_journal import CLOSED, note, opened, seq
from tests.contract.test_journal_upgrade import SCHEMA_1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "one.db"


async def fill(path: Path, *incidents: str) -> None:
    async with open_store(path) as store:
        await opened(store.journal, *incidents)
        await store.journal.open("long", "long", [note("needle" * 2000)], CLOSED)


async def incidents(path: Path) -> list[str]:
    async with open_store(path, readonly=True) as store:
        assert (await audit_journal(store.journal)).breaks == []
        return sorted(head.incident for head in await store.journal.heads(99))


def beside_it(target: Path) -> list[str]:
    return sorted(file.name for file in target.parent.iterdir())


def private(target: Path) -> bool:
    return not target.stat().st_mode & 0o077


def owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


class TestCheck:
    async def test_a_whole_store_beside_its_daemon(self, path: Path) -> None:
        await fill(path, "inc-1")
        async with open_store(path):
            assert await check_store(path) == []

    async def test_a_damaged_page(self, path: Path) -> None:
        await fill(path, "inc-1")
        damage(path, b"needle" * 100)
        assert await check_store(path)

    async def test_an_edited_entry(self, path: Path) -> None:
        await fill(path, "inc-1")
        with closing(sqlite3.connect(path)) as shell, shell:
            shell.execute("UPDATE events SET \"by\" = 'eve' WHERE incident = 'inc-1'")
        assert await check_store(path) == ["inc-1: entry 1 is not what was written"]

    async def test_what_is_no_store(self, path: Path) -> None:
        with pytest.raises(Permanent, match="there is no journal at"):
            await check_store(path)
        with closing(sqlite3.connect(path)) as shell, shell:
            shell.execute("CREATE TABLE songs (title TEXT)")
        with pytest.raises(Permanent, match="not a journal of stopgap"):
            await check_store(path)


class TestBackup:
    async def test_it_is_one_whole_file_of_one_moment_while_the_daemon_writes(
        self, path: Path, target: Path
    ) -> None:
        async with open_store(path) as store:
            await opened(store.journal, "inc-1")
            done = asyncio.Event()

            async def writes() -> None:
                number = 0
                while not done.is_set():
                    number += 1
                    await store.inbox.put(f"delivery {number}", b"x" * 2000, NOW)
                    await store.journal.append("inc-1", number, [note(f"{number}")], CLOSED)

            writing = asyncio.create_task(writes())
            await asyncio.sleep(0)
            await backup_store(path, target)
            done.set()
            await writing
            assert await seq(store.journal, "inc-1") > 1
        assert beside_it(target) == ["one.db"]
        assert private(target)
        assert await check_store(target) == []
        assert beside_it(target) == ["one.db"]
        assert await incidents(target) == ["inc-1"]

    async def test_nothing_is_overwritten(self, path: Path, target: Path) -> None:
        await fill(path, "inc-1")
        await backup_store(path, target)
        before = copy_of(target)
        with pytest.raises(Permanent, match="name another file"):
            await backup_store(path, target)
        assert copy_of(target) == before

    async def test_of_a_damaged_store_there_is_no_backup(self, path: Path, target: Path) -> None:
        await fill(path, "inc-1")
        damage(path, b"needle" * 100)
        with pytest.raises(Permanent, match="is not whole, so it was not copied"):
            await backup_store(path, target)
        assert beside_it(target) == []

    async def test_a_folder_that_is_not_there(self, path: Path, tmp_path: Path) -> None:
        await fill(path, "inc-1")
        with pytest.raises(Permanent, match="make that folder"):
            await backup_store(path, tmp_path / "nowhere" / "one.db")


class TestRestore:
    async def test_the_store_is_as_the_backup_was_and_what_was_there_is_kept(
        self, path: Path, target: Path
    ) -> None:
        await fill(path, "inc-1")
        await backup_store(path, target)
        await fill_more(path)
        assert await restore_store(path, target) == beside(path, ".old-1")
        assert await incidents(path) == ["inc-1", "long"]
        assert await incidents(beside(path, ".old-1")) == ["inc-1", "inc-2", "long"]
        async with open_store(path) as store:
            await opened(store.journal, "inc-3")
        assert await restore_store(path, target) == beside(path, ".old-2")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    async def test_what_root_restores_belongs_to_the_daemons_user(
        self, path: Path, target: Path
    ) -> None:
        await fill(path, "inc-1")
        await backup_store(path, target)
        os.chown(path, 12345, 12346)
        await restore_store(path, target)
        assert owner(path) == (12345, 12346)

    async def test_not_while_a_daemon_runs(self, path: Path, target: Path) -> None:
        await fill(path, "inc-1")
        await backup_store(path, target)
        async with open_store(path) as store:
            with pytest.raises(Permanent, match="in use by another daemon"):
                await restore_store(path, target)
            assert store.journal.database.backend.lost() == ""

    @pytest.mark.parametrize("how", ["damaged", "edited", "not ours", "newer"])
    async def test_a_bad_backup_is_refused_and_the_store_is_as_it_was(
        self, path: Path, target: Path, how: str
    ) -> None:
        await fill(path, "inc-1")
        await backup_store(path, target)
        script = {
            "damaged": "",
            "edited": "UPDATE events SET \"by\" = 'eve' WHERE incident = 'inc-1'",
            "not ours": "DROP TABLE meta",
            "newer": "UPDATE meta SET value = '999' WHERE name IN ('schema', 'compatible')",
        }[how]
        if script:
            with closing(sqlite3.connect(target)) as shell, shell:
                shell.execute(script)
        else:
            damage(target, b"needle" * 100)
        before = copy_of(path)
        with pytest.raises(Permanent, match=r"is not whole|not a journal|newer stopgap"):
            await restore_store(path, target)
        assert copy_of(path) == before
        assert not holds_something(beside(path, ".old-1"))
        assert not [name for name in beside_it(path) if "part" in name]

    async def test_over_a_store_that_is_missing_or_no_database(
        self, path: Path, target: Path
    ) -> None:
        await fill(path, "inc-1")
        await backup_store(path, target)
        delete(path)
        assert await restore_store(path, target) is None
        put_back(path, b"not a database at all, " * 999)
        aside = await restore_store(path, target)
        assert aside is not None
        assert copy_of(aside).startswith(b"not a database")
        assert await incidents(path) == ["inc-1", "long"]

    async def test_a_backup_of_an_earlier_stopgap_is_brought_up(
        self, path: Path, target: Path
    ) -> None:
        with closing(sqlite3.connect(target)) as shell:
            shell.executescript(SCHEMA_1)
        assert await restore_store(path, target) is None
        assert await incidents(path) == []

    async def test_the_store_is_no_backup_of_itself(self, path: Path) -> None:
        await fill(path, "inc-1")
        with pytest.raises(Permanent, match="is the store itself"):
            await restore_store(path, path)


async def fill_more(path: Path) -> None:
    async with open_store(path) as store:
        await opened(store.journal, "inc-2")


class TestCommands:
    """What a person sees."""

    def run(self, *words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(stopgap, ["store", *words], catch_exceptions=True)
        said = ended.output + str(ended.exception or "")
        assert (ended.exit_code == 0) == (code == 0), said
        return said

    def test_from_a_backup_to_its_restoration(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        asyncio.run(fill(path, "inc-1"))
        assert "stopgap.db is whole" in self.run("check")
        (tmp_path / "backups").mkdir()
        made = json.loads(self.run("backup", "backups", "--json"))["backup"]
        assert made.startswith("backups/stopgap-20")
        assert f"{made} is whole" in self.run("check", made)
        damage(path, b"needle" * 100)
        said = self.run("check", code=1)
        assert "When the store is damaged" in said
        found = json.loads(self.run("check", "--json", code=1).splitlines()[0])
        assert (found["whole"], len(found["findings"]) > 0) == (False, True)
        said = self.run("restore", made)
        assert f"stopgap.db is restored from {made}" in said
        assert "stopgap.db.old-1 now" in said
        assert "stopgap.db is whole" in self.run("check")

    def test_a_folder_that_is_not_there_is_told_and_no_file_takes_its_name(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        asyncio.run(fill(path, "inc-1"))
        said = self.run("backup", "away/", code=1)
        assert "there is no folder away/: make it, or mount what belongs there" in said
        assert not (tmp_path / "away").exists()
