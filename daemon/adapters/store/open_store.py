"""Open a store: take its lock, make or check its tables, start its writer, undo it all after."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.database import Database, Listener, to_its_end
from daemon.adapters.store.inbox import MAX_PENDING, REMEMBER, SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.migrations import upgrade
from daemon.adapters.store.notes import SqlNotes
from daemon.adapters.store.process_lock import held
from daemon.adapters.store.schema import SCHEMA, meta, metadata
from daemon.core.values.outcome import Permanent


@dataclass(frozen=True)
class Store:
    """One database: the incidents, the deliveries, and who is logged in."""

    journal: SqlJournal
    inbox: SqlInbox
    credentials: SqlCredentials
    notes: SqlNotes
    key: str
    """Signs the links in pages; made with the store, the same for all who share it."""
    listeners: list[Listener]
    """Hear of every transaction."""


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    readonly: bool = False,
    max_pending: int = MAX_PENDING,
    remember: timedelta = REMEMBER,
) -> AsyncIterator[Store]:
    """The store in the SQLite file `path`, made if it is not there yet.

    One daemon at a time: a second one is refused. `readonly` takes no lock, changes nothing and
    works beside a running daemon; the command line reads that way. Without it, tables of an
    earlier schema are brought up first. Leave it only after every task that uses it has ended.
    Raises Permanent, with the mend, if the file is somebody else's, of a newer schema, damaged,
    or (readonly) not there or of an earlier schema; Temporary if the disk fails.
    """
    async with AsyncExitStack() as stack:
        if readonly:
            _must_exist(path)
        else:
            stack.enter_context(held(path))
        database = Database(path, readonly=readonly)
        inbox = SqlInbox(database, max_pending, remember)
        stack.push_async_callback(to_its_end, _close(inbox, database), "store-close")
        key = ""
        if readonly:
            await database.read(partial(_must_be_of_today, path))
        else:
            await database.write(partial(_prepare, path))
            key = await database.write(_key)
            await inbox.start()
        credentials, notes = SqlCredentials(database), SqlNotes(database)
        yield Store(SqlJournal(database), inbox, credentials, notes, key, database.listeners)


async def _close(inbox: SqlInbox, database: Database) -> None:
    await inbox.stop()
    await database.close()


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise Permanent(f"there is no journal at {path}; start the daemon, or name its file")


def _prepare(path: Path, connection: Connection) -> None:
    """Make the tables in an empty file; bring those of any other up to today's."""
    if inspect(connection).get_table_names():
        upgrade(connection, _version(path, connection))
        return
    metadata.create_all(connection)
    connection.execute(meta.insert().values(name="schema", value=str(SCHEMA)))


def _must_be_of_today(path: Path, connection: Connection) -> None:
    """Raises Permanent unless these are our tables as they are today, for reading changes none."""
    found = _version(path, connection)
    if found < SCHEMA:
        raise Permanent(
            f"{path} was written by an older stopgap (schema {found}, this one reads {SCHEMA}); "
            "start this version's daemon on it once, which brings it up and loses nothing"
        )


def _version(path: Path, connection: Connection) -> int:
    """The schema of these tables. Raises Permanent unless they are ours, and one that we know."""
    if not inspect(connection).has_table(meta.name):
        raise Permanent(f"{path} is a database, but not a journal of stopgap; name another file")
    found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema"))
    if found is None or int(found) > SCHEMA:
        raise Permanent(
            f"{path} was written by a newer stopgap (schema {found}, this one knows {SCHEMA}); "
            "install that version or a later one, or name another file"
        )
    return int(found)


def _key(connection: Connection) -> str:
    """The key of this store, made when it is asked for first."""
    found = connection.scalar(select(meta.c.value).where(meta.c.name == "key"))
    if found is None:
        found = secrets.token_urlsafe(32)
        connection.execute(meta.insert().values(name="key", value=found))
    return str(found)
