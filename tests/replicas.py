"""Several replicas over one journal and inbox in memory: each sees them by a way of its own, which
can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from daemon.core.incident.events import FORMAT
from daemon.core.ports.news import News, NewsPosition
from daemon.core.ports.replicas import (
    Fence,
    OwnedIncident,
    ReplicaStatus,
    ReplicaSurvey,
)
from daemon.core.values.lease import ClockReading
from daemon.core.values.outcome import Temporary
from tests.fakes import START, MemoryDebts, MemoryInbox, MemoryJournal

LEASE = timedelta(seconds=15)


class Process:
    """One replica's process, and its way to the database: while it is `cut`, nothing goes through;
    while the process is suspended, nothing of it goes on and its clocks stand still."""

    def __init__(self, name: str, instance: str = "") -> None:
        self.fence = Fence(name, instance or f"process of {name}")
        self.debts = MemoryDebts()
        self.cut = False
        self.loses: set[str] = set()
        """Calls whose answer is lost, once each, though they were carried out."""
        self.ahead = 0.0
        """Seconds by which its time of day is wrong."""
        self.appends = 0
        self.dies_at: int | None = None
        """At this append of its own it is to be killed: `dying` is set, and nothing is written."""
        self.dying = asyncio.Event()
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._stands_at: float | None = None

    def suspend(self) -> None:
        """As by SIGSTOP, or a lid that is closed."""
        self._stands_at = asyncio.get_running_loop().time()
        self._goes_on.clear()

    def wake(self) -> None:
        """It goes on where it was, and its clocks have jumped."""
        self._stands_at = None
        self._goes_on.set()

    def clocks(self) -> ClockReading:
        """Its clocks."""
        now = self._stands_at
        now = asyncio.get_running_loop().time() if now is None else now
        return ClockReading(now, START + timedelta(seconds=now + self.ahead))

    async def passes(self, appends: bool = False) -> None:
        """Wait for the way to be free. Raises Temporary if it is cut."""
        await self._goes_on.wait()
        if appends and not self.dying.is_set():
            self.appends += 1
            if self.appends == self.dies_at:
                self.dying.set()
        if self.cut or self.dying.is_set():
            raise Temporary("the database cannot be reached")


class Way:
    """What a process sees of something in the database."""

    def __init__(self, to: Any, process: Process) -> None:
        self._to = to
        self._process = process

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._to, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def through(*args: Any, **more: Any) -> Any:
            await self._process.passes(appends=name in {"append", "open"})
            done = await found(*args, **more)
            await self._process.passes()
            if name in self._process.loses:
                self._process.loses.remove(name)
                raise Temporary("the connection was lost while it answered")
            return done

        return through


@dataclass
class _Row:
    instance: str
    until: datetime
    started: datetime
    renewed: datetime
    rules: str


@dataclass
class SharedRegister:
    """The register of replicas that all of them share: `clock` is the database's."""

    journal: MemoryJournal
    inbox: MemoryInbox
    clock: Callable[[], datetime]
    rows: dict[str, _Row] = field(default_factory=dict)
    delivery_owners: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.journal.lapsed = lambda fence: (
            "" if self.lives(fence.replica, fence.instance) else ("its lease is over")
        )

    def lives(self, name: str, instance: str = "") -> bool:
        row = self.rows.get(name)
        return row is not None and row.until > self.clock() and instance in {"", row.instance}


