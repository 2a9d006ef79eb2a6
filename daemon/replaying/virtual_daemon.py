"""The daemon itself, in virtual time, over parts in memory.

Intake, conductor, watchdog, repository and core are the real ones; the journal, the inbox and the
ways to people are in memory, actions are simulated, and the metrics are whoever answers for them:
a written case, what was recorded, a Prometheus that is asked about the past. Nothing here reaches
the network or the disk, unless those metrics do.

    world = World(config=ActiveConfig(RuleBook(rules), roster, approvals), metrics=metrics,
                  actions=catalogue, limits=limits, begins=datetime(2026, 1, 5, 12, tzinfo=UTC))

    async def story() -> VirtualDaemon:
        async with VirtualDaemon(world).running() as daemon:
            await daemon.play([DeliveryArrives(at, body), PersonMoves(...)], until)
        return daemon

    daemon = run_virtually(story)
    for incident, entries in daemon.journal.entries.items():
        fold(entries)

`play` may be called again and again; in between the daemon may be looked at, as afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from daemon.conduct.conductor import Conductor
from daemon.conduct.executor import ConductDependencies, Stage
from daemon.config.active import ActiveConfig, Live
from daemon.core.changes.precedent import Precedent
from daemon.core.changes.suspects import Change
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import Action, ActionContext
from daemon.core.ports.metrics import Metrics, MetricsServers, NamedMetrics
from daemon.core.recovery.guardrails import Limits
from daemon.core.response.command import CommandSituation, NotPossible
from daemon.core.rules.rule import Rule
from daemon.instrumentation import DaemonPart, Observer
from daemon.intake.dispatch import PlayedDrill
from daemon.intake.intake import Intake
from daemon.intake.late_changes import tell_incidents
from daemon.measuring.earlier import earlier_trouble
from daemon.notifying.storms import StormKeeper
from daemon.notifying.watchdog import Watchdog
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.recovering.step_context import misfit
from daemon.replaying.happenings import (
    ChangeArrives,
    DeliveryArrives,
    FreezeBegins,
    FreezeEnds,
    Happening,
    MoveRefused,
    PersonMoves,
)
from daemon.replaying.memory_journal import MemoryJournal
from daemon.replaying.memory_stores import MemoryInbox, MemoryNotes, MemoryReviews
from daemon.replaying.recorded_calls import PlainLinks, RecordedChannel, RecordedPager
from daemon.replaying.simulated_actions import Script, SimulatedAction, Simulation
from daemon.repository import IncidentRepository

_REMEMBERED = timedelta(hours=2)
"""How old a reported change may be to be looked at, as `daemon.watching.changes` has it."""


def _all_goes_well(_: str, __: Any, ___: ActionContext) -> Simulation:
    return Simulation()


def _every_change(_: Rule, __: Incident, ___: Change) -> bool:
    return True


class DrillHost(Protocol):
    """What plays drills on the daemon."""

    def played(self, run: str) -> PlayedDrill | None:
        """The drill of that run, while it is under way."""

    def stage(self, mark: DrillMark) -> Stage:
        """What the incidents of a drill are conducted with."""

    def config_of(self, incident: Incident) -> ActiveConfig:
        """What is in force for an incident, real or a drill's."""

    async def begin(self) -> None:
        """Take up what an earlier run of the daemon left."""

    async def run(self) -> None:
        """Play drills until cancelled."""


@dataclass(frozen=True)
class World:
    """What a virtual daemon lives in.

    `config`: rules, roster, approvals and freeze windows; its ways to people are not used.
    `actions` is the real catalogue, of which runs are simulated by `script`; without `restricted`,
    all their parameters are allowed. `begins`: the moment
    at which it starts. `sees`: whether the rule of an incident watches where a change was made;
    reported changes go by their labels, as always. `outage` and `max_age` as in the settings.
    `drills` makes what plays drills on the daemon, of it and of its stage. `page_hold` as in the
    settings. `trouble`: when the problem stood before it starts, and was over.
    """

    config: ActiveConfig
    metrics: Metrics
    actions: Mapping[str, Action]
    limits: Limits
    begins: datetime
    script: Script = _all_goes_well
    restricted: bool = True
    sees: Callable[[Rule, Incident, Change], bool] = _every_change
    outage: float = 0.5
    max_age: timedelta = timedelta(minutes=2)
    remember: timedelta = timedelta(days=7)
    page_hold: timedelta = timedelta(0)
    trouble: Sequence[Precedent] = ()
    drills: Callable[[VirtualDaemon, Stage], DrillHost] | None = None


