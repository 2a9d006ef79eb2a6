"""A stage for stories: the real intake, conductor and core over fakes, in accelerated time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from daemon.conduct.conductor import Conductor
from daemon.conduct.executor import ConductDependencies
from daemon.conduct.leases import LeaseKeeper
from daemon.config.active import ActiveConfig, Live
from daemon.core.changes.suspects import Change
from daemon.core.incident.events import DAEMON
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.ports.metrics import MetricsServers, NamedMetrics
from daemon.core.ports.replicas import SOLE
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.recovery.guardrails import Limits
from daemon.core.rules.rule import Rule, RuleBook, load
from daemon.core.values.outcome import Temporary
from daemon.core.values.yaml_document import one_document
from daemon.instrumentation import UNTRACED, Observer, Tracer
from daemon.intake.intake import Intake
from daemon.intake.late_changes import tell_incidents
from daemon.intake.receivers import Receivers
from daemon.intake.reconcile import ReconcilePace, Reconciler
from daemon.measuring.earlier import earlier_trouble
from daemon.notifying.maintenance import MaintenanceKeeper
from daemon.notifying.rooms import NO_PLACES, MeetingPlaces
from daemon.notifying.silences import Silences
from daemon.notifying.storms import StormKeeper
from daemon.notifying.watchdog import Watchdog
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.reporting.reviews import Reviews, unfinished
from daemon.repository import IncidentRepository
from daemon.telemetry import Sources, Telemetry, WatchedMetrics
from daemon.watching.changes import Watcher
from daemon.watching.label_values import LabelValues
from daemon.watching.news import NewsKeeper
from tests import commanding
from tests.fakes import (
    START,
    Board,
    FakeAction,
    FakeAlertmanager,
    MemoryDebts,
    MemoryInbox,
    MemoryJournal,
    MemoryMaintenance,
    MemoryNotes,
    Phone,
    PlainLinks,
    Service,
)
from tests.replicas import (
    LEASE,
    MemoryNews,
    MemoryRegister,
    Process,
    SharedInbox,
    SharedRegister,
    Way,
)

RULE = """
rule: checkout-success-rate
match: ['alertname="CheckoutSuccessRateLow"', 'env="prod"']
group_by: [service]
team: payments
problem:
  symptom: success rate
  bad: bad{service="$service"}[$window]
  total: total{service="$service"}[$window]
  windows: [1m, 5m]
  baseline: 45m
  confirm: {drop: 1%, traffic: 30/m}
  severity: {sev1: 20%, sev2: 5%, sev3: 1%}
changes:
  releases: {directory: shop}
recover:
  - {action: rollback, with: {target: shop}, when: suspect_change, approval: automatic}
  - {action: flag_off, with: {target: shop}, approval: automatic}
verify: {settle: 30s, hold: 2m, near_baseline: 0.5%, traffic: 50%, watch: 10m}
"""
ROSTER = """
people:
  ada: {name: Ada, contact: [{console: true}]}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  payments: {owners: [ada], lead: cy, policy: payments}
policies:
  payments: {tiers: [{notify: [payments], wait: 5m}, {notify: [bo], wait: 5m}]}
