"""`stopgap store migrate`: everything moves to another database, or nothing does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, func, select
from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store import (
    PostgresAddress,
    Store,
    StorePlace,
    audit_journal,
    backup_store,
    copying,
    migrate_store,
    migrating,
    open_store,
    postgresql,
    take_back,
)
from daemon.adapters.store.copying import LEFT_BEHIND
from daemon.adapters.store.debts import DebtsFile
from daemon.adapters.store.open_store import backend_for
from daemon.adapters.store.replicas import SqlReplicas
from daemon.adapters.store.schema import metadata
from daemon.cli import stopgap
from daemon.core.incident import events as e
from daemon.core.incident.events import Draft
from daemon.core.ports.journal import Owed
from daemon.core.ports.replicas import Fence
from daemon.core.ports.store import StoreDown, StoreFailure
from daemon.core.recovery.guardrails import Freeze
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.seal import Keyring, Seal
from tests.journal_scenes import BEGIN, Night
from tests.postgresql import Server
from tests.store_content import fill_store

KEYRING = Keyring(Seal("a key that is long enough"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stopgap.db"


async def _fill(place: StorePlace) -> None:
    async with open_store(place, keyring=KEYRING) as store:
        await fill_store(store)


def _counts(place: StorePlace) -> dict[str, int]:
    transactions = backend_for(place).reading()
    try:
        with transactions.begin() as connection:
            return {name: _count(connection, one) for name, one in metadata.tables.items()}
    finally:
        transactions.dispose()


def _count(connection: Connection, one: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(one)).scalar_one())


async def _holds(store: Store) -> Mapping[str, Any]:
    """What a daemon would find in it."""
    assert (await audit_journal(store.journal)).breaks == []
    heads = await store.journal.heads(9)
    return {
        "entries": [await store.journal.read(head.incident) for head in heads],
        "heads": heads,
        "changes": await store.journal.changes("release:shop"),
        "marks": await store.journal.marks("release:shop"),
        "windows": await store.maintenance.windows_since(BEGIN),
        "overrides": await store.oncall.overrides(BEGIN),
        "swaps": await store.oncall.swaps(),
        "tokens": await store.credentials.tokens(),
        "sessions": await store.credentials.sessions(BEGIN),
        "waiting": await store.inbox.pending(9),
        "ended": await store.inbox.ended(["an alert"]),
        "note": await store.notes.read("a note"),
        "keys": store.keys.current,
        "anchor": await store.journal.anchor(),
    }


async def test_everything_comes_over_and_goes_back(
    file: Path, postgresql_place: PostgresAddress, tmp_path: Path
) -> None:
    await _fill(file)
    empty = [name for name, count in _counts(file).items() if not count and name not in LEFT_BEHIND]
    assert empty == [], "fill_store has to know every table, so that none is forgotten here"
    async with open_store(file, keyring=KEYRING) as store:
        before = await _holds(store)
    copied = await migrate_store(file, postgresql_place, KEYRING)
    assert {one.name for one in copied} == set(metadata.tables) - LEFT_BEHIND
    async with open_store(postgresql_place, keyring=KEYRING) as store:
        assert await _holds(store) == before
        await Night(store.journal, "inc-9", "search").open()
        await store.inbox.put("third", b"{}", BEGIN)
        after = await _holds(store)
    again = tmp_path / "back.db"
    await migrate_store(postgresql_place, again, KEYRING)
    async with open_store(again, keyring=KEYRING) as store:
        assert await _holds(store) == after


async def test_numbers_go_on_from_where_they_were(
    file: Path, postgresql_place: PostgresAddress
) -> None:
    await _fill(file)
    await migrate_store(file, postgresql_place, KEYRING)
    async with open_store(postgresql_place, keyring=KEYRING) as store:
        night = Night(store.journal, "inc-9", "search")
        await night.open()
        await night.act()  # a row of `actions`, whose number the database gives
        await store.inbox.put("third", b"{}", BEGIN)
        assert [name for name, _ in await store.inbox.pending(9)] == ["second", "third"]


async def test_the_source_stays_as_it_was_and_no_daemon_starts_on_it(
    file: Path, postgresql_place: PostgresAddress
) -> None:
    await _fill(file)
    counts = _counts(file)
    await migrate_store(file, postgresql_place, KEYRING)
    assert _counts(file) == {**counts, "meta": counts["meta"] + 1}
    with pytest.raises(Permanent, match=f"has moved to .*{postgresql_place}.*--undo"):
        await _fill(file)
    async with open_store(file, readonly=True) as store:
        assert await store.journal.heads(9), "it can still be looked at"
    with pytest.raises(Permanent, match="has moved to"):
        await migrate_store(file, file.with_name("other.db"), KEYRING)
    await take_back(file)
    async with open_store(file, keyring=KEYRING):
        assert _counts(file)["events"] == counts["events"]
    with pytest.raises(Permanent, match="nothing to undo"):
        await take_back(file)


async def test_a_target_with_something_in_it_is_refused_and_left_alone(
    file: Path, postgresql_place: PostgresAddress
) -> None:
    await _fill(file)
    async with open_store(postgresql_place) as store:
        await store.notes.write("mine", ["kept"])
    counts = _counts(postgresql_place)
    with pytest.raises(Permanent, match=r"is not empty, and has not what .* has: there are "):
        await migrate_store(file, postgresql_place, KEYRING)
    assert _counts(postgresql_place) == counts
    async with open_store(file, keyring=KEYRING):
        pass  # nothing has moved


async def test_no_daemon_may_run_on_either(
    file: Path, postgresql_place: PostgresAddress, tmp_path: Path
) -> None:
    async with open_store(file, keyring=KEYRING):
        with pytest.raises(Permanent, match="in use by another daemon"):
            await migrate_store(file, postgresql_place, KEYRING)
    async with open_store(postgresql_place):
        with pytest.raises(Permanent, match=r"is in use: .* connections of stopgap"):
            await migrate_store(file, postgresql_place, KEYRING)
        with pytest.raises(Permanent, match=r"is in use: .* connections of stopgap"):
            await migrate_store(postgresql_place, tmp_path / "new.db", KEYRING)
    assert not (tmp_path / "new.db").exists()


async def test_a_replica_that_is_cut_off_is_waited_for_and_then_kept_out(
    postgresql_place: PostgresAddress, tmp_path: Path
) -> None:
    """No connection tells of it, and it comes back: by its lease it may act until then, and
    whatever it would write after that would be left behind."""
    length = timedelta(minutes=1)
    async with open_store(postgresql_place, keyring=KEYRING) as store:
        await fill_store(store)
        register = SqlReplicas(
            store.journal.database, Fence("cut-off", "1"), "1", length, lambda: BEGIN
        )
        assert await register.join("", BEGIN)
        night = Night(store.journal, "inc-9", "search")
        await night.open()
        # As if the network were gone: the server has ended its connections.
        await asyncio.to_thread(_end_connections, postgresql_place)
        with pytest.raises(Permanent, match=r"the replica cut-off has a lease .* for another \d"):
            await migrate_store(postgresql_place, tmp_path / "new.db", KEYRING)
        await asyncio.to_thread(_execute, postgresql_place, "UPDATE replicas SET lease_until = ''")
        await migrate_store(postgresql_place, tmp_path / "new.db", KEYRING)
        # It is there again, with all the connections that it likes.
        with pytest.raises(StoreDown, match="takes nothing any more: stop this daemon") as refused:
            await night.act()
        assert refused.value.fault == "gone"
        with pytest.raises(StoreDown):
            await register.renew("", BEGIN)
        with pytest.raises(StoreDown):
            await store.inbox.put("late", b"{}", BEGIN)
        await asyncio.to_thread(_end_connections, postgresql_place)
        await take_back(postgresql_place)
        await night.act()


def _execute(place: PostgresAddress, statement: str) -> None:
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _end_connections(place: PostgresAddress) -> None:
    _execute(
        place,
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


async def test_a_path_that_is_wrong_makes_no_file(tmp_path: Path) -> None:
    missing = tmp_path / "stopgpa.db"
    for wanted in (take_back(missing), migrate_store(missing, tmp_path / "new.db", KEYRING)):
        with pytest.raises(Permanent, match=r"there is no journal at .*stopgpa"):
            await wanted
    (tmp_path / "other.db").write_bytes(b"")
    with pytest.raises(Permanent, match="is a database, but not a journal of stopgap"):
        await take_back(tmp_path / "other.db")
    assert sorted(name for name in os.listdir(tmp_path) if not name.endswith(".lock")) == [
        "other.db"
    ]


async def test_a_source_that_was_edited_is_not_copied(
    file: Path, postgresql_place: PostgresAddress
) -> None:
    await _fill(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE events SET body = replace(body, 'checkout', 'chequout')")
    with pytest.raises(Permanent, match="is not whole, so nothing was copied"):
        await migrate_store(file, postgresql_place, KEYRING)
    assert _counts(postgresql_place)["events"] == 0


async def test_what_comes_over_otherwise_is_found_and_nothing_is_kept(
    file: Path, postgresql_place: PostgresAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(file)
    copy = copying._copy

    def falsified(source: Connection, target: Connection, one: Table, progress: Any) -> Any:
        done = copy(source, target, one, progress)
        if one.name == "marks":
            target.exec_driver_sql("UPDATE marks SET mark = 'healthy'")
        return done

    monkeypatch.setattr(copying, "_copy", falsified)
    with pytest.raises(Permanent, match="marks has 4 rows here and 4 there, digests"):
        await migrate_store(file, postgresql_place, KEYRING)
    monkeypatch.undo()
    assert _counts(postgresql_place)["events"] == 0
    await migrate_store(file, postgresql_place, KEYRING)


async def test_a_file_that_was_begun_is_gone_if_it_fails(
    postgresql_place: PostgresAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(postgresql_place)

    def broken(*_: Any) -> None:
        raise Permanent("no")

    monkeypatch.setattr(copying, "_count_on", broken)
    with pytest.raises(Permanent, match="no"):
        await migrate_store(postgresql_place, tmp_path / "new.db", KEYRING)
    assert not [name for name in os.listdir(tmp_path) if not name.endswith(".lock")]


async def test_a_move_that_was_ended_before_it_was_noted_goes_on(
    file: Path, postgresql_place: PostgresAddress
) -> None:
    """As by kill -9: all is in the target, and the source does not know."""
    await _fill(file)
    first = await migrate_store(file, postgresql_place, KEYRING)
    await take_back(file)
    assert await migrate_store(file, postgresql_place, KEYRING) == first
    with pytest.raises(Permanent, match="has moved to"):
        await _fill(file)
    await take_back(file)
    async with open_store(postgresql_place, keyring=KEYRING) as store:
        await Night(store.journal, "inc-9", "search").open()
    with pytest.raises(Permanent, match="is not empty, and has not what"):
        await migrate_store(file, postgresql_place, KEYRING)


DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from daemon.adapters.store import PostgresAddress, migrate_store
from daemon.core.values.seal import Keyring, Seal

def place(text):
    return PostgresAddress(text) if "://" in text else Path(text)

def dies(name, rows):
    if name == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

keyring = Keyring(Seal("a key that is long enough"))
asyncio.run(migrate_store(place(sys.argv[1]), place(sys.argv[2]), keyring, dies))
"""


