"""The store of a simulation: the daemon's own tables, transactions and writer, on SQLite in memory.

A transaction is carried out by the loop, whole, at the moment that it is its turn; what a crash
leaves in the writer's queue never was. The faults of the disk are met where a real one's would be:
at the check before and after each transaction, in the commit, and in the time that it takes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from daemon.adapters.store import SqlInbox, SqlJournal, open_store, writer
from daemon.adapters.store.database import Database
from daemon.adapters.store.duties import SqlDuties
from daemon.adapters.store.news import SqlNews
from daemon.adapters.store.notes import SqlNotes
from daemon.adapters.store.replicas import SqlReplicas
from daemon.adapters.store.sqlite import SqliteBackend, SqliteTransactions
from daemon.adapters.store.turns import Unit
from daemon.adapters.store.windows import SqlMaintenance
from daemon.adapters.store.writer import Writer, WriteResult
from daemon.core.incident import events as e
from daemon.core.ports.duties import Duties, DutyHolder
from daemon.core.ports.inbox import Inbox
from daemon.core.ports.journal import Journal, Owed
from daemon.core.ports.maintenance import MaintenanceStore
from daemon.core.ports.news import (
    FREEZES_TOPIC,
    MAINTENANCE_TOPIC,
    News,
    NewsFeed,
    NewsPosition,
    note_topic,
)
from daemon.core.ports.notes import Notes
from daemon.core.ports.replicas import Fence, ReplicaRegister
from daemon.core.ports.store import StoreDown
from daemon.core.values.outcome import Temporary
from daemon.replaying.memory_journal import MemoryJournal
from daemon.replaying.memory_stores import MemoryInbox, MemoryNotes
from tests.fakes import MemoryMaintenance
from tests.replicas import LEASE, MemoryRegister, SharedInbox, SharedRegister
from tests.simulation.loop import LIFE, Killed, Life, SimulationLoop

T = TypeVar("T")
PATH = Path("simulated.db")
writer.CROWD = 1_000_000  # a thread that rests would rest the whole simulation


@lru_cache(maxsize=1)
def new_database() -> bytes:
    """A new store as the daemon makes it."""

    async def make(path: Path) -> None:
        async with open_store(path):
            pass

    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder, "new.db"), Path(folder, "copy.db")
        asyncio.run(make(path))
        with sqlite3.connect(path) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        connection.close()
        return copy.read_bytes()


@lru_cache(maxsize=1)
def _engine() -> Engine:
    """One connection for all: what is done on it is done without an await between."""
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"isolation_level": None, "check_same_thread": False},
        pool_reset_on_return=None,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@dataclass(frozen=True)
class Stores:
    """What a daemon keeps its facts in; `register` and `news` are what replicas share."""

    journal: Journal
    inbox: Inbox
    notes: Notes
    maintenance: MaintenanceStore
    register: ReplicaRegister
    news: NewsFeed
    duties: Duties


class Disk:
    """What outlives every daemon: the stores, and what is owed to them; in SQL, or in memory.

    `before_commit` and `after_commit` are told of every transaction that writes; they may end the
    life that makes it, and the second may say that its outcome never reaches the daemon.
    """

    def __init__(self, clock: Callable[[], datetime], *, sql: bool, replicas: int = 1) -> None:
        self.sql = sql
        self.clock = clock
        self.replicas = replicas
        self.memory = MemoryJournal()
        self._inbox, self._notes, self._windows = MemoryInbox(), MemoryNotes(), MemoryMaintenance()
        self._shared = SharedRegister(self.memory, self._inbox, clock)  # type: ignore[arg-type]
        self.grown: list[tuple[str, int]] = []
        """Of the store in memory: each incident that has grown, and to which entry."""
        self.duties: dict[str, tuple[str, datetime]] = {}
        """Who has each duty there, and until when."""
        self.counters: Counter[str] = Counter()
        """How often each topic of news was changed there."""
        if sql:
            self.engine = _engine()
            self._raw: sqlite3.Connection = self.engine.raw_connection().driver_connection  # type: ignore[assignment]
            self._raw.deserialize(new_database())
        self._seen = 0
        self._read: dict[str, int] = {}
        self.failing: Callable[[], bool] = lambda: False
        self.full: Callable[[], bool] = lambda: False
        self.before_commit: Callable[[Life], None] = lambda _: None
        self.after_commit: Callable[[Life], bool] = lambda _: True
        self.committed: Callable[[Sequence[e.Entry]], None] = lambda _: None
        self.asked: Callable[[Life, Sequence[str]], None] = lambda _, __: None
        """Hears what a daemon is about to write, by the kinds of its events, and that it asks
        whether a step may start ("guard")."""
        self.wrote: Callable[[Life, Sequence[str]], None] = lambda _, __: None
        """Hears what it has written: the kinds of events, and of a store in memory the call."""
        self.owed: dict[int, Sequence[Owed]] = {}
        self.commits = 0

    async def opened(self, fence: Fence) -> Stores:
        """What a daemon that starts gets. Raises Temporary."""
        clock = self.clock
        if self.sql:
            database = SimulatedDatabase(self)
            journal = SqlJournal(database, clock=clock)
            return Stores(
                journal,
                SqlInbox(database, clock=clock),
                SqlNotes(database),
                SqlMaintenance(database, journal.ledger),
                SqlReplicas(database, fence, "0", LEASE, clock),
                SqlNews(database),
                SqlDuties(database, clock),
            )
        inbox = SharedInbox(self._shared) if self.replicas > 1 else self._inbox
        stored = (
            self.memory,
            inbox,
            self._notes,
            self._windows,
            MemoryRegister(self._shared, fence),
            MemoryNews(self),
            MemoryDuties(self),
        )
        return Stores(*(Transactions(self, one) for one in stored))  # type: ignore[arg-type]

    def check(self) -> None:
        """Raises StoreDown while the disk fails."""
        if self.failing():
            raise StoreDown("failing", "the simulated disk met an I/O error")

    def commit(
        self, units: Sequence[Unit], commit: Callable[[Sequence[Unit]], list[WriteResult]]
    ) -> list[WriteResult]:
        """One commit of a daemon's writer, with all that may go wrong."""
        life = LIFE.get()
        if life is None:
            return commit(units)
        try:
            outcomes = self._around(life, lambda: commit(units))
        except StoreDown as full:
            return [WriteResult(unit, None, full) for unit in units]
        if outcomes is not None:
            return outcomes[0]
        lost = Temporary("the connection was lost while it committed")
        return [WriteResult(unit, None, lost) for unit in units]

    def transact(self, work: Callable[[], T], name: str) -> T:
        """One transaction of a store in memory. Raises Temporary, and what the work raises."""
        life = LIFE.get()
        if life is None:
            return work()
        result = self._around(life, work, name)
        if result is None:
            raise Temporary("the connection was lost while it committed")
        return result[0]

    def _around(self, life: Life, work: Callable[[], T], name: str = "") -> tuple[T] | None:
        """What came of it; None if nobody is told, though it was done. Raises StoreDown, Killed."""
        if self.full():
            raise StoreDown("full", "the simulated disk is full")
        self.before_commit(life)
        must_live(life)
        result = work()
        self.commits += 1
        entries = self._new_entries()
        self.committed(entries)
        self.wrote(life, [name, *(entry.event.kind for entry in entries)])
        told = self.after_commit(life)
        must_live(life)
        return (result,) if told else None

    def _new_entries(self) -> list[e.Entry]:
        if not self.sql:
            found: list[e.Entry] = []
            for incident, entries in self.memory.entries.items():
                read = self._read.get(incident, 0)
                if len(entries) > read:
                    found += entries[read:]
                    self._read[incident] = len(entries)
                    self.grown.append((incident, len(entries)))
            return found
        rows = self._raw.execute(
            "SELECT rowid, incident, seq, at, by, body, digest FROM events WHERE rowid > ?"
            " ORDER BY rowid",
            (self._seen,),
        ).fetchall()
        if rows:
            self._seen = rows[-1][0]
        return [
            e.Entry(
                incident=row[1],
                seq=row[2],
                at=datetime.fromisoformat(row[3]),
                by=row[4],
                event=e.decode(row[5]),
                digest=row[6],
            )
            for row in rows
        ]

    def may_begin(self, life: Life, incident: str) -> bool:
        """Whether that life's replica has the lease of an incident, and it is in force. Only of a
        store in memory; the one in SQL asks its own tables in the append."""
        if self.sql or self.replicas == 1:
            return True
        name = f"r{life.replica}"
        return self._shared.lives(name) and self.memory.rows[incident].owner == name

    def holders(self) -> list[tuple[str, str]]:
        """(incident, target) of the actions that have not ended."""
        if not self.sql:
            return [(r.incident, r.target) for r in self.memory.runs if r.finished is None]
        query = "SELECT incident, target FROM actions WHERE finished_at IS NULL"
        return [(str(incident), str(target)) for incident, target in self.rows(query)]

    def frozen(self) -> set[str]:
        """The scopes that are frozen as the store stands."""
        if not self.sql:
            return set(self.memory.stops)
        return {
            str(row[0]) for row in self.rows("SELECT scope FROM freezes WHERE thawed_at IS NULL")
        }

    def unprocessed(self) -> int:
        """How many deliveries wait."""
        if not self.sql:
            return len(self._inbox.waiting)
        return int(self.rows("SELECT count(*) FROM inbox WHERE NOT processed")[0][0])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database holds, for who judges the simulation."""
        return self._raw.execute(query, values).fetchall()

    def copied(self, path: Path) -> None:
        """Write the database to a file."""
        path.write_bytes(self._raw.serialize())


def must_live(life: Life) -> None:
    """Raises Killed if it has ended: what called must not go on."""
    if life.ended:
        raise Killed


class _Backend(SqliteBackend):
    """SQLite in memory: the one connection of the simulated disk, and its faults."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(PATH)
        self._disk = disk

    def check(self) -> None:
        self._disk.check()

    def reading(self) -> SqliteTransactions:
        return SqliteTransactions(self._disk.engine)

    writing = reading


