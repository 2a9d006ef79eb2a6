"""What the daemon says of itself and of its rules, for whoever looks at it as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from daemon.config.active import ActiveConfig, Live
from daemon.config.pending_settings import PendingSettings
from daemon.core.incident.state import Incident
from daemon.core.measurement.flavours import MetricsFlavour
from daemon.core.people.calendar_report import CalendarReport
from daemon.core.people.roster import Roster
from daemon.core.ports.inbox import Inbox
from daemon.core.ports.journal import IncidentSearch
from daemon.core.ports.metrics import DescribedMetrics, Peer
from daemon.core.recovery.autonomy import AutonomyRecord
from daemon.core.reporting.coverage import Coverage, RuleReport, covered, rule_report
from daemon.core.reporting.observe_report import Observed, observe_report
from daemon.core.values.drill_key import drill_of
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import Frozen, Moment, clock_time, printable, unset
from daemon.reporting.sightings import SightingCache
from daemon.repository import IncidentRepository

_LOOKED_AT = 1000
"""So many of the newest incidents are looked through for observed decisions."""
PEER_SECONDS = 2.0
"""How long another system may take to say that it is there."""


class StoreReport(Frozen):
    """Where the journal is kept. `name` is the file's or database's, without its folder.
    `trouble`: why nothing may be entrusted to it; empty if it may."""

    kind: Literal["sqlite", "postgresql"]
    name: str
    schema_version: int
    trouble: str = ""


class PeerReport(Frozen):
    """A system that the daemon depends on. `reachable` is None where none is configured.

    `flavour`: which kind of server answers PromQL there, `server` by its name for people;
    `behind_seconds`: so long after it happened its answers may not show it yet.
    """

    name: str
    reachable: bool | None
    version: str = ""
    latency_ms: float | None = None
    server: str = ""
    flavour: MetricsFlavour | None = None
    behind_seconds: float | None = None
    trouble: str = ""


class Queue(Frozen):
    """How much of an outbox waits for its first try, for another try, or was given up."""

    waiting: int = 0
    failing: int = 0
    given_up: int = 0


class Loading(Frozen):
    """When the rules in force were read; and why newer ones are not in force, if so. `settings`:
    what a reload does not put in force. `notes`: what people must mend though the rules are sound.
    """

    at: Moment
    failed_at: Moment | None = None
    error: str = ""
    settings: PendingSettings = unset(PendingSettings)
    notes: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """For people: that the rules on disk are broken, and since when; empty if they are not.
        `error` has one line for each mistake."""
        if self.failed_at is None:
            return ""
        count = len(self.error.splitlines())
        mistakes = "1 mistake" if count == 1 else f"{count} mistakes"
        since = clock_time(self.failed_at)
        return f"the rules on disk are broken since {since}, the old ones are in force: {mistakes}"


class System(Frozen):
    """The daemon as a whole. The outboxes are those of the open incidents."""

    version: str
    started_at: Moment
    uptime_seconds: int
    ready: bool
    store: StoreReport
    inbox: int
    open_incidents: int
    pages: Queue
    updates: Queue
    rules: int
    loading: Loading
    actions: int
    peers: tuple[PeerReport, ...]
    calendars: tuple[CalendarReport, ...]


@dataclass(frozen=True)
class StatusReport:
    """Looks at everything at once. What a reload replaces is asked for anew each time.

    A peer is None if none is configured; `needs`: whether one of that name is asked for anything.
    `actions` is the size of the catalogue. `autonomy`: the record of a rule's automatic decisions.
    """

    repository: IncidentRepository
    inbox: Inbox
    active: Live[ActiveConfig]
    ready: Callable[[], bool]
    loading: Callable[[], Loading]
    version: str
    started_at: datetime
    store: StoreReport
    actions: int = 0
    peers: Mapping[str, Peer | None] = field(default_factory=dict)
    calendars: Callable[[], Sequence[CalendarReport]] = tuple
    store_trouble: Callable[[], str] = lambda: ""
    needs: Callable[[str], bool] = lambda _: True
    autonomy: Callable[[str], AutonomyRecord] = lambda _: AutonomyRecord()
    sightings: SightingCache = field(default_factory=SightingCache)

    async def rule_reports(self) -> list[RuleReport]:
        """The rules in force, by name. Raises Temporary."""
        now, config = self.repository.clock(), self.active.now
        opened = await self.repository.journal.openings()
        files = config.rules.files
        return [
            rule_report(
                rule,
                files.get(name, ""),
                config.approvals,
                opened.get(name),
                self.autonomy(name),
                now,
            )
            for name, rule in sorted(config.rules.rules.items())
        ]

    async def coverage(self, past: timedelta) -> Coverage:
        """Which alerts of that time had a rule. Raises Temporary."""
        now = self.repository.clock()
        sightings = await self.sightings.seen(self.repository.journal, now - past, now)
        return covered(sightings, self.active.now.rules.rules, now - past)

    async def observed(self, rule: str | None) -> list[Observed]:
        """What rules in the mode `observe` would have done in the newest incidents, against what
        people did. Raises Temporary."""
        journal, decisions = self.repository.journal, list[Observed]()
        for head in await journal.heads(_LOOKED_AT, IncidentSearch(rule=rule)):
            if not head.rule:
                continue
            entries = await journal.read(head.incident)
            found = observe_report(entries) if entries else []  # or it has been archived meanwhile
            if found:
                changes = [c for d in found for c in await journal.changes(d.target)]
                decisions += observe_report(entries, changes)
        return decisions

    async def system(self) -> System:
        """The daemon as a whole; asks the peers, so it may take PEER_SECONDS. Raises Temporary."""
        now = self.repository.clock()
        needed = {name: peer for name, peer in self.peers.items() if self.needs(name)}
        answers = asyncio.gather(*(_ask(name, peer) for name, peer in needed.items()))
        try:
            opened = await self.repository.journal.open_heads()
            heads = [head for head in opened if not drill_of(head.key)]
            incidents = [await self.repository.load(head.incident) for head in heads]
        finally:
            peers = await answers
        return System(
            version=self.version,
            started_at=self.started_at,
            uptime_seconds=round((now - self.started_at).total_seconds()),
            ready=self.ready(),
            store=self.store.model_copy(update={"trouble": self.store_trouble()}),
            inbox=self.inbox.backlog(),
            open_incidents=len(heads),
            pages=_pages(incidents),
            updates=_updates(incidents, self.active.now.roster),
            rules=len(self.active.now.rules.rules),
            loading=self.loading(),
            actions=self.actions,
            peers=tuple(peers),
            calendars=tuple(self.calendars()),
        )


def _pages(incidents: Sequence[Incident]) -> Queue:
    pages = [page for incident in incidents for page in incident.pages.values()]
    pending = [page for page in pages if page.pending]
    failing = sum(bool(page.failed_methods) for page in pending)
    return Queue(
        waiting=len(pending) - failing,
        failing=failing,
        given_up=sum(page.given_up for page in pages),
    )


def _updates(incidents: Sequence[Incident], roster: Roster) -> Queue:
    states = [
        update.state_in(channel)
        for incident in incidents
        for update in incident.updates.by_name.values()
        for channel in update.channels(roster.channels_of(update.audience))
    ]
    return Queue(
        waiting=states.count("waiting"),
        failing=states.count("failing"),
        given_up=states.count("given_up"),
    )


async def _ask(name: str, peer: Peer | None) -> PeerReport:
    if peer is None:
        return PeerReport(name=name, reachable=None, trouble=f"not configured: `{name}.url`")
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        async with asyncio.timeout(PEER_SECONDS):
            version = await peer.version()
            server = await peer.server() if isinstance(peer, DescribedMetrics) else None
    except (Temporary, Permanent) as error:
        return PeerReport(name=name, reachable=False, trouble=printable(str(error)))
    except TimeoutError:
        text = f"no answer within {PEER_SECONDS:.0f}s"
        return PeerReport(name=name, reachable=False, trouble=text)
    latency = round((clock() - began) * 1000, 1)
    found = PeerReport(name=name, reachable=True, version=printable(version), latency_ms=latency)
    if server is None:
        return found
    told = {
        "server": printable(server.title),
        "flavour": server.flavour,
        "behind_seconds": server.behind.total_seconds(),
    }
    return found.model_copy(update=told)
