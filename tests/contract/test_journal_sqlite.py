"""What our journal in SQLite promises beyond its port: the audit, and how it fails."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.adapters.store import SqlJournal, audit_journal, open_store
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.damage import engine_of
from tests.contract.test_journal import CLOSED, OPEN, note, opened, seq


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


TAMPERING = {
    "edited body": (
        """UPDATE events SET body = replace(body, 'three', 'xxxxx') WHERE seq = 3""",
        ["inc-1: entry 3 is not what was written"],
    ),
    "edited actor": (
        """UPDATE events SET "by" = 'eve' WHERE seq = 2""",
        ["inc-1: entry 2 is not what was written"],
    ),
    "edited label": (
        "UPDATE events SET kind = 'StepApproved' WHERE seq = 2",
        ["inc-1: entry 2 is not what was written"],
    ),
    "removed in the middle": (
        "DELETE FROM events WHERE seq = 3",
        ["inc-1: entry 3 missing before entry 4"],
    ),
    "removed and renumbered": (
        "DELETE FROM events WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = 4;"
        "UPDATE events SET seq = 4 WHERE seq = 5; UPDATE heads SET seq = 4",
        [
            *(f"inc-1: entry {n} is not what was written" for n in (3, 4)),
            "inc-1: the ledger says 5 entries (row 1), the journal ends with entry 4",
        ],
    ),
    "reordered": (
        "UPDATE events SET seq = 9 WHERE seq = 2; UPDATE events SET seq = 2 WHERE seq = 3;"
        "UPDATE events SET seq = 3 WHERE seq = 9",
        [f"inc-1: entry {n} is not what was written" for n in (2, 3, 4)],
    ),
    "truncated tail": (
        "DELETE FROM events WHERE seq > 3",
        ["inc-1: the head says 5 entries, the journal ends with entry 3"],
    ),
    "head removed": (
        "DELETE FROM heads",
        ["inc-1: the head row is missing; the journal holds 5 entries"],
    ),
    "all entries removed": (
        "DELETE FROM events",
        ["inc-1: the head says 5 entries, the journal ends with entry 0"],
    ),
}


async def with_page_limit(journal: SqlJournal, pages: int) -> None:
    """Make the disk as small as that for the writer: SQLite's own way to be full."""
    writer = engine_of(journal.database)
    assert writer is not None
    with writer.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        connection.commit()


class TestSqlite:
    """What is this store's own: the audit over its columns, and its failures."""

    @pytest.mark.parametrize("case", TAMPERING)
    async def test_the_audit_finds_tampering(self, path: Path, case: str) -> None:
        script, breaks = TAMPERING[case]
        async with open_store(path) as store:
            words = ("one", "two", "three", "four", "five")
            await store.journal.open("inc-1", "k", [note(word) for word in words], OPEN)
            assert (await audit_journal(store.journal)).breaks == []
        with closing(sqlite3.connect(path)) as shell:
            shell.executescript(script)
        async with open_store(path, readonly=True) as store:
            assert [str(found) for found in (await audit_journal(store.journal)).breaks] == breaks

    async def test_an_entry_of_a_newer_vocabulary_is_named(self, path: Path) -> None:
        async with open_store(path) as store:
            await opened(store.journal, "inc-1")
        with closing(sqlite3.connect(path)) as shell:
            shell.executescript("""UPDATE events SET body = '{"kind":"Teleported"}'""")
        async with open_store(path) as store:
            with pytest.raises(Permanent, match="entry 1 of inc-1 cannot be read"):
                await store.journal.read("inc-1")

    async def test_a_full_disk_is_temporary_and_leaves_nothing(self, path: Path) -> None:
        async with open_store(path) as store:
            journal = store.journal
            await opened(journal, "inc-1")
            await with_page_limit(journal, 1)
            with pytest.raises(Temporary, match=r"the disk of .*stopgap\.db is full; free some"):
                await journal.append("inc-1", 1, [note("small"), note("x" * 200_000)], CLOSED)
            with pytest.raises(Temporary):
                await journal.open("inc-2", "k2", [note("x" * 200_000)], OPEN)
            assert await seq(journal, "inc-1") == 1
            assert [h.closed_at for h in await journal.heads(9)] == [None]
            await with_page_limit(journal, 100_000)
            await journal.append("inc-1", 1, [note("x" * 200_000)], CLOSED)
            assert (await audit_journal(journal)).breaks == []

    async def test_a_held_file_is_temporary(self, path: Path) -> None:
        async with open_store(path) as store:
            writer = engine_of(store.journal.database)
            assert writer is not None
            with writer.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout = 1")
                connection.commit()
            with closing(sqlite3.connect(path, isolation_level=None)) as shell:
                shell.execute("BEGIN IMMEDIATE")
                with pytest.raises(Temporary, match="is held by another program"):
                    await opened(store.journal, "inc-1")
            await opened(store.journal, "inc-1")

    async def test_readers_do_not_wait_for_a_writer(self, path: Path) -> None:
        async with open_store(path) as store:
            await opened(store.journal, "inc-1")
            with closing(sqlite3.connect(path, isolation_level=None)) as shell:
                shell.execute("BEGIN IMMEDIATE")
                assert await seq(store.journal, "inc-1") == 1
