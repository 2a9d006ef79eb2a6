"""Open a store: take its lock, make or check its tables, start its writer, undo it all after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from daemon.adapters.store.assistant_log import SqlAssistantLog
from daemon.adapters.store.condition import Condition
from daemon.adapters.store.credentials import SqlCredentials
from daemon.adapters.store.database import CommitListener, Database, to_its_end
from daemon.adapters.store.debts import DebtsFile
from daemon.adapters.store.files import begin_anew, companion, mark_made, must_not_be_missing
from daemon.adapters.store.inbox import MAX_PENDING, REMEMBER, SqlInbox
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.ledger import Ledger
from daemon.adapters.store.migrations import upgrade
from daemon.adapters.store.notes import SqlNotes
from daemon.adapters.store.oncall_changes import SqlOncallChanges
from daemon.adapters.store.process_lock import held, held_itself
from daemon.adapters.store.retention import SqlRecords
from daemon.adapters.store.schema import SCHEMA, meta, metadata
from daemon.adapters.store.signing_keys import SqlKeys
from daemon.adapters.store.windows import SqlMaintenance
from daemon.core.values.outcome import Permanent
from daemon.core.values.seal import Keyring

CHECKED_AT_START = 256 << 20
"""Bytes up to which a database is read through at the start: a fifth of a second, or a few on a
slow disk. Beyond that only `stopgap store check` does it."""


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
    records: SqlRecords
    keys: SqlKeys
    """Sign the links in pages; the first is made with the store."""
    listeners: list[CommitListener]
    """Hear of every transaction."""
    condition: Condition
    """What is wrong with it."""
    debts: DebtsFile | None
    """Keeps what the journal could not take; None in a store that is only read."""


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    readonly: bool = False,
    new: bool = False,
    max_pending: int = MAX_PENDING,
    remember: timedelta = REMEMBER,
    keyring: Keyring | None = None,
) -> AsyncIterator[Store]:
    """The store in the SQLite file `path`, made if it is not there yet.

    One daemon at a time: a second one is refused. `readonly` takes no lock, changes nothing and
    works beside a running daemon; the command line reads that way. Without it, tables of an
    earlier schema are brought up first. `keyring` seals and checks the journal. `new` begins
    a store where an earlier one is missing; without it one that was there and is missing is not
    replaced by an empty one. Leave it only after every task that uses it has ended.

    Raises Permanent, with the mend, if the file is somebody else's, of a newer schema, damaged,
    missing, kept with an audit key that the keyring lacks, or (readonly) not there or of an
    earlier schema; Temporary if the disk fails. Damage
    that leaves it usable is a fault of its `condition`: what is whole goes on.
    """
    ledger = Ledger(keyring or Keyring())
    async with AsyncExitStack() as stack:
        if readonly:
            must_exist(path)
        else:
            path = stack.enter_context(held(path))
            if new:
                begin_anew(path)
            must_not_be_missing(path)
            stack.enter_context(held_itself(path))
        database = Database(path, readonly=readonly)
        condition = Condition(database)
        inbox = SqlInbox(database, max_pending, remember)
        stack.push_async_callback(to_its_end, _close(inbox, database), "store-close")
        keys = SqlKeys(database)
        if readonly:
            await database.read(partial(_must_be_of_today, path))
        else:
            await database.write(partial(_prepare, path))
            mark_made(path)
            database.files.remember()
            if _small(path):
                await condition.recheck()
            await database.write(partial(ledger.take_key, path))
            await keys.begin()
            await inbox.start()
        yield Store(
            journal=SqlJournal(database, ledger),
            inbox=inbox,
            credentials=SqlCredentials(database),
            notes=SqlNotes(database),
            maintenance=SqlMaintenance(database, ledger),
            assistants=SqlAssistantLog(database, ledger),
            oncall=SqlOncallChanges(database, ledger),
            records=SqlRecords(database, ledger),
            keys=keys,
            listeners=database.listeners,
            condition=condition,
            debts=None if readonly else DebtsFile(companion(path, ".owed")),
        )


async def _close(inbox: SqlInbox, database: Database) -> None:
    inbox.stop()
    await database.close()


def _small(path: Path) -> bool:
    """Whether reading through all of it holds up no start."""
    return path.stat().st_size <= CHECKED_AT_START


def must_exist(path: Path) -> None:
    """Raises Permanent if there is no such file."""
    if not path.is_file():
        raise Permanent(f"there is no journal at {path}; start the daemon, or name its file")


def _prepare(path: Path, connection: Connection) -> None:
    """Make the tables in an empty file; bring those of any other up to today's."""
    if inspect(connection).get_table_names():
        bring_up(path, connection)
        return
    must_not_be_missing(path, is_empty=True)
    metadata.create_all(connection)
    connection.execute(meta.insert().values(name="schema", value=str(SCHEMA)))


def bring_up(path: Path, connection: Connection) -> None:
    """Bring our tables up to today's. Raises Permanent unless they are ours, and not newer."""
    upgrade(connection, version_of(path, connection))


def _must_be_of_today(path: Path, connection: Connection) -> None:
    """Raises Permanent unless these are our tables as they are today, for reading changes none."""
    found = version_of(path, connection)
    if found < SCHEMA:
        raise Permanent(
            f"{path} was written by an older stopgap (schema {found}, this one reads {SCHEMA}); "
            "start this version's daemon on it once, which brings it up and loses nothing"
        )


def version_of(path: Path, connection: Connection) -> int:
    """The schema of these tables. Raises Permanent unless they are ours, and one that we know."""
    if not inspect(connection).has_table(meta.name):
        raise Permanent(f"{path} is a database, but not a journal of stopgap; name another file")
    found = connection.scalar(select(meta.c.value).where(meta.c.name == "schema"))
    if found is None or not found.isdigit() or int(found) > SCHEMA:
        raise Permanent(
            f"{path} was written by a newer stopgap (schema {found}, this one knows {SCHEMA}); "
            "install that version or a later one, or name another file"
        )
    return int(found)
