"""One effect of a decision: page, measure, take a step, tell, write the review."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from daemon.conduct.foresight import Foresight
from daemon.conduct.last_look import LastLook
from daemon.config.active import ActiveConfig, Live
from daemon.config.sections import DiagnosisSettings
from daemon.core.changes.live_periods import Life
from daemon.core.changes.precedent import Precedent
from daemon.core.changes.suspects import Change, HealthMark
from daemon.core.decision import (
    AcknowledgeStorm,
    AmendPage,
    Effect,
    GatherDossier,
    LiftSilence,
    Listen,
    MeasureProblem,
    Publish,
    ReachesPeople,
    ReadRecovery,
    RecordSamples,
    Rehearse,
    RunStep,
    SendPage,
    SetSilence,
    Settle,
    TellEnding,
    TendRoom,
    WriteCounterpart,
    WriteReview,
)
from daemon.core.incident import events as e
from daemon.core.incident.events import METRICS
from daemon.core.incident.state import Incident
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.ports.actions import PartDone
from daemon.core.ports.metrics import MetricsServers
from daemon.core.ports.notification import Links
from daemon.core.recovery.growth import may_grow
from daemon.core.recovery.guardrails import Freeze, Limits
from daemon.core.recovery.maintenance import MaintenanceWindow, latest_in_force
from daemon.core.recovery.stages import PartReading
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import quantity
from daemon.instrumentation import QUIET, UNTRACED, Observer, Tracer
from daemon.intake.counterparts import write_counterpart
from daemon.measuring import evidence, revision_health, verify
from daemon.measuring.queries import Survey
from daemon.measuring.record import record_samples
from daemon.measuring.stages import read_part
from daemon.measuring.turns import MeasuringQueue
from daemon.notifying import endings, notifier
from daemon.notifying.rooms import NO_PLACES, MeetingPlaces, tend_room
from daemon.notifying.silences import Silences, lift_silence, set_silence
from daemon.notifying.storms import StormOf, acknowledge_storm
from daemon.recovering import steps
from daemon.recovering.dry_run import dry_run
from daemon.recovering.step_context import Actions, Findings, StepContext
from daemon.reporting.reviews import KeepsReviews, write_review
from daemon.repository import IncidentRepository

if TYPE_CHECKING:
    from daemon.diagnosing.gather import DossierGatherer

_log = structlog.get_logger()

_AGAIN = timedelta(seconds=2)
"""How long to wait before the changes are asked for again."""
_PATIENCE = timedelta(seconds=10)
"""For so long the changes are asked for again, before a problem is defined without them."""
_RECORD_WITHIN = timedelta(minutes=2)
"""For so long after the end the samples are asked for again, before they are given up."""


@dataclass(frozen=True)
class ConductDependencies:
    """What the conductor works with besides the journal.

    `outage`: the share of all scrape targets down, from which the monitoring is not believed.
    `earlier`: when the same problem stood before an incident and was over.
    `withdrawn`: why the rule of that name has lost its autonomy; empty if it has not. `places`:
    where people meet. `storm_of`: the storm whose page calls for an incident. `gathers`: whether
    others began within so long of it, and may become one. `silences`: where Alertmanager takes
    silences, and `silence_for` how long; None: acknowledged ones are not silenced there.
    `page_hold`: so long the first page may wait for the first measurement. `maintenance`: the
    windows that were announced.
    """

    servers: MetricsServers
    actions: Actions
    limits: Limits
    outage: float
    changes: Callable[[Rule, Incident], Awaitable[list[Change]]]
    earlier: Callable[[Rule, Incident], Awaitable[list[Precedent]]]
    reviews: KeepsReviews
    links: Links
    withdrawn: Callable[[str], str] = lambda _: ""
    maintenance: Callable[[], Sequence[MaintenanceWindow]] = lambda: ()
    observer: Observer = QUIET
    tracer: Tracer = UNTRACED
    diagnosis: DiagnosisSettings = field(default_factory=DiagnosisSettings)
    places: MeetingPlaces = NO_PLACES
    storm_of: StormOf = lambda _: None
    gathers: Callable[[Incident, timedelta], bool] = lambda _, __: False
    silences: Silences | None = None
    silence_for: timedelta | None = None
    page_hold: timedelta = timedelta(0)


@dataclass(frozen=True)
class Stage:
    """Where an incident is conducted: what is in force for it, and what it is worked with. All
    that are real share one; each drill has its own."""

    active: Live[ActiveConfig]
    dependencies: ConductDependencies


def _told_since(before: Incident, now: Incident) -> bool:
    """Whether a change was told while it was measured, which so was not weighed: once more."""
    return len(now.told) > len(before.told)


class Executor:
    """Carries out effects, by the rules in force at that moment."""

    def __init__(
        self,
        repository: IncidentRepository,
        stage: Stage,
    ) -> None:
        active, dependencies = stage.active, stage.dependencies
        self.stage = stage
        self._repository = repository
        self._active = active
        self._dependencies = dependencies
        self._turns: defaultdict[str, MeasuringQueue] = defaultdict(MeasuringQueue)
        self._foresight = Foresight()
        self._dry_runs: dict[str, asyncio.Task[None]] = {}
        self._last_look = LastLook(
            dependencies.servers,
            dependencies.limits,
            dependencies.outage,
            lambda: active.now.dependencies,
        )
        self.step_context = StepContext(
            actions=dependencies.actions,
            limits=dependencies.limits,
            rules=lambda: active.now.rules.rules,
            dependencies=lambda: active.now.dependencies,
            approvals=lambda: active.now.approvals,
            closed=self._closed,
            look=self._look,
            judge_revisions=self._judge_revisions,
            read_part=self._read_part,
            withdrawn=dependencies.withdrawn,
            tracer=dependencies.tracer,
        )

    @cached_property
    def _dossiers(self) -> DossierGatherer:
        from daemon.diagnosing.gather import DossierGatherer  # with the first dossier

        return DossierGatherer(self._repository, self._dependencies.diagnosis)

    def _closed(self, scopes: Sequence[str], now: datetime) -> Freeze | None:
        """What keeps actions of these scopes from starting: the calendar, or maintenance."""
        by_calendar = self._active.now.freezes.latest_for(scopes, now)
        window = latest_in_force(self._dependencies.maintenance(), scopes, now)
        return by_calendar or (window.freeze() if window is not None else None)

    def execute(self, incident: str, effect: Effect) -> Awaitable[None]:
        """Carry it out. Raises Temporary, Permanent, UnknownIncident."""
        dependencies, roster = self._dependencies, self._active.now.roster
        match effect:
            case Listen():
                return self._listen(incident)
            case MeasureProblem():
                return self._define(incident)
            case ReadRecovery():
                return self._read(incident, effect.step)
            case RunStep():
                return self._step(incident, effect)
            case Rehearse():
                return self._rehearse(incident, effect)
            case GatherDossier():
                return self._gather(incident)
            case WriteReview():
                return write_review(self._repository, incident, dependencies.reviews, roster)
            case RecordSamples():
                return self._record(incident)
            case WriteCounterpart():
                return write_counterpart(self._repository, incident, effect.what, effect.other)
            case _:
                return self._reach(incident, effect)

    def _reach(self, incident: str, effect: ReachesPeople) -> Awaitable[None]:
        """What goes to people, by whatever way."""
        dependencies, config = self._dependencies, self._active.now
        match effect:
            case SendPage():
                means = notifier.PageMeans(config.ways, dependencies.links, config.rules.rules)
                return notifier.deliver(self._repository, incident, effect.page, means)
            case AmendPage():
                means = notifier.PageMeans(config.ways, dependencies.links, config.rules.rules)
                return notifier.amend(self._repository, incident, effect.page, means)
            case Publish():
                return notifier.publish(
                    self._repository,
                    incident,
                    effect,
                    config.channels,
                    dependencies.links,
                    config.roster,
                )
            case Settle():
                return notifier.update_pager_alert(self._repository, incident, effect, config.ways)
            case TellEnding():
                return endings.tell_ending(
                    self._repository, incident, effect, config.ways, dependencies.links
                )
            case AcknowledgeStorm():
                return self._acknowledge_storm(incident, effect.person)
            case SetSilence() | LiftSilence():
                return self._silence(incident, effect)
            case TendRoom():
                return tend_room(
                    self._repository,
                    incident,
                    effect.deed,
                    dependencies.places,
                    config.roster,
                    dependencies.links,
                )

    async def _acknowledge_storm(self, incident: str, person: str) -> None:
        storm = self._dependencies.storm_of(await self._repository.load(incident))
        await acknowledge_storm(self._repository, storm, person, self._active.now.roster)

    async def _silence(self, incident: str, effect: SetSilence | LiftSilence) -> None:
        silences = self._dependencies.silences
        if silences is None:
            raise Temporary("no Alertmanager is configured: `alertmanager.url` in stopgap.yaml")
        change = set_silence if isinstance(effect, SetSilence) else lift_silence
        await change(self._repository, incident, silences)

    def foresee(self, opening: Incident) -> None:
        """Begin to measure an incident that is still being written down, where nobody waits for a
        turn to measure."""
        rule = self._active.now.rules.rules.get(opening.rule)
        if rule is None or self._turns[rule.prometheus or ""].busy:
            return
        try:
            with self._dependencies.tracer.span("foresee", incident=opening.id):
                self._foresight.begin(opening.id, self._survey(rule, opening))
        except Temporary:
            return  # its server is not there, which the measurement tells of

    async def _define(self, incident: str) -> None:
        current = await self._repository.load(incident)
        rule = self._rule(current)
        # Not within the turn: what cannot be reached holds up this incident and no other.
        (changes, blind), trouble = await asyncio.gather(
            self._changes(rule, current), self._dependencies.earlier(rule, current)
        )
        async with self._turn(rule, repeated=current.problem is not None):
            survey = self._survey(rule, current).resuming(self._foresight.of(incident))
            defined = await evidence.assess(survey, rule, changes, blind, trouble)
        _log.info("problem", verdict=defined.problem.verdict, text=defined.problem.text)

        def news(now: Incident) -> Sequence[e.Event]:
            over = now.closed is not None or now.confirmed is not None
            return () if over or _told_since(current, now) else (defined,)

        await asyncio.gather(
            self._repository.record(incident, news),
            self._last_look.foresee(survey, rule, incident, defined.problem),
        )

    async def _changes(self, rule: Rule, incident: Incident) -> tuple[list[Change], str]:
        """What was changed, or why that cannot be seen. The measurement is worth having all the
        same, but a suspect is worth asking for a little longer."""
        clock = asyncio.get_running_loop().time
        until = clock() + _PATIENCE.total_seconds()
        while True:
            try:
                return await self._dependencies.changes(rule, incident), ""
            except (Temporary, Permanent) as error:
                _log.warning("changes cannot be seen", rule=rule.rule, error=str(error))
                if isinstance(error, Permanent) or clock() + _AGAIN.total_seconds() > until:
                    return [], str(error)
            await asyncio.sleep(_AGAIN.total_seconds())

    async def _read(self, incident: str, step: int) -> None:
        current = await self._repository.load(incident)
        limits = self._dependencies.limits
        grows = not step and may_grow(current, limits, self._repository.clock())
        changes = await self._changes_now(current) if grows else None
        # After a step the verdict waits for it, and only as many steps run as the budgets allow.
        turn = nullcontext() if step else self._turn(self._rule(current), repeated=True)
        async with turn:
            seen = await self._repository.load(incident)
            if seen.confirmed is None:
                return
            rule = self._rule(seen)
            reading = await verify.read_recovery_now(
                self._survey(rule, seen), rule.verify, seen.confirmed
            )
            reassessed = None
            if changes is not None:
                survey = self._survey(rule, seen)
                trouble = await self._dependencies.earlier(rule, seen)
                reassessed = await evidence.reassess(survey, rule, seen, changes, trouble)
        measured = e.RecoveryMeasured(step=step, reading=reading)

        def news(now: Incident) -> Sequence[e.Event]:
            if now.closed is not None or (changes is not None and _told_since(current, now)):
                return ()
            # A person may have acted meanwhile, or another daemon weighed the same.
            stands = seen.suspicion == now.suspicion and may_grow(now, limits, reading.at)
            return (measured, reassessed) if reassessed and stands else (measured,)

        await self._repository.record(incident, news)

    async def _changes_now(self, incident: Incident) -> list[Change] | None:
        """What was changed; None if that cannot be seen just now, which is no news."""
        rule = self._rule(incident)
        try:
            return await self._dependencies.changes(rule, incident)
        except (Temporary, Permanent) as error:
            _log.warning("changes cannot be seen", rule=rule.rule, error=str(error))
            return None

    async def _listen(self, incident: str) -> None:
        rule = self._rule(await self._repository.load(incident))
        async with self._turn(rule, repeated=True):
            current = await self._repository.load(incident)
            answers = await self._survey(rule, current).impacts(rule.problem.sentiment)
        sentiments = [
            e.SentimentHeard(
                source=METRICS,
                text=f"{a.name}: {a.trouble if a.value is None else quantity(a.value)}",
                value=a.value,
            )
            for a in answers
        ]
        await self._repository.record(incident, lambda i: () if i.closed else sentiments)

    async def _record(self, incident: str) -> None:
        """Keep the samples of a closed incident; what cannot be had for a while, without."""
        current = await self._repository.load(incident)
        rule, now = self._rule(current), self._repository.clock()
        closed_at = current.closed_at or now
        changes, blind = await self._changes(rule, current)
        earlier = await self._dependencies.earlier(rule, current)
        recorded = e.SamplesRecorded(trouble=blind, changes=tuple(changes), earlier=tuple(earlier))
        try:
            async with self._turn(rule, repeated=True):
                survey = self._survey(rule, current)
                series, scrape, trouble = await record_samples(survey, current.opened_at, closed_at)
            trouble = "; ".join(filter(None, (blind, trouble)))
            told = {"series": series, "scrape": scrape, "trouble": trouble}
            recorded = recorded.model_copy(update=told)
        except Unmeasurable as trouble:
            if now < closed_at + _RECORD_WITHIN:
                raise Temporary(trouble.text) from None
            recorded = recorded.model_copy(update={"trouble": trouble.text})
        await self._repository.record(incident, lambda i: () if i.recorded else (recorded,))

    async def _gather(self, incident: str) -> None:
        current = await self._repository.load(incident)
        rule = self._rule(current)
        survey = self._survey(rule, current)
        await self._dossiers.gather(survey, rule, incident, self._active.now.dependencies)

    async def _step(self, incident: str, order: RunStep) -> None:
        current = await self._repository.load(incident)
        rule = self._active.now.rules.rules.get(current.rule)
        await self._dry_run_over(incident)
        await steps.run_step(self._repository, incident, rule, order, self.step_context)

    async def _rehearse(self, incident: str, effect: Rehearse) -> None:
        rule = self._rule(await self._repository.load(incident))
        if not effect.asked:
            await steps.rehearse(self._repository, incident, rule, effect.step, self.step_context)
            return
        await self._dry_run_over(incident)
        own = self._dry_runs[incident] = asyncio.create_task(
            dry_run(self._repository, incident, rule, effect.step, self.step_context)
        )
        try:
            await own
        finally:
            own.cancel()
            # One that is given up may end only after the next one has begun.
            if self._dry_runs.get(incident) is own:
                del self._dry_runs[incident]

    async def _dry_run_over(self, incident: str) -> None:
        """Two preflights of one target at once could each refuse the other."""
        if incident in self._dry_runs:
            await asyncio.wait([self._dry_runs[incident]])

    async def _look(self, rule: Rule, incident: Incident) -> Findings:
        """What the metrics say now, for the last look before a step acts."""
        return await self._last_look.findings(self._survey(rule, incident), rule, incident)

    async def _judge_revisions(
        self, rule: Rule, incident: Incident, lives: Sequence[Life]
    ) -> Mapping[str, HealthMark]:
        if incident.confirmed is None:
            return {}
        return await revision_health.judge_revisions(
            self._survey(rule, incident), incident.confirmed, lives
        )

    def _turn(self, rule: Rule, *, repeated: bool) -> AbstractAsyncContextManager[None]:
        """A turn to measure, of those of the rule's own server: others' do not wait for one that
        is slow or dead."""
        return self._turns[rule.prometheus or ""].turn(repeated=repeated)

    async def _read_part(self, rule: Rule, incident: Incident, part: PartDone) -> PartReading:
        problem, survey = incident.confirmed, self._survey(rule, incident)
        if problem is None:
            raise Temporary("nothing is confirmed that could be measured")
        return await read_part(survey, rule, problem, part)

    def _survey(self, rule: Rule, incident: Incident) -> Survey:
        dependencies, now = self._dependencies, self._repository.clock()
        server = dependencies.servers.of(rule)
        return Survey(
            server.metrics, rule.problem, incident.group_labels, now, server.max_age, server.name
        )

    def _rule(self, incident: Incident) -> Rule:
        rule = self._active.now.rules.rules.get(incident.rule)
        if rule is None:
            raise Temporary(f"the rule {incident.rule!r} is no longer there")
        return rule