class _Writer(Writer):
    """The writer, whose commits go by the simulated disk."""

    def __init__(self, disk: Disk, backend: _Backend, ended: Callable[[WriteResult], None]) -> None:
        super().__init__(backend, backend.writing(), ended)
        self._disk = disk

    def _commit(self, units: Sequence[Unit]) -> list[WriteResult]:
        return self._disk.commit(units, super()._commit)


class SimulatedDatabase(Database):
    """One daemon's view of the disk: a writer and readers of its own."""

    def __init__(self, disk: Disk) -> None:
        backend = _Backend(disk)
        super().__init__(backend, readonly=False)
        self._writing = self._taking = _Writer(disk, backend, self._ended)


class SimulatedDebts:
    """The side file of one replica: `daemon.core.ports.journal.Debts`."""

    def __init__(self, disk: Disk, replica: int) -> None:
        self._disk = disk
        self._replica = replica

    async def keep(self, owed: Sequence[Owed]) -> None:
        kept = list(owed)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)

        def write() -> None:
            self._disk.owed[self._replica] = kept

        await loop.run_in_executor(None, write)

    def retained(self) -> Sequence[Owed]:
        return self._disk.owed.get(self._replica, ())


# ── the same in memory, for the many seeds that are not about SQL ────────────────────────────────


