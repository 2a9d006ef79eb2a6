"""Move a store from one database to another, SQLite or PostgreSQL: `stopgap store migrate`.

All of it is one transaction of the target, in which it is read back and compared before it
counts (`daemon.adapters.store.copying`). The source keeps every row; a note in it keeps daemons
from starting on it by mistake, and a trigger those that were cut off from a database meanwhile,
and come back, from writing there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store.auditing import audit_journal
from daemon.adapters.store.backend import Backend
from daemon.adapters.store.copying import CopiedTable, MigrationProgress, copy_tables
from daemon.adapters.store.database import Database
from daemon.adapters.store.debts import DebtsFile
from daemon.adapters.store.files import COMPANIONS, companion, marker
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.ledger import Ledger
from daemon.adapters.store.open_store import backend_for
from daemon.adapters.store.place import StorePlace
from daemon.adapters.store.postgresql_errors import STORE_MOVED
from daemon.adapters.store.replicas import database_now, utc_now
from daemon.adapters.store.schema import meta, metadata, replicas_table
from daemon.adapters.store.tables import (
    MOVED_ROW,
    must_be_of_today,
    must_exist,
    must_not_have_moved,
)
from daemon.core.values.outcome import Permanent
from daemon.core.values.seal import Keyring
from daemon.core.values.units import format_duration

_CLOSED = f"""
    CREATE FUNCTION stopgap_has_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'this store has moved to another place by `stopgap store migrate`'
        USING ERRCODE = '{STORE_MOVED}';
    END $$;
    CREATE TRIGGER stopgap_has_moved BEFORE INSERT OR UPDATE ON meta
        FOR EACH STATEMENT EXECUTE FUNCTION stopgap_has_moved()"""
"""Every writing transaction leaves its token in `meta`, so none gets any further."""
_REOPENED = """
    DROP TRIGGER IF EXISTS stopgap_has_moved ON meta;
    DROP FUNCTION IF EXISTS stopgap_has_moved"""


async def migrate_store(
    source: StorePlace,
    target: StorePlace,
    keyring: Keyring,
    progress: MigrationProgress = lambda _name, _rows: None,
    beside: Path | None = None,
) -> list[CopiedTable]:
    """Copy the whole store to the target, prove that it is the same there, and note in the source
    that it has moved. `beside` is the path that the daemon's own files begin with where the source
    is a database.

    Raises Permanent if a daemon runs on either, the source is not whole or not of this version's
    schema, or has moved already, or the target has anything else in it; Temporary if a disk or a
    server fails. After either the source is as it was. Of a try that was ended midway nothing is in
    the target, or all of it, and then the next one goes on from there.
    """
    _must_differ(source, target)
    _must_be_there(source)
    _must_owe_nothing(source, beside)
    async with AsyncExitStack() as stack:
        here = stack.enter_context(backend_for(source).opened(new=False, readonly=False))
        await _checked(here, must_be_of_today)
        await _checked(here, must_not_have_moved)
        await _checked(here, _must_be_alone)
        await _must_be_whole(here, keyring, "so nothing was copied")
        there = stack.enter_context(_begun(target))
        await _checked(there, _must_be_alone)
        try:
            await asyncio.to_thread(there.prepare)
            copied = await asyncio.to_thread(_moved, here, there, metadata, progress)
        except SQLAlchemyError as error:
            raise there.translated(error) from error
        await _must_be_whole(
            there,
            keyring,
            f"although it is what {source} has; tell us, and go on with that one: "
            f"`stopgap store migrate --undo {source}`",
        )
        return copied


async def take_back(source: StorePlace) -> None:
    """Let daemons start on a store again that had moved. Raises Permanent if it had not, or is not
    there."""
    _must_be_there(source)
    with backend_for(source).opened(new=False, readonly=False) as backend:
        await _checked(backend, must_be_of_today)
        moved = await asyncio.to_thread(_forget_move, backend)
    if not moved:
        raise Permanent(f"{source} has not been moved anywhere; there is nothing to undo")


def _must_be_there(source: StorePlace) -> None:
    """Looked at before it is opened, which would make a file that is not there."""
    if isinstance(source, Path):
        must_exist(source)


def _must_differ(source: StorePlace, target: StorePlace) -> None:
    same = source == target
    if isinstance(source, Path) and isinstance(target, Path):
        same = source.resolve() == target.resolve()
    if same:
        raise Permanent(f"{source} is the source and the target; name another target")


def _must_owe_nothing(source: StorePlace, beside: Path | None) -> None:
    """What the journal could not take yet is in a file, and would be left behind."""
    start = source if isinstance(source, Path) else beside
    if start is None:
        return
    owed = companion(start, ".owed")
    if owed.exists() and DebtsFile(owed).retained():
        raise Permanent(
            f"{owed} has outcomes that {source} could not take yet; start the daemon on it once "
            "more, stop it, and migrate then"
        )


@contextmanager
def _begun(target: StorePlace) -> Iterator[Backend]:
    """The target, held; a file that was not there is gone again if anything fails."""
    new = isinstance(target, Path) and not target.exists()
    try:
        with backend_for(target).opened(new=new, readonly=False) as backend:
            yield backend
    except BaseException:
        if new and isinstance(target, Path):
            for suffix in ("", *COMPANIONS):
                companion(target, suffix).unlink(missing_ok=True)
            marker(target).unlink(missing_ok=True)
        raise


def _must_be_alone(backend: Backend, connection: Connection) -> None:
    """No daemon is on it. A file is held by us; of a database the server knows who is connected."""
    if backend.kind != "postgresql":
        return
    query = """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stopgap'
        AND datname = current_database() AND pid <> pg_backend_pid()"""
    others = connection.exec_driver_sql(query).scalar_one()
    if others:
        raise Permanent(
            f"{backend} is in use: {others} connections of stopgap are open there; stop every "
            "daemon on it (behind a pooler, end its idle connections, too), and migrate then"
        )
    # One that is cut off from the server is in no list of connections.
    if not inspect(connection).has_table(replicas_table.name):
        return
    now, until = database_now(connection, utc_now), replicas_table.c.lease_until
    for name, ends in connection.execute(select(replicas_table.c.name, until).where(until > now)):
        left = format_duration(timedelta(seconds=ceil((ends - now).total_seconds())))
        raise Permanent(
            f"the replica {name} has a lease on {backend} for another {left}, though it is not "
            "connected: stop it if it lives, wait so long, and migrate then"
        )


async def _must_be_whole(backend: Backend, keyring: Keyring, consequence: str) -> None:
    database = Database(backend, readonly=True)
    try:
        breaks = (await audit_journal(SqlJournal(database, Ledger(keyring)))).breaks
    finally:
        await database.close()
    if breaks:
        more = f", and {len(breaks) - 1} more" if len(breaks) > 1 else ""
        raise Permanent(
            f"{backend} is not whole, {consequence}: {breaks[0]}{more}; `stopgap store check` and "
            "`stopgap audit verify` list all"
        )


async def _checked(backend: Backend, check: Callable[[Any, Connection], None]) -> None:
    """Raises what the check does."""
    await asyncio.to_thread(_read, backend, partial(check, backend))


def _read(backend: Backend, work: Callable[[Connection], Any]) -> Any:
    """In one snapshot. Raises Temporary, Permanent."""
    return _within(backend, backend.reading(), work)


def _write(backend: Backend, work: Callable[[Connection], Any]) -> Any:
    return _within(backend, backend.writing(), work)


def _within(backend: Backend, transactions: Any, work: Callable[[Connection], Any]) -> Any:
    try:
        with transactions.begin() as connection:
            return work(connection)
    except SQLAlchemyError as error:
        raise backend.translated(error) from error
    finally:
        transactions.dispose()


def _moved(
    here: Backend, there: Backend, tables: MetaData, progress: MigrationProgress
) -> list[CopiedTable]:
    """Copy every table and compare, in one transaction of the target, and note it in the source.

    All the while the source is held by a transaction that writes, so that no daemon starts on it
    and has its work left behind. Raises Permanent, Temporary.
    """

    def from_source(source: Connection) -> list[CopiedTable]:
        _hold(here, source)
        copied: list[CopiedTable] = _write(there, partial(into_target, source))
        # Ended just here, it is in both, and the next try finds that out.
        source.execute(meta.insert().values(name=MOVED_ROW, value=str(there)))
        if here.kind == "postgresql":
            source.exec_driver_sql(_CLOSED)
        return copied

    def into_target(source: Connection, target: Connection) -> list[CopiedTable]:
        _hold(there, target)
        return copy_tables(here, there, tables, progress, source, target)

    moved: list[CopiedTable] = _write(here, from_source)
    return moved


def _hold(backend: Backend, connection: Connection) -> None:
    """This transaction lasts as long as it needs, and nobody else is there or may come."""
    if backend.kind == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    _must_be_alone(backend, connection)


def _forget_move(backend: Backend) -> bool:
    """Whether it had moved. Raises Temporary, Permanent."""
    try:
        with backend.changing_tables() as connection:
            if backend.kind == "postgresql":
                connection.exec_driver_sql(_REOPENED)
            gone = connection.execute(meta.delete().where(meta.c.name == MOVED_ROW))
            return gone.rowcount > 0
    except SQLAlchemyError as error:
        raise backend.translated(error) from error
