"""Open a store: take its lock, make or check its tables, start its writer, undo it all after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store.assistant_log import SqlAssistantLog
from daemon.adapters.store.backend import Backend, BackendKind
from daemon.adapters.store.condition import Condition
from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.database import CommitListener, Database, to_its_end
from daemon.adapters.store.debts import DebtsFile
from daemon.adapters.store.duties import SqlDuties
from daemon.adapters.store.files import companion
from daemon.adapters.store.hinting import PostgresHint
from daemon.adapters.store.inbox import MAX_PENDING, REMEMBER, SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.ledger import Ledger
from daemon.adapters.store.news import SqlNews
from daemon.adapters.store.notes import SqlNotes
from daemon.adapters.store.oncall_changes import SqlOncallChanges
from daemon.adapters.store.place import PostgresAddress, StorePlace, store_name
from daemon.adapters.store.postgresql import PostgresBackend
from daemon.adapters.store.replicas import utc_now
from daemon.adapters.store.signing_keys import SqlKeys
from daemon.adapters.store.sqlite import SqliteBackend
from daemon.adapters.store.tables import must_be_of_today
from daemon.adapters.store.windows import SqlMaintenance
from daemon.core.values.seal import Keyring


@dataclass(frozen=True)
class Store:
    """One database: the incidents, the deliveries, and who is logged in."""

    journal: SqlJournal
    inbox: SqlInbox
    credentials: SqlCredentials
    notes: SqlNotes
    maintenance: SqlMaintenance
    assistants: SqlAssistantLog
    oncall: SqlOncallChanges
    keys: SqlKeys
    """Sign the links in pages; the first is made with the store."""
    listeners: list[CommitListener]
    """Hear of every transaction."""
    condition: Condition
    """What is wrong with it."""
    news: SqlNews
    """What others have changed in it."""
    hint: PostgresHint | None
    """That others have changed something; None where nobody else can."""
    duties: SqlDuties
    kind: BackendKind
    name: str
    """For people: without a folder, and without a password."""
    debts: DebtsFile | None
    """Keeps what the journal could not take; None in a store that is only read."""


@asynccontextmanager
async def open_store(
    place: StorePlace,
    *,
    readonly: bool = False,
    new: bool = False,
    max_pending: int = MAX_PENDING,
    remember: timedelta = REMEMBER,
    keyring: Keyring | None = None,
    clock: Callable[[], datetime] = utc_now,
    beside: Path | None = None,
) -> AsyncIterator[Store]:
    """The store in a file of SQLite or a database of PostgreSQL; the file, and the tables in
    either, are made if they are not there yet.

    A file is one daemon's at a time: a second one is refused. A database is shared by any number.
    `readonly` takes no lock, changes nothing and works beside running daemons; the command line
    reads that way. Without it, tables of an earlier schema are brought up first. `keyring` seals
    and checks the journal. `new` begins a store where an earlier one is missing; without it one
    that was there and is missing is not replaced by an empty one. `beside` is the path that the
    files begin with which this daemon keeps beside the store; a file is that by itself. `clock`
    reckons leases where the database has no clock. Leave it only after every task that uses it has
    ended.

    Raises Permanent, with the mend, if the store is somebody else's, of a newer schema, damaged,
    missing, kept with an audit key that the keyring lacks, or (readonly) not there or of an
    earlier schema; Temporary if the disk fails or the server is away. Damage that leaves it usable
    is a fault of its `condition`: what is whole goes on.
    """
    ledger = Ledger(keyring or Keyring())
    async with AsyncExitStack() as stack:
        held = backend_for(place, beside).opened(new=new, readonly=readonly)
        backend = stack.enter_context(held)
        if not readonly:
            await _prepare(backend)
        database = Database(backend, readonly=readonly)
        condition = Condition(database)
        inbox = SqlInbox(database, max_pending, remember, clock)
        stack.push_async_callback(to_its_end, _close(inbox, database), "store-close")
        keys = SqlKeys(database)
        if readonly:
            await database.read(partial(must_be_of_today, backend))
        else:
            await database.write(backend.remember)
            if backend.is_small():
                await condition.recheck()
            await database.write(partial(ledger.take_key, backend))
            await keys.begin()
            await inbox.start()
        yield Store(
            journal=SqlJournal(database, ledger, clock),
            inbox=inbox,
            credentials=SqlCredentials(database),
            notes=SqlNotes(database),
            maintenance=SqlMaintenance(database, ledger),
            assistants=SqlAssistantLog(database, ledger),
            oncall=SqlOncallChanges(database, ledger),
            keys=keys,
            listeners=database.listeners,
            condition=condition,
            news=SqlNews(database),
            hint=PostgresHint(place.url) if isinstance(place, PostgresAddress) else None,
            duties=SqlDuties(database, clock),
            kind=backend.kind,
            name=store_name(place),
            debts=None if readonly or backend.beside is None else _debts(backend.beside),
        )


def backend_for(place: StorePlace, beside: Path | None = None) -> Backend:
    """What knows how to work on a database of that kind."""
    if isinstance(place, PostgresAddress):
        return PostgresBackend(place, beside)
    return SqliteBackend(place)


def _debts(beside: Path) -> DebtsFile:
    return DebtsFile(companion(beside, ".owed"))


async def _close(inbox: SqlInbox, database: Database) -> None:
    inbox.stop()
    await database.close()


async def _prepare(backend: Backend) -> None:
    """Make the tables or bring them up. Raises Temporary, Permanent."""
    try:
        await asyncio.to_thread(backend.prepare)
    except SQLAlchemyError as error:
        raise backend.translated(error) from error