class MemoryRegister:
    """`daemon.core.ports.replicas.ReplicaRegister` of one replica."""

    def __init__(self, shared: SharedRegister, fence: Fence, lease: timedelta = LEASE) -> None:
        self._shared = shared
        self._fence = fence
        self._lease = lease

    async def join(self, rules: str, wall: datetime) -> bool:
        name, now = self._fence.replica, self._shared.clock()
        row = self._shared.rows.get(name)
        if row is not None and row.until > now and row.instance != self._fence.instance:
            return False
        self._shared.rows[name] = _Row(self._fence.instance, now + self._lease, now, now, rules)
        return True

    async def renew(self, rules: str, wall: datetime) -> bool:
        row = self._shared.rows.get(self._fence.replica)
        if row is None or row.instance != self._fence.instance:
            return False
        row.renewed = self._shared.clock()
        row.until = row.renewed + self._lease
        return True

    async def leave(self) -> None:
        self._shared.rows.pop(self._fence.replica, None)
        for name, head in self._shared.journal.rows.items():
            if head.owner == self._fence.replica and head.closed_at is None:
                self._shared.journal.rows[name] = head.model_copy(update={"owner": ""})
        for name, owner in self._shared.delivery_owners.items():
            if owner == self._fence.replica:
                self._shared.delivery_owners[name] = ""

    async def survey(self) -> ReplicaSurvey:
        shared, now = self._shared, self._shared.clock()
        heads = [head for head in shared.journal.rows.values() if head.closed_at is None]
        waiting = [shared.delivery_owners.get(name, "") for name in shared.inbox.waiting]
        replicas = [
            ReplicaStatus(
                name=name,
                version="0",
                format=FORMAT,
                started_at=row.started,
                renewed_at=row.renewed,
                lease_until=row.until,
                alive=row.until > now,
                incidents=sum(head.owner == name for head in heads),
                deliveries=waiting.count(name),
            )
            for name, row in sorted(shared.rows.items())
        ]
        orphans = sum(not shared.lives(head.owner) for head in heads)
        return ReplicaSurvey(now, replicas, orphans, sum(not shared.lives(n) for n in waiting))

    async def owned(self) -> list[str]:
        heads = self._shared.journal.rows.values()
        return [h.incident for h in heads if h.owner == self._fence.replica and not h.closed_at]

    async def take(self, most: int) -> list[str]:
        heads = self._shared.journal.rows.values()
        free = [h.incident for h in heads if not h.closed_at and not self._shared.lives(h.owner)]
        return self._own(free[:most])

    async def take_these(self, incidents: Collection[str]) -> list[str]:
        rows, shared = self._shared.journal.rows, self._shared
        ours = {"", self._fence.replica}
        return self._own(
            [i for i in incidents if rows[i].owner in ours or not shared.lives(rows[i].owner)]
        )

    async def owners(self) -> list[OwnedIncident]:
        heads = self._shared.journal.rows.values()
        return [OwnedIncident(incident=h.incident, title=h.title, owner=h.owner) for h in heads]

    async def owner_of(self, incident: str) -> str:
        head = self._shared.journal.rows[incident]
        return "" if head.closed_at else head.owner

    def _own(self, incidents: list[str]) -> list[str]:
        if not self._shared.lives(self._fence.replica, self._fence.instance):
            return []
        for name in incidents:
            row = self._shared.journal.rows[name]
            self._shared.journal.rows[name] = row.model_copy(update={"owner": self._fence.replica})
        return incidents


class MemoryNews:
    """`daemon.core.ports.news.NewsFeed` of the journal that all of them share."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal

    async def begin(self) -> NewsPosition:
        return NewsPosition(len(self._journal.grown), {})

    async def since(self, position: NewsPosition) -> News:
        grown: dict[str, list[int]] = {}
        for incident, end in self._journal.grown[position.number :]:
            grown.setdefault(incident, []).append(end)
        return News(await self.begin(), grown, frozenset())


class SharedInbox:
    """`daemon.core.ports.inbox.Inbox` of one replica, of the inbox that all of them share."""

    def __init__(self, shared: SharedRegister) -> None:
        self._shared = shared
        self._owner = ""

    async def start(self, owner: str = "") -> None:
        self._owner = owner

    async def take_over(self, most: int) -> int:
        owners, waiting = self._shared.delivery_owners, self._shared.inbox.waiting
        free = [name for name in waiting if not self._shared.lives(owners.get(name, ""))][:most]
        owners.update(dict.fromkeys(free, self._owner))
        return len(free)

    async def put(self, identity: str, body: bytes, at: datetime) -> bool:
        new = await self._shared.inbox.put(identity, body, at)
        if new:
            self._shared.delivery_owners[identity] = self._owner
        return new

    async def pending(
        self, limit: int, known: Container[str] = frozenset()
    ) -> list[tuple[str, bytes]]:
        owners, waiting = self._shared.delivery_owners, self._shared.inbox.waiting
        ours = [(name, body) for name, body in waiting.items() if owners.get(name) == self._owner]
        return ours[:limit]

    def backlog(self) -> int:
        return self._shared.inbox.backlog()

    def waited(self) -> float:
        return 0.0

    async def oldest(self) -> datetime | None:
        return await self._shared.inbox.oldest()

    async def processed(self, identities: Sequence[str], ended: Mapping[str, datetime]) -> None:
        await self._shared.inbox.processed(identities, ended)

    async def ended(self, alerts: Sequence[str]) -> dict[str, datetime]:
        return await self._shared.inbox.ended(alerts)

    async def forget(self, before: datetime) -> None:
        return None