@pytest.mark.parametrize("way", ["to PostgreSQL", "back"])
async def test_a_move_that_is_killed_in_the_middle_is_made_again(
    file: Path, postgresql_place: PostgresAddress, way: str
) -> None:
    source: StorePlace = file if way == "to PostgreSQL" else postgresql_place
    target: StorePlace = postgresql_place if source == file else file
    await _fill(source)
    counts = _counts(source)
    words = [one.url if isinstance(one, PostgresAddress) else str(one) for one in (source, target)]
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES, *words, "events")
    assert await killed.wait() == -signal.SIGKILL
    assert _counts(source) == counts
    assert sum(_counts(target)[name] for name in ("events", "heads", "inbox", "changes")) == 0
    await migrate_store(source, target, KEYRING)
    async with open_store(target, keyring=KEYRING) as store:
        assert (await audit_journal(store.journal)).breaks == []


async def test_a_daemon_that_comes_while_it_is_copied_does_not_start(
    file: Path, postgresql_place: PostgresAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took would be left behind."""
    await _fill(postgresql_place)
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 1)
    monkeypatch.setattr(postgresql, "_BOUNDS", "SET LOCAL lock_timeout = '500ms'")
    monkeypatch.setattr(postgresql, "_BEGIN", "BEGIN; SET LOCAL lock_timeout = '500ms'")
    refused: list[Exception] = []
    backend = backend_for(postgresql_place)

    def daemon_comes(name: str, _: int) -> None:
        if name == "meta" and not refused:
            with pytest.raises(SQLAlchemyError) as error:
                backend.prepare()  # what it does first of all
            refused.append(backend.translated(error.value))

    await migrate_store(postgresql_place, file, KEYRING, daemon_comes)
    assert isinstance(refused[0], Temporary)
    with pytest.raises(Permanent, match="has moved to"):
        await _fill(postgresql_place)


async def test_what_has_moved_is_not_backed_up_for_ever(file: Path, tmp_path: Path) -> None:
    """By a cron job that nobody thought of: there would be no backup of what is in use."""
    await _fill(file)
    await backup_store(file, tmp_path / "backup.db", KEYRING)
    await migrate_store(file, tmp_path / "new.db", KEYRING)
    with pytest.raises(Permanent, match=r"has moved to .*new\.db"):
        await backup_store(file, tmp_path / "later.db", KEYRING)
    assert not (tmp_path / "later.db").exists()


async def test_a_daemon_that_starts_on_what_has_moved_calls_people(
    file: Path, tmp_path: Path
) -> None:
    """It takes no alert, and nobody would be called at all."""
    await _fill(file)
    await migrate_store(file, tmp_path / "new.db", KEYRING)
    with pytest.raises(StoreFailure) as refused:
        await _fill(file)
    assert refused.value.fault == "gone"


async def test_text_that_postgresql_has_not_is_no_break_anywhere(
    file: Path, postgresql_place: PostgresAddress, tmp_path: Path
) -> None:
    """A label may have U+0000 in it. What is made of it there is what the audit expects."""
    async with open_store(file, keyring=KEYRING) as store:
        night = Night(store.journal, "inc-1", "sh\0p")
        await night.open()
        await night.act()
        await store.journal.freeze(
            Freeze(scope="global", reason="a\0b", by="ada", at=BEGIN, until=None)
        )
    await migrate_store(file, postgresql_place, KEYRING)
    async with open_store(postgresql_place, keyring=KEYRING) as store:
        await Night(store.journal, "inc-2", "c\0rt").open()
        assert (await audit_journal(store.journal)).breaks == []
    await migrate_store(postgresql_place, tmp_path / "back.db", KEYRING)


async def test_outcomes_that_wait_for_the_journal_are_not_left_behind(
    file: Path, postgresql_place: PostgresAddress
) -> None:
    await _fill(file)
    draft = Draft(at=BEGIN, event=e.IncidentClosed(reason="recovered", text=""))
    owed = Owed(incident="inc-1", drafts=(draft,), release=True)
    await DebtsFile(file.with_name("stopgap.db.owed")).keep([owed])
    with pytest.raises(Permanent, match=r"\.owed has outcomes"):
        await migrate_store(file, postgresql_place, KEYRING)


async def test_it_is_copied_in_portions(
    file: Path, postgresql_place: PostgresAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(file)
    monkeypatch.setattr(copying, "ROWS_AT_ONCE", 3)
    told: list[tuple[str, int]] = []
    await migrate_store(file, postgresql_place, KEYRING, lambda *one: told.append(one))
    assert [rows for name, rows in told if name == "changes"] == [1]
    events = [rows for name, rows in told if name == "events"]
    assert events == [*range(3, _counts(file)["events"], 3), _counts(file)["events"]]


def test_a_table_that_is_new_comes_too(file: Path, tmp_path: Path) -> None:
    """By the metadata alone: nothing here lists tables."""
    backends = []
    tables = MetaData()
    Table("news", tables, Column("a", Integer, primary_key=True), Column("b", Text))
    for path in (file, tmp_path / "other.db"):
        backend = backend_for(path)
        backends.append(backend)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE news (a INTEGER PRIMARY KEY, b TEXT)")
            connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)")
            if path == file:
                connection.execute("INSERT INTO news VALUES (7, 'x')")
    (copied,) = migrating._moved(*backends, tables, lambda *_: None)
    assert (copied.name, copied.rows) == ("news", 1)


def _run(*words: str) -> Result:
    return CliRunner().invoke(stopgap, ["store", "migrate", *words])


async def test_the_command_says_what_it_did_and_what_is_next(
    file: Path, postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    async with open_store(file) as store:
        await fill_store(store)
    done = await asyncio.to_thread(_run, str(file), postgresql_place.url)
    assert done.exit_code == 0, done.output
    assert f"now set `store: {postgresql_place}`" in done.output
    again = await asyncio.to_thread(_run, str(file), postgresql_place.url)
    assert again.exit_code == 1
    assert "has moved to" in str(again.exception)
    undone = await asyncio.to_thread(_run, "--undo", str(file))
    assert (undone.exit_code, undone.output) == (0, f"{file} may be used again\n")
    answer = await asyncio.to_thread(_run, str(file), str(file.with_name("b.db")), "--json")
    tables = {one["name"]: one["rows"] for one in json.loads(answer.stdout)["tables"]}
    assert tables["events"] == _counts(file)["events"]


def test_the_command_wants_both_places_or_the_one_to_take_back() -> None:
    for words in (["a.db"], ["--undo", "a.db", "b.db"]):
        done = _run(*words)
        assert done.exit_code == 2
        assert "name SOURCE and TARGET, or --undo and SOURCE alone" in done.output