default_policy: payments
"""
MAX_AGE = timedelta(minutes=2)
LIMITS = Limits(
    cooldown=timedelta(minutes=30),
    flap=timedelta(hours=24),
    budgets={"rule": 4, "team": 4, "domain": 4, "global": 5},
    budget_window=timedelta(hours=1),
    storm=4,
    storm_window=timedelta(minutes=5),
)


def alert(
    status: str = "firing", service: str = "shop", started: float = 120, ended: float | None = None
) -> dict[str, Any]:
    """One alert of the payload; times in seconds since START."""
    zero = "0001-01-01T00:00:00Z"
    return {
        "status": status,
        "labels": {"alertname": "CheckoutSuccessRateLow", "env": "prod", "service": service},
        "annotations": {"summary": "checkout fails"},
        "startsAt": (START + timedelta(seconds=started)).isoformat(),
        "endsAt": (START + timedelta(seconds=ended)).isoformat() if ended else zero,
        "fingerprint": f"fp-{service}",
    }


def body(*alerts: dict[str, Any], truncated: int = 0) -> bytes:
    """A webhook body of these alerts."""
    firing = any(a["status"] == "firing" for a in alerts)
    return json.dumps(
        {
            "version": "4",
            "groupKey": '{}:{alertname="CheckoutSuccessRateLow"}',
            "truncatedAlerts": truncated,
            "receiver": "stopgap",
            "status": "firing" if firing else "resolved",
            "groupLabels": {"alertname": "CheckoutSuccessRateLow"},
            "alerts": alerts,
        }
    ).encode()


@lru_cache
def _roster(text: str) -> Roster:
    return one_document(text, "roster.yaml").read(Roster)


@lru_cache
def _rules(text: str) -> tuple[Rule, ...]:
    return tuple(rule for rule, _ in load(text, "checkout.yaml"))


@dataclass
class Stage:
    """Everything of one story. What the journal and inbox hold outlives a `restart`."""

    folder: Path
    rule_text: str = RULE
    roster_text: str = ROSTER
    service: Service = field(default_factory=Service)
    servers: dict[str, Service] = field(default_factory=dict)
    """Further Prometheus servers, by the names that rules give them."""
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    debts: MemoryDebts = field(default_factory=MemoryDebts)
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    actions: dict[str, FakeAction] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    watched: dict[str, str] = field(default_factory=dict)
    """Rule → the subject whose changes it alone sees; a rule that is not in it sees all."""
    feed_down: str = ""
    sees_what_is_live_alone: bool = False
    """Changes come from the real watcher, whose targets tell what is live now and no more."""
    prepare: Callable[[], Awaitable[None]] | None = None
    boards: dict[str, Board] = field(default_factory=dict)
    approved: bool = True
    approvals: list[Approval] = field(default_factory=list)
    limits: Limits = LIMITS
    places: MeetingPlaces = NO_PLACES
    page_hold: timedelta = timedelta(0)
    windows: FreezeWindows = field(default_factory=FreezeWindows)
    tracer: Tracer = UNTRACED
    alertmanagers: list[FakeAlertmanager] = field(default_factory=list)
    receiver: str | None = None
    silence_for: timedelta | None = None
    notes: MemoryNotes = field(default_factory=MemoryNotes)
    announced: MemoryMaintenance = field(default_factory=MemoryMaintenance)
    book_rules: RuleBook = field(init=False)
    register: SharedRegister = field(init=False)

    def __post_init__(self) -> None:
        self.actions = {name: FakeAction(name) for name in ("rollback", "flag_off")}
        self.roster = _roster(self.roster_text)
        self.phones = {name: Phone() for name in self.roster.people}
        self.boards = {name: Board() for name in self.roster.channels}
        self.rules: list[Rule] = list(_rules(self.rule_text))
        self.deployed("v2", at=50)
        self.register = SharedRegister(self.journal, self.inbox, story_clock)

    def deployed(self, item: str, at: float, subject: str = "shop") -> None:
        """A deployment was seen, `at` seconds after START."""
        moment = START + timedelta(seconds=at)
        self.arrives(Change(subject=subject, item=item, previous="v1", at=moment, seen_by="test"))

    def arrives(self, change: Change) -> None:
        """A change is there to be seen, or was reported."""
        self.changes.append(change)
        if change.reported or not self.sees_what_is_live_alone:
            self.journal.seen[(change.subject, change.item, change.at)] = change

    def _watched_servers(self, observer: Observer) -> MetricsServers:
        def server(service: Service, name: str = "") -> NamedMetrics:
            watched = WatchedMetrics(service, observer, self.tracer, name)
            return NamedMetrics(watched, MAX_AGE, name)

        named = {name: server(service, name) for name, service in self.servers.items()}
        return MetricsServers(server(self.service), named)

    @asynccontextmanager
    async def daemon(self, process: Process | None = None) -> AsyncIterator[Daemon]:
        """The daemon runs inside; leaving is a kill. `process`: it is one of several replicas."""
        clock = story_clock
        journal: Any = self.journal
        inbox: Any = self.inbox
        debts, keeper_of_lease = self.debts, None
        if process is not None:
            journal, debts = Way(self.journal, process), process.debts
            inbox = Way(SharedInbox(self.register), process)
            register: Any = Way(MemoryRegister(self.register, process.fence), process)
            keeper_of_lease = LeaseKeeper(register, inbox, process.fence, LEASE, process.clocks)
            await keeper_of_lease.begin()

        async def changes(rule: Rule, incident: Incident) -> list[Change]:
            if self.feed_down:
                raise Temporary(self.feed_down)
            now = clock()
            seen = [c for c in self.changes if not c.reported and c.at <= now]
            for change in seen:
                await self.journal.saw_change(change)
            reported = await self.journal.reported(now - timedelta(hours=2))
            about = [c for c in reported if incident.touched_by(c.labels) and c.at <= now]
            own = [c for c in seen if self.watched.get(rule.rule, c.subject) == c.subject]
            return sorted([*own, *about], key=lambda change: change.at)

        repository = IncidentRepository(journal, clock, debts, keeper_of_lease or SOLE)
        values = LabelValues(
            self.notes,
            lambda: self.rules,
            MetricsServers(NamedMetrics(self.service, MAX_AGE)),
            lambda kind, params: (),
            clock,
        )
        watcher = Watcher(
            repository,
            lambda: self.rules,
            lambda _, __, params: self._live_watch(params, clock),
            values,
        )
        ways = {name: [(phone.method, phone)] for name, phone in self.phones.items()}
        self.book_rules = RuleBook(self.rules)
        active = Live(
            ActiveConfig(
                self.book_rules, self.roster, self._approvals(), ways, self.boards, self.windows
            )
        )
        telemetry = Telemetry(repository, lambda: active.now.roster)
        keeper = AutonomyKeeper(repository, self.notes, active)
        maintenance = MaintenanceKeeper(repository, self.announced, self.notes, active)
        telemetry.watch(self._sources(clock, lambda: conductor.tasks, keeper.withdrawn))
        observer = telemetry.flow
        storms = StormKeeper(repository, self.limits)
        means = ConductDependencies(
            servers=self._watched_servers(observer),
            actions=self.actions,
            limits=self.limits,
            outage=0.5,
            changes=watcher.of if self.sees_what_is_live_alone else changes,
            earlier=partial(earlier_trouble, repository.journal),
            reviews=Reviews(self.folder),
            links=PlainLinks(),
            withdrawn=keeper.withdrawn,
            maintenance=lambda: maintenance.windows,
            observer=observer,
            tracer=self.tracer,
            places=self.places,
            storm_of=storms.storm_of,
            gathers=storms.gathers,
            silences=self._silences(),
            silence_for=self.silence_for,
            page_hold=self.page_hold,
        )
        intake = Intake(
            inbox,
            repository,
            lambda: active.now.rules,
            None,
            timedelta(hours=1),
            observer,
            self.tracer,
            openings=storms,
        )
        conductor = Conductor(repository, active, means, prepare=self.prepare)
        news = None
        if process is not None:
            feed: Any = Way(MemoryNews(self.journal), process)
            news = NewsKeeper(feed, repository, {})
            await news.begin()
        await keeper.begin()
        await keeper.catch_up()
        await storms.begin()
        await maintenance.begin()
        daemon = Daemon(
            self, repository, intake, telemetry, conductor, keeper, maintenance, keeper_of_lease
        )
        auditor = Watchdog(repository, active, PlainLinks(), storm_of=storms.storm_of)
        receivers = Receivers(self.receiver, self.notes)
        intake.listeners.append(receivers.on_delivery)
        reconciler = Reconciler(
            self.alertmanagers,
            receivers,
            intake,
            self.inbox,
            repository,
            lambda: active.now.rules,
            ReconcilePace(every=timedelta(seconds=30), settle=timedelta(minutes=10)),
            observer,
        )
        parts = [intake.run(), conductor.run(), auditor.run(), keeper.run(), maintenance.run()]
        if self.alertmanagers:
            parts.append(reconciler.run())
        if self.sees_what_is_live_alone:
            parts += [values.run(), watcher.run()]
        if keeper_of_lease is not None:
            keeper_of_lease.conductor = conductor
            keeper_of_lease.deliveries_came = intake.look_again
            keeper_of_lease.unfinished = partial(unfinished, repository)
            parts.append(keeper_of_lease.run())
        if keeper_of_lease is not None and news is not None:
            keeper_of_lease.catch_up = news.catch_up
            parts.append(news.run())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            yield daemon
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            if process is not None:
                process.dying.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _live_watch(self, params: Mapping[str, Any], clock: Callable[[], datetime]) -> LiveWatch:
        return LiveWatch(str(params["directory"]), self.changes, clock)

    def _silences(self) -> Silences | None:
        if not self.alertmanagers:
            return None
        return Silences(self.alertmanagers[0], lambda i: f"https://stopgap/incidents/{i}")

    def _sources(
        self,
        clock: Callable[[], datetime],
        tasks: Callable[[], tuple[int, int]],
        withdrawn: Callable[[str], str],
    ) -> Sources:
        return Sources(
            version="0.0.0",
            clock=clock,
            ready=lambda: True,
            rules=lambda: self.book_rules.rules,
            roster=lambda: self.roster,
            tasks=tasks,
            backlog=self.inbox.backlog,
            oldest=self.inbox.oldest,
            freezes=lambda: self.journal.freezes(clock()),
            withdrawn=withdrawn,
        )

    def _approvals(self) -> Approvals:
        if not self.approved:
            return Approvals(approvals=tuple(self.approvals))
        until = START + timedelta(days=30)
        return Approvals(
            approvals=tuple(
                approval_of(rule, number, until)
                for rule in self.rules
                for number in range(1, len(rule.recover) + 1)
            )
        )

    async def incidents(self) -> list[Incident]:
        """All incidents, from the journal alone."""
        return [fold(await self.journal.read(i)) for i in self.journal.entries]


@dataclass(frozen=True)
class LiveWatch:
    """A `daemon.core.ports.changes.Watch` of one target that knows of no past."""

    subject: str
    changes: Sequence[Change]
    clock: Callable[[], datetime]

    async def look(self) -> Sequence[Change]:
        now = self.clock()
        seen = [c for c in self.changes if c.subject == self.subject and c.at <= now]
        return [change.model_copy(update={"previous": ""}) for change in seen[-1:]]


@dataclass
class Daemon:
    """The running daemon of a story."""

    stage: Stage
    repository: IncidentRepository
    intake: Intake
    telemetry: Telemetry
    conductor: Conductor
    keeper: AutonomyKeeper
    maintenance: MaintenanceKeeper
    lease: LeaseKeeper | None = None

    async def receives(self, *alerts: dict[str, Any], truncated: int = 0) -> bool:
        """Alertmanager posts these alerts; False for a duplicate."""
        _, new = await self.intake.receive(body(*alerts, truncated=truncated))
        return new

    async def at(self, seconds: float) -> None:
        """Let time pass until this many seconds after START."""
        await asyncio.sleep(seconds - asyncio.get_running_loop().time())

    async def told(self, change: Change) -> None:
        """A change becomes known now, whenever it was made."""
        self.stage.arrives(change)
        await tell_incidents(self.repository, change, lambda i: i.touched_by(change.labels))

    async def incident(self) -> Incident:
        """The only incident."""
        found = await self.stage.incidents()
        assert len(found) == 1, [i.title for i in found]
        return found[0]

    async def does(
        self, deed: Callable[..., Sequence[Any]], *arguments: Any, who: str = "", **more: Any
    ) -> Incident:
        """A person (`who`) does something to the only incident."""
        incident = await self.incident()
        by = f"person:{who}" if who else DAEMON
        return await self.repository.record(
            incident.id, lambda i: deed(i, *arguments, **more), by=by
        )

    async def acknowledges(self, person: str) -> Incident:
        """A person acknowledges."""
        return await self.does(commanding.acknowledge, person, "test", who=person)

    async def kinds(self) -> list[str]:
        """The kinds of the only incident's events, in order."""
        incident = await self.incident()
        return [entry.event.kind for entry in self.stage.journal.entries[incident.id]]


def story_clock() -> datetime:
    """The time of the story, which is the loop's."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def approval_of(rule: Rule, number: int, until: datetime) -> Approval:
    """A standing approval of a step, by ada."""
    return Approval.of(rule, number, "ada", START, until)


def healed_by(stage: Stage, action: str, share: float = 0.01) -> None:
    """The action brings the service to this share of failures."""
    loop = asyncio.get_running_loop()
    stage.actions[action].effect = lambda: stage.service.fails(share, loop.time())


def lowered(stage: Stage, **limits: Any) -> None:
    """Change the limits of automation."""
    stage.limits = replace(stage.limits, **limits)