class _Crashes(Observer):
    """Counts the defects that the daemon has lived through."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def crashed(self, part: DaemonPart) -> None:
        self.parts.append(part)


class VirtualDaemon:
    """One daemon of a world. What it did is in `journal`, `pagers`, `channels`, `reviews`.

    `before`: an earlier one, over whose store this one starts. `refused_moves`: what people wanted
    and could not have. `crashes`: the parts that met a defect of the daemon's own, which it logged
    and lived through; a test should have none.
    """

    def __init__(self, world: World, before: VirtualDaemon | None = None) -> None:
        self.world = world
        self.journal: MemoryJournal = before.journal if before is not None else MemoryJournal()
        self.inbox: MemoryInbox = before.inbox if before is not None else MemoryInbox()
        self.notes: MemoryNotes = before.notes if before is not None else MemoryNotes()
        self.reviews = MemoryReviews()
        roster = world.config.roster
        self.pagers = {person: RecordedPager() for person in roster.people}
        self.channels = {name: RecordedChannel() for name in roster.channels}
        self.refused_moves: list[MoveRefused] = []
        self._observer = _Crashes()
        self._known: list[Change] = []
        self._links = PlainLinks()
        self._build()

    def _build(self) -> None:
        world, pagers = self.world, self.pagers
        ways = {person: (("pager", pager),) for person, pager in pagers.items()}
        config = replace(world.config, ways=ways, channels=self.channels)
        self._active = active = Live(config)
        self.repository = IncidentRepository(self.journal, self.clock)
        self.keeper = AutonomyKeeper(self.repository, self.notes, active)
        self._storms = storms = StormKeeper(self.repository, world.limits)
        self.actions: dict[str, Action] = {
            name: SimulatedAction(action, world.script, self, restricted=world.restricted)
            for name, action in world.actions.items()
        }
        dependencies = ConductDependencies(
            servers=MetricsServers(NamedMetrics(world.metrics, world.max_age)),
            actions=self.actions,
            limits=world.limits,
            outage=world.outage,
            changes=self._changes,
            earlier=self._earlier,
            reviews=self.reviews,
            links=self._links,
            withdrawn=self.keeper.withdrawn,
            observer=self._observer,
            storm_of=storms.storm_of,
            gathers=storms.gathers,
            page_hold=world.page_hold,
        )
        stage = Stage(active, dependencies)
        self._drills = drills = world.drills(self, stage) if world.drills is not None else None
        self.intake = Intake(
            self.inbox,
            self.repository,
            lambda: active.now.rules,
            None,
            world.remember,
            self._observer,
            drills=drills.played if drills is not None else lambda _: None,
            openings=storms,
        )
        self._watchdog = Watchdog(
            self.repository,
            active,
            self._links,
            self._observer,
            self._config_of,
            storm_of=storms.storm_of,
        )
        self._conductor = Conductor(
            self.repository,
            active,
            dependencies,
            drills.stage if drills is not None else lambda _: None,
        )

    def _config_of(self, incident: Incident) -> ActiveConfig:
        return self._active.now if self._drills is None else self._drills.config_of(incident)

    @property
    def crashes(self) -> Sequence[str]:
        """The parts that met a defect, in order."""
        return self._observer.parts

    def clock(self) -> datetime:
        """The virtual time."""
        return self.world.begins + timedelta(seconds=asyncio.get_running_loop().time())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[VirtualDaemon]:
        """It runs inside; leaving ends it at once, whatever is under way."""
        await self.keeper.begin()
        await self.keeper.catch_up()
        await self._storms.begin()
        if self._drills is not None:
            await self._drills.begin()
        parts: list[Coroutine[Any, Any, None]] = [
            self.intake.run(),
            self._conductor.run(),
            self._watchdog.run(),
            self.keeper.run(),
            *([self._drills.run()] if self._drills is not None else []),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            yield self
            for task in tasks:
                if task.done():
                    task.result()  # none of them ends by itself, but by a defect
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def play(self, happenings: Sequence[Happening], until: datetime) -> None:
        """Let all this happen, each at its time, and time pass until then. What lies before now
        happens at once. Raises NotADelivery for a body that is none."""
        for happening in sorted(happenings, key=lambda one: one.at):
            await self._pass(happening.at)
            await self._happen(happening)
        await self._pass(until)

    def incidents(self, at: datetime | None = None) -> list[Incident]:
        """All incidents, as their journals stood at that moment (it included) or stand now, in
        the order of their opening."""
        read = (
            [entry for entry in entries if at is None or entry.at <= at]
            for entries in self.journal.entries.values()
        )
        return [fold(entries) for entries in read if entries]

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    async def _pass(self, until: datetime) -> None:
        seconds = (until - self.clock()).total_seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _happen(self, happening: Happening) -> None:
        match happening:
            case DeliveryArrives(body=body):
                await self.intake.receive(body)
            case ChangeArrives(change=change):
                await self._learn(change)
            case PersonMoves():
                await self._move(happening)
            case FreezeBegins(freeze=freeze):
                await self.journal.freeze(freeze)
                self.repository.ring_all()
            case FreezeEnds(scope=scope, by=by):
                await self.journal.thaw(scope, by, self.clock())
                self.repository.ring_all()

    async def _move(self, move: PersonMoves) -> None:
        incident = self._meant(move)
        if incident is None:
            self.refused_moves.append(MoveRefused(move, "no incident has opened by then"))
            return
        try:
            await self.repository.record(
                incident,
                lambda before: move.command.apply(before, self._situation(before, move.person)),
                by=f"person:{move.person}",
            )
        except NotPossible as error:
            self.refused_moves.append(MoveRefused(move, str(error)))

    def _meant(self, move: PersonMoves) -> str | None:
        """The id of the incident that the person speaks of."""
        rows = [row for row in self.journal.rows.values() if move.key in {"", row.key}]
        still_open = [row for row in rows if row.closed_at is None]
        return max(still_open or rows, key=lambda row: row.opened_at).incident if rows else None

    def _situation(self, incident: Incident, person: str) -> CommandSituation:
        config = self._config_of(incident)
        return CommandSituation(
            person=person,
            via="cli",
            now=self.clock(),
            roster=config.roster,
            rule=config.rules.rules.get(incident.rule),
            document=self._links.document(incident.id),
            misfit=lambda spec: misfit(spec, incident.group_labels, self.actions),
        )

    # ── changes, and what is live ────────────────────────────────────────────────────────────

    async def _learn(self, change: Change) -> None:
        """A watch sees the change, or it is reported: open incidents weigh it at once."""
        self._known.append(change)
        await self.journal.saw_change(change)
        rules = self._active.now.rules.rules

        def concerned(incident: Incident) -> bool:
            if change.reported:
                return incident.touched_by(change.labels)
            rule = rules.get(incident.rule)
            return rule is not None and self.world.sees(rule, incident, change)

        await tell_incidents(self.repository, change, concerned)

    async def _earlier(self, rule: Rule, incident: Incident) -> list[Precedent]:
        return [*self.world.trouble, *await earlier_trouble(self.journal, rule, incident)]

    async def _changes(self, rule: Rule, incident: Incident) -> list[Change]:
        """What may concern the incident, as `daemon.watching.changes.Watcher.of` has it."""
        since = self.clock() - _REMEMBERED
        reported = await self.journal.reported(since)
        about = [change for change in reported if incident.touched_by(change.labels)]
        seen = (change for change in self._known if not change.reported)
        own = [change for change in seen if self.world.sees(rule, incident, change)]
        return sorted([*own, *about], key=lambda change: change.at)

    async def live(self, target: str) -> str:
        """The item that is live on an action's target; empty if nobody knows."""
        history = await self.journal.changes(target)
        return history[-1].item if history else ""

    async def switch(self, target: str, item: str) -> None:
        """Another item is live there from now on, which whoever watches it sees."""
        before = await self.live(target)
        change = Change(
            subject=target, item=item, previous=before, at=self.clock(), seen_by="watch"
        )
        self._known.append(change)
        await self.journal.saw_change(change)