WRITES = frozenset(
    {
        "open",
        "append",
        "freeze",
        "thaw",
        "saw_change",
        "put",
        "processed",
        "forget",
        "write",
        "add_window",
        "end_window",
        "take_over",
        "join",
        "renew",
        "leave",
        "take",
        "take_these",
    }
)
"""What changes a store; all else reads it."""


_TOPICS = {
    "freeze": FREEZES_TOPIC,
    "thaw": FREEZES_TOPIC,
    "add_window": MAINTENANCE_TOPIC,
    "end_window": MAINTENANCE_TOPIC,
    "write": "",
}
"""What is news beside incidents; the notes have a topic each."""


class MemoryNews:
    """`daemon.core.ports.news.NewsFeed` of a store in memory."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def begin(self) -> NewsPosition:
        return NewsPosition(len(self._disk.grown), dict(self._disk.counters))

    async def since(self, position: NewsPosition) -> News:
        grown: dict[str, list[int]] = {}
        for incident, end in self._disk.grown[position.number :]:
            grown.setdefault(incident, []).append(end)
        now = await self.begin()
        topics = {t for t, n in now.counters.items() if position.counters.get(t, 0) != n}
        return News(now, grown, frozenset(topics))


class MemoryDuties:
    """`daemon.core.ports.duties.Duties` of a store in memory."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def take(self, names: Collection[str], owner: str, lease: timedelta) -> frozenset[str]:
        held, now = self._disk.duties, self._disk.clock()
        for name in names:
            holder, until = held.get(name, ("", now))
            if holder == owner or until <= now:
                held[name] = (owner, now + lease)
        return frozenset(name for name in names if held[name][0] == owner)

    async def leave(self, owner: str) -> None:
        for name, (holder, _) in list(self._disk.duties.items()):
            if holder == owner:
                del self._disk.duties[name]

    async def holders(self) -> list[DutyHolder]:
        now = self._disk.clock()
        return [
            DutyHolder(name, owner, (until - now).total_seconds())
            for name, (owner, until) in sorted(self._disk.duties.items())
            if until > now
        ]


class Transactions:
    """A store in memory that is met as the one on disk is: each call of it is a transaction in a
    thread, of which a crash lets happen all or nothing, and which the disk's faults concern."""

    def __init__(self, disk: Disk, stored: Any) -> None:
        self._disk = disk
        self._stored = stored

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stored, name)
        if not asyncio.iscoroutinefunction(found):
            return found
        transact = self._write if name in WRITES else self._read

        async def transaction(*args: Any, **more: Any) -> Any:
            if name in _TOPICS:
                self._disk.counters[_TOPICS[name] or note_topic(args[0])] += 1
            loop, life = asyncio.get_running_loop(), LIFE.get()
            if name == "append" and life is not None:
                self._disk.asked(life, [draft.event.kind for draft in args[2]])
            elif name == "guard" and life is not None:
                self._disk.asked(life, [name])
            work = partial(transact, partial(found, *args, **more), name)
            return await _to_its_end(loop.run_in_executor(None, work))

        setattr(self, name, transaction)
        return transaction

    def _read(self, call: Callable[[], Any], _: str) -> Any:
        self._disk.check()
        return _at_once(call())

    def _write(self, call: Callable[[], Any], name: str) -> Any:
        self._disk.check()
        return self._disk.transact(lambda: _at_once(call()), name)


async def _to_its_end(done: asyncio.Future[T]) -> T:
    """The result, also for who is cancelled meanwhile; as `database.to_its_end`, without a task of
    its own, which was an eighth of all time."""
    interrupted: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as error:
            interrupted = error
        except Exception:  # noqa: S110 - it is raised below, once it is known whether it is heard
            pass
    if interrupted is None:
        return done.result()
    done.exception()  # seen: who asked is told of the cancellation alone
    raise interrupted


def _at_once(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a store in memory waits for something")
