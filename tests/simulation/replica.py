"""One replica of the daemon: the real parts, over the simulated disk and the world outside.

A life of it begins with what a start does and ends with a crash, which takes all of its tasks at
once. Then it is started again, on the same disk and with what it owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from daemon.conduct.conductor import Conductor
from daemon.conduct.executor import ConductDependencies
from daemon.conduct.leases import LeaseKeeper
from daemon.config.active import ActiveConfig, Live
from daemon.core.changes.suspects import Change
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Journal
from daemon.core.ports.metrics import MetricsServers, NamedMetrics
from daemon.core.ports.news import FREEZES_TOPIC, MAINTENANCE_TOPIC, Hears, note_topic
from daemon.core.ports.replicas import SOLE, Fence
from daemon.core.recovery.approvals import Approvals
from daemon.core.rules.rule import Rule
from daemon.core.values.lease import ClockReading
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import DaemonPart, Observer
from daemon.intake.intake import Intake
from daemon.measuring.earlier import earlier_trouble
from daemon.notifying.maintenance import MaintenanceKeeper
from daemon.notifying.storms import StormKeeper
from daemon.notifying.watchdog import Watchdog
from daemon.recovering.autonomy import AUTONOMY_NOTES, AutonomyKeeper
from daemon.replaying.memory_stores import MemoryReviews
from daemon.replaying.recorded_calls import PlainLinks
from daemon.reporting.reviews import unfinished
from daemon.repository import IncidentRepository
from daemon.watching.duties import DutyKeeper
from daemon.watching.news import NewsKeeper
from tests.fakes import START
from tests.replicas import LEASE
from tests.simulation import outside as world
from tests.simulation import setting
from tests.simulation.loop import Life, SimulationLoop
from tests.simulation.store import Disk, SimulatedDebts

START_AGAIN = 5.0
"""Seconds after which whoever runs it starts a daemon that could not start."""


class _Crashes(Observer):
    """Hears of the defects that the daemon lives through."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard

    def crashed(self, part: DaemonPart) -> None:
        self._heard(part)


class _Lapses(Observer):
    """Hears when a daemon gives up what is under way, for its lease is over."""

    def __init__(self, life: Life, loop: SimulationLoop) -> None:
        self._life = life
        self._loop = loop

    def lease_lost(self) -> None:
        self._life.lapsed_at = self._loop.now


