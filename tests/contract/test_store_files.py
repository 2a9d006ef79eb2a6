"""The files of a store: nobody else reads them, and one daemon alone works on the database, by
whatever name it came to it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from daemon.adapters.store import open_store
from daemon.adapters.store.file_modes import found_open, tighten
from daemon.adapters.store.process_lock import held, held_itself
from daemon.core.values.outcome import Permanent
from daemon.reporting.reviews import Reviews, _write

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
IN_USE = "in use by another daemon"


@pytest.fixture(autouse=True)
def umask_of_nothing() -> Iterator[None]:
    """As permissive as it gets."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


def modes(folder: Path) -> dict[str, str]:
    """The files in a folder with their modes, in octal."""
    return {each.name: f"{stat.S_IMODE(each.stat().st_mode):o}" for each in folder.iterdir()}


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def give(path: Path, mode: int) -> None:
    """Let the file have that mode, whoever it belongs to."""
    path.touch()
    path.chmod(mode)


async def runs(code: str, path: Path) -> str:
    """What another process prints that runs this code on the database."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(path)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


@contextmanager
def had(path: Path) -> Iterator[None]:
    """A daemon has the database of that name."""
    with held(path) as real, held_itself(real):
        yield


def locked(path: Path) -> str:
    """Why a second daemon may not have the database of that name; empty if it may."""
    try:
        with had(path):
            return ""
    except Permanent as error:
        return str(error)


class TestModes:
    async def test_whatever_the_umask_is_nobody_else_reads_a_store(self, path: Path) -> None:
        async with open_store(path) as store:
            await store.inbox.put("a", b"{}", NOW)
            assert modes(path.parent) == {
                "stopgap.db": "600",
                "stopgap.db-wal": "600",
                "stopgap.db-shm": "600",
                "stopgap.db.lock": "600",
                "stopgap.db.made": "600",
                "stopgap.db.owed": "600",
            }

    async def test_a_folder_that_is_made_for_it_is_private(self, tmp_path: Path) -> None:
        path = tmp_path / "state" / "stopgap.db"
        async with open_store(path):
            pass
        assert modes(tmp_path) == {"state": "700"}

    async def test_a_folder_above_it_that_is_missing_is_a_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(Permanent, match=r"there is no folder .*/vra, so none is made in it"):
            async with open_store(tmp_path / "vra" / "lib" / "stopgap.db"):
                pass

    async def test_a_store_from_before_is_closed_to_others_and_that_is_told(
        self, path: Path
    ) -> None:
        async with open_store(path) as store:
            await store.inbox.put("a", b"{}", NOW)
        copy, log = path.with_name("stopgap.db.bak"), path.with_name("stopgap.db-wal")
        elsewhere = path.with_name("notes.txt")
        for each in (path, copy, log, elsewhere):
            give(each, 0o644)
        with structlog.testing.capture_logs() as logs:
            async with open_store(path):
                assert set(modes(path.parent).items()) - {("notes.txt", "644")} == {
                    (name, "600")
                    for name in (
                        "stopgap.db",
                        "stopgap.db-wal",
                        "stopgap.db-shm",
                        "stopgap.db.bak",
                        "stopgap.db.lock",
                        "stopgap.db.made",
                        "stopgap.db.owed",
                    )
                }
        assert modes(path.parent)["notes.txt"] == "644"
        [told] = logs
        assert told["event"] == "others could read the store; its files are private now"
        assert told["files"] == [
            "stopgap.db (0644)",
            "stopgap.db-wal (0644)",
            "stopgap.db.bak (0644)",
        ]
        assert "`stopgap keys rotate --revoke`" in told["mend"]

    async def test_what_cannot_be_closed_is_told_with_the_mend_and_does_not_stop_a_start(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with open_store(path):
            pass
        give(path, 0o640)

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "chmod", refused)
        with structlog.testing.capture_logs() as logs:
            async with open_store(path) as store:
                assert await store.inbox.put("a", b"{}", NOW) is True
        [told] = logs
        assert told["event"] == "others can read the store, and this user may not change that"
        assert told["log_level"] == "error"
        assert told["files"] == ["stopgap.db (0640)"]
        assert told["mend"] == f"as their owner or root: chmod 600 {path}"

    async def test_a_folder_in_which_others_may_write_is_told_and_left_alone(
        self, path: Path
    ) -> None:
        give(path.parent, 0o777)
        with structlog.testing.capture_logs() as logs:
            async with open_store(path):
                pass
        [told] = logs
        assert told["event"] == "others can write in the folder of the store"
        assert told["mend"] == f"chmod go-w {path.parent}"
        assert modes(path.parent.parent)[path.parent.name] == "777"

    def test_links_to_other_files_are_left_alone(self, path: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.touch(mode=0o644)
        path.with_name("stopgap.db.old").symlink_to(other)
        path.touch(mode=0o600)
        assert found_open(path) == []
        tighten(path)
        assert other.stat().st_mode & 0o777 == 0o644

    async def test_tools_that_only_read_change_no_mode(self, path: Path) -> None:
        async with open_store(path):
            pass
        give(path, 0o644)
        async with open_store(path, readonly=True):
            assert modes(path.parent)["stopgap.db"] == "644"


def test_reviews_are_private_and_so_is_a_folder_that_is_made_for_them(tmp_path: Path) -> None:
    reviews = Reviews(tmp_path / "reviews")
    _write(reviews.path("inc-1"), "what happened")
    assert (modes(tmp_path), modes(reviews.folder)) == ({"reviews": "700"}, {"inc-1.md": "600"})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_what_root_makes_belongs_to_the_daemons_user(path: Path) -> None:
    os.chown(path.parent, 4711, 4711)
    async with open_store(path) as store:
        await store.inbox.put("a", b"{}", NOW)
        assert {each.stat().st_uid for each in files(path.parent)} == {4711}


class TestOneDaemon:
    """What a second daemon is told by a name of the database that the first does not have."""

    def test_by_the_same_name(self, path: Path) -> None:
        with had(path):
            assert f"{IN_USE}, process {os.getpid()};" in locked(path)
        assert locked(path) == ""

    def test_by_a_symbolic_link_to_the_file(self, path: Path) -> None:
        link = path.with_name("link.db")
        link.symlink_to(path.name)
        with had(path):
            assert f"{IN_USE}, process {os.getpid()};" in locked(link)
        with had(link):
            assert f"{IN_USE}, process {os.getpid()};" in locked(path)
        assert not link.with_name("link.db.lock").exists()

    def test_by_a_link_to_its_folder_and_by_another_way_to_it(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "alias").symlink_to("real")
        with had(tmp_path / "real" / "stopgap.db"):
            assert IN_USE in locked(tmp_path / "alias" / "stopgap.db")
            assert IN_USE in locked(tmp_path / "alias" / ".." / "real" / "stopgap.db")
            assert IN_USE in locked(Path(os.path.relpath(tmp_path / "real" / "stopgap.db")))

    def test_by_a_hard_link(self, path: Path, tmp_path: Path) -> None:
        other = tmp_path / "other" / "name.db"
        other.parent.mkdir()
        path.touch()
        os.link(path, other)
        with had(path):
            told = locked(other)
            assert f"{other} is in use by another daemon, which has it by another name" in told
            assert f"`lsof {other}` names its process" in told
        assert locked(other) == ""

    def test_by_its_new_name_after_it_was_moved(self, path: Path) -> None:
        moved = path.with_name("moved.db")
        with had(path):
            path.rename(moved)
            assert "which has it by another name" in locked(moved)
            assert f"process {os.getpid()};" in locked(path)  # and no new one at the old place
        assert locked(moved) == ""

    def test_by_its_own_name_after_somebody_removed_the_lock_file(self, path: Path) -> None:
        with had(path):
            path.with_name("stopgap.db.lock").unlink()
            assert IN_USE in locked(path)

    def test_after_somebody_put_another_file_in_its_place_that_is_another_database(
        self, path: Path
    ) -> None:
        with had(path):
            path.rename(path.with_name("gone.db"))
            path.with_name("stopgap.db.lock").unlink()
            assert locked(path) == ""

    async def test_the_lock_leaves_sqlites_own_locks_alone(self, path: Path) -> None:
        """Closing any descriptor of a file drops all POSIX locks that the process has on it."""
        async with open_store(path) as store:
            await store.inbox.put("a", b"{}", NOW)
            other = path.with_name("other.db")
            os.link(path, other)
            assert IN_USE in await runs(REFUSED, other)
            # As long as the daemon is connected, nobody can have the file for themselves alone.
            assert await runs(ALONE, path) == "database is locked\n"
            assert await store.inbox.put("b", b"{}", NOW) is True
        with closing(sqlite3.connect(path)) as shell:
            assert shell.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert shell.execute("SELECT count(*) FROM inbox").fetchone() == (2,)

    async def test_a_database_with_two_names_is_told_at_the_start(self, path: Path) -> None:
        async with open_store(path):
            pass
        os.link(path, path.with_name("second.db"))
        with structlog.testing.capture_logs() as logs:
            async with open_store(path):
                pass
        [told] = logs
        assert told["event"] == "the database has more than one name (hard links)"
        assert "its latest entries are in the -wal file of one name" in told["mend"]


REFUSED = """
import sys
from pathlib import Path
from daemon.adapters.store.process_lock import held, held_itself
try:
    with held(Path(sys.argv[1])) as real, held_itself(real):
        pass
except Exception as error:
    print(error)
"""
ALONE = """
import sqlite3, sys
shell = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    shell.execute("PRAGMA journal_mode = DELETE")
except sqlite3.OperationalError as error:
    print(error)
"""