class Replica:
    """The daemon on one machine. `life` is its present run; None while it is down.

    `clock_offset`: seconds by which this machine's clock is wrong. `running`: it takes alerts.
    `defect` hears of what a daemon's own code has done wrong.
    """

    def __init__(
        self,
        number: int,
        outside: world.Outside,
        disk: Disk,
        deployed: Sequence[Change],
        defect: Callable[[str], None],
    ) -> None:
        self.number = number
        self.clock_offset = 0.0
        self.life: Life | None = None
        self.running = False
        self.known_since = 0.0
        self.gone: float | None = None
        """When it last died, or was suspended or cut off alone."""
        self.back = 0.0
        """When that ended, as far as it was no death."""
        self.steps = 0
        self.repository: IncidentRepository
        self.intake: Intake
        self.maintenance: MaintenanceKeeper
        self._outside = outside
        self._disk = disk
        self._deployed = deployed
        self._defect = defect

    @property
    def loop(self) -> SimulationLoop:
        """The loop of the simulation."""
        return self._outside.loop

    def clock(self) -> datetime:
        """This machine's clock."""
        return START + timedelta(seconds=self.loop.now + self.clock_offset)

    def begin(self, life: Life) -> None:
        """Start it; it runs until its life ends."""
        self.life = life
        self.running = False
        self.loop.begin(life, lambda: self._live(life))

    def away(self, begin: float, end: float | None) -> None:
        """It can do nothing from then on; `end`: until when, None for one that has died."""
        self.gone = begin
        self.back = self.back if end is None else max(self.back, end)

    async def do(self, deed: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[bool, Any]:
        """Let somebody outside ask something of it: whether it was answered, and what."""
        life = self.life
        answer: asyncio.Future[Any] = self.loop.create_future()
        if life is None or not self.running:
            return False, None

        async def ask() -> None:
            try:
                result = await deed()
            except Exception as error:  # told to whoever asked
                if not answer.done():
                    answer.set_result((False, error))
            else:
                if not answer.done():
                    answer.set_result((True, result))

        self.loop.begin(life, ask)
        try:
            async with asyncio.timeout(10):
                done: tuple[bool, Any] = await answer
        except TimeoutError:
            return False, None
        return done

    # ── a life ───────────────────────────────────────────────────────────────────────────────

    async def _live(self, life: Life) -> None:
        while True:
            try:
                parts = await self._start(life)
                break
            except (Temporary, Permanent):
                await asyncio.sleep(START_AGAIN)
        self.running, self.known_since = True, self.loop.now
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part)
        except GeneratorExit:
            raise  # the simulation is over
        except BaseException as error:
            self._defect(f"a part of the daemon ended: {error!r}")
            raise

    async def _start(self, life: Life) -> list[Coroutine[Any, Any, None]]:
        """What a start does, up to the parts that run from then on. Raises Temporary."""
        outside = self._outside
        fence = Fence(f"r{self.number}", f"process {life.number}")
        stores = await self._disk.opened(fence)
        journal, inbox, notes = stores.journal, stores.inbox, stores.notes
        lease: LeaseKeeper | None = None
        if self._disk.replicas > 1:
            lapses = _Lapses(life, self.loop)
            lease = LeaseKeeper(
                stores.register, inbox, fence, LEASE, self._clocks, observer=lambda: lapses
            )
            await lease.begin()
        else:
            await inbox.start()
        repository = IncidentRepository(
            journal, self.clock, SimulatedDebts(self._disk, self.number), lease or SOLE
        )
        limits = setting.TIGHT if outside.scenario.tight else setting.LIMITS
        roster = setting.roster()
        approvals = setting.approvals() if outside.scenario.approved else Approvals()
        ways = world.ways(outside, tuple(roster.people))
        active = Live(
            ActiveConfig(setting.book(), roster, approvals, ways, {"room": world.Room(outside)})
        )
        keeper = AutonomyKeeper(repository, notes, active)
        shared = stores.duties if lease is not None else None
        duties = DutyKeeper(self._clocks, shared, f"{fence.replica}-{life.number}", LEASE)
        maintenance = MaintenanceKeeper(
            repository,
            stores.maintenance,
            notes,
            active,
            tells=lambda: duties.mine("maintenance"),
        )
        storms = StormKeeper(repository, limits)
        observer = _Crashes(lambda part: self._defect(f"the {part} crashed"))
        dependencies = ConductDependencies(
            servers=MetricsServers(NamedMetrics(world.Prometheus(outside), setting.MAX_AGE)),
            actions=world.actions(outside),
            limits=limits,
            outage=0.5,
            changes=lambda rule, incident: self._changes(journal, rule, incident),
            earlier=partial(earlier_trouble, journal),
            reviews=MemoryReviews(),
            links=PlainLinks(),
            withdrawn=keeper.withdrawn,
            maintenance=lambda: maintenance.windows,
            observer=observer,
            storm_of=storms.storm_of,
            gathers=storms.gathers,
            page_hold=timedelta(seconds=outside.scenario.hold),
        )
        intake = Intake(
            inbox,
            repository,
            lambda: active.now.rules,
            None,
            timedelta(minutes=30),
            observer,
            openings=storms,
        )
        conductor = Conductor(repository, active, dependencies)
        watchdog = Watchdog(repository, active, PlainLinks(), observer, storm_of=storms.storm_of)
        shared_parts: list[Callable[[], Coroutine[Any, Any, None]]] = []
        if lease is not None:
            lease.conductor = conductor
            lease.deliveries_came = intake.look_again
            lease.unfinished = partial(unfinished, repository)
            topics = {
                FREEZES_TOPIC: _ringing(repository),
                MAINTENANCE_TOPIC: maintenance.hear,
                note_topic(AUTONOMY_NOTES): keeper.hear,
            }
            news = NewsKeeper(stores.news, repository, topics, observer=observer)
            await news.begin()
            shared_parts = [lease.run, news.run, duties.run]
        await keeper.begin()
        await keeper.catch_up()
        await storms.begin()
        await maintenance.begin()
        self.repository, self.intake, self.maintenance = repository, intake, maintenance
        return [
            *(part() for part in shared_parts),
            intake.run(),
            conductor.run(),
            watchdog.run(),
            keeper.run(),
            maintenance.run(),
        ]

    def _clocks(self) -> ClockReading:
        return ClockReading(self.loop.now, self.clock())

    async def _changes(self, journal: Journal, rule: Rule, incident: Incident) -> list[Change]:
        """What became live of what the rule watches."""
        subject = str(rule.changes["releases"]["directory"])
        now = START + timedelta(seconds=self.loop.now)
        seen = [c for c in self._deployed if c.subject == subject and c.at <= now]
        known = {(c.item, c.at) for c in await journal.changes(subject)}
        for change in seen:
            if (change.item, change.at) not in known:
                await journal.saw_change(change)
        return sorted(seen, key=lambda change: change.at)


def _ringing(repository: IncidentRepository) -> Hears:
    async def hear(_: str) -> None:
        repository.ring_all()

    return hear
