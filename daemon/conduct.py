"""One incident at a time: read, decide, carry out, sleep until wake_at.

Incidents are conducted side by side, and so are the effects of one: a ten-minute rollback delays
no page. Whatever is under way is not started again; whatever a crash interrupted is decided
anew from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from structlog.contextvars import bind_contextvars

from daemon import communicate, define, diagnose, learn, measure, recover, verify, vet
from daemon.casebook import Casebook
from daemon.core import events as e
from daemon.core.approvals import Approvals
from daemon.core.decide import decide
from daemon.core.decision import Decision, Surroundings
from daemon.core.effects import (
    Effect,
    Listen,
    Measure,
    Publish,
    ReadRecovery,
    Rehearse,
    RunStep,
    SendPage,
    Settle,
    WriteReview,
    told,
)
from daemon.core.fold import METRICS
from daemon.core.freezes import FreezeWindows
from daemon.core.guardrails import Limits
from daemon.core.incident import Incident
from daemon.core.lives import Life
from daemon.core.outcome import Permanent, Temporary
from daemon.core.ports import Links, Metrics
from daemon.core.roster import Roster
from daemon.core.rules import Rule, RuleBook
from daemon.core.suspects import Change, Mark, Suspicion, suspect, unseen
from daemon.core.units import quantity
from daemon.gear import Actions, Findings, Gear, outlook
from daemon.measure import Survey
from daemon.observing import QUIET, UNTRACED, Observer, Said, Tracer

log = structlog.get_logger()

RETRY = timedelta(seconds=2)
"""How long a failed effect rests before it may be started again."""
PATIENCE = timedelta(seconds=10)
"""For so long the changes are asked for again, before a problem is defined without them."""
MAY_START = frozenset({"defining", "observing", "deciding", "diagnosing"})
"""The phases in which a step may be started, if only by a person."""
NOTED = timedelta(seconds=5)
"""A shorter sleep is not worth a write; until then the head says that a decision is due."""


@dataclass(frozen=True)
class Standing:
    """The rules, roster and approvals in force; replaced as a whole by a reload."""

    rules: RuleBook
    roster: Roster
    approvals: Approvals
    ways: communicate.Ways
    channels: communicate.Channels = field(default_factory=dict)
    freezes: FreezeWindows = field(default_factory=FreezeWindows)


@dataclass(frozen=True)
class Means:
    """What the conductor works with besides the journal.

    `outage`: the share of all scrape targets down, from which the monitoring is not believed.
    """

    metrics: Metrics
    max_age: timedelta
    actions: Actions
    limits: Limits
    outage: float
    changes: Callable[[Rule, Incident], Awaitable[list[Change]]]
    reviews: learn.Reviews
    links: Links
    observer: Observer = QUIET
    tracer: Tracer = UNTRACED


@dataclass
class _Flight:
    """The effects of one incident that are under way, and those that rest after a failure."""

    tasks: dict[Effect, asyncio.Task[None]] = field(default_factory=dict)
    resting: dict[Effect, datetime] = field(default_factory=dict)


class Conductor:
    """Conducts every open incident."""

    def __init__(self, book: Casebook, standing: Callable[[], Standing], means: Means) -> None:
        self._book = book
        self._standing = standing
        self._means = means
        self._closing = False
        self._conducted: set[str] = set()
        self._steps: set[asyncio.Task[None]] = set()
        self._flights: list[_Flight] = []
        self._gear = Gear(
            actions=means.actions,
            limits=means.limits,
            rules=lambda: standing().rules.rules,
            approvals=lambda: standing().approvals,
            closed=lambda scopes, now: standing().freezes.standing(scopes, now),
            look=self._look,
            vet=self._vet,
            tracer=means.tracer,
        )

    @property
    def tasks(self) -> tuple[int, int]:
        """How many incidents it conducts, and how many of their effects are under way."""
        return len(self._conducted), sum(len(flight.tasks) for flight in self._flights)

    async def drain(self, deadline: timedelta) -> None:
        """Start nothing more, and let running recovery actions end within the deadline."""
        self._closing = True
        if self._steps:
            log.info("waiting for recovery actions to end", count=len(self._steps))
            await asyncio.wait(self._steps, timeout=deadline.total_seconds())

    async def run(self) -> None:
        """Conduct all incidents, those that were open before the start first; until cancelled."""
        async with asyncio.TaskGroup() as group:
            left = [head.incident for head in await self._book.journal.open_heads()]
            for incident in [*left, *await learn.unfinished(self._book)]:
                self._begin(incident, group)
            while True:
                self._begin(await self._book.opened.get(), group)

    def _begin(self, incident: str, group: asyncio.TaskGroup) -> None:
        # An incident that opens during the start is among the open heads and in the queue.
        if incident not in self._conducted:
            self._conducted.add(incident)
            group.create_task(self._conduct(incident), name=f"conduct-{incident}")

    async def _conduct(self, incident: str) -> None:
        bind_contextvars(incident=incident)
        flight = _Flight()
        self._flights.append(flight)
        async with asyncio.TaskGroup() as effects:
            while not await self._turn(incident, flight, effects):
                pass
        self._flights.remove(flight)
        self._conducted.discard(incident)
        self._book.forget(incident)

    async def _turn(self, incident: str, flight: _Flight, effects: asyncio.TaskGroup) -> bool:
        """Decide, start what was decided, sleep until it must be looked at again; True when it
        is over. A defect met here ends neither this incident nor the others.
        """
        bell = self._book.bell(incident)
        bell.clear()
        try:
            decide_now, decision = await self._decide(incident)
            wake_at = self._launch(incident, decision, flight, effects)
            if decision.record:
                facts = ",".join(event.kind for event in decision.record)
                with self._means.tracer.span("decide", {"stopgap.facts": facts}, incident=incident):
                    await self._book.record(incident, lambda i: decide_now(i).record)
                return False
            current = await self._book.load(incident)
            idle = not decision.effects and not flight.tasks and wake_at is None
            if current.closed is not None and idle:
                return True
            # While effects are under way their end decides anew, so a note would be void at once.
            settled = not flight.tasks and not bell.is_set()
            if settled and wake_at is not None and wake_at - self._book.clock() >= NOTED:
                await self._book.note_wake(current, wake_at)
        except Temporary as error:
            log.error("the store fails; trying again", error=str(error))
            wake_at = self._book.clock() + RETRY
        except Exception:
            log.exception("deciding crashed; trying again")
            self._means.observer.crashed("conductor")
            wake_at = self._book.clock() + 5 * RETRY
        await self._sleep(bell, wake_at)
        return False

    async def _decide(self, incident: str) -> tuple[Callable[[Incident], Decision], Decision]:
        """How to decide in these surroundings, and what that comes to for the incident now."""
        current = await self._book.load(incident)
        standing = self._standing()
        rule = standing.rules.rules.get(current.rule)
        around = await self._surroundings(current, rule, standing)
        now = self._book.clock()

        def decide_now(then: Incident) -> Decision:
            return decide(then, rule, around, now)

        return decide_now, decide_now(current)

    async def _surroundings(
        self, incident: Incident, rule: Rule | None, standing: Standing
    ) -> Surroundings:
        views = {}
        if rule is not None and incident.phase in MAY_START:
            views = await outlook(self._book, rule, incident, self._gear)
        return Surroundings(standing.roster, standing.approvals, self._means.limits, views)

    def _launch(
        self, incident: str, decision: Decision, flight: _Flight, effects: asyncio.TaskGroup
    ) -> datetime | None:
        """Start the effects that are not under way; returns when to wake up."""
        if self._closing:
            return None
        now = self._book.clock()
        wakes = [decision.wake_at] if decision.wake_at is not None else []
        for effect in decision.effects:
            key = RunStep(effect.step) if isinstance(effect, RunStep) else effect
            if key in flight.tasks:
                continue
            if now < flight.resting.get(key, now):
                wakes.append(flight.resting[key])
                continue
            task = effects.create_task(
                self._carry_out(incident, effect, key, flight), name=f"{incident}-{effect}"
            )
            flight.tasks[key] = task
            if isinstance(effect, RunStep):
                self._steps.add(task)
                task.add_done_callback(self._steps.discard)
        return min(wakes, default=None)

    async def _carry_out(self, incident: str, effect: Effect, key: Effect, flight: _Flight) -> None:
        """One effect, which must not end the others when it fails."""
        name, said = told(effect)
        bind_contextvars(effect=name, **said)
        attributes: Said = {f"stopgap.{key}": value for key, value in said.items()}
        try:
            before = (await self._book.load(incident)).seq
            with self._means.tracer.span(name, attributes, incident=incident):
                await self._effect(incident, effect)
            if (await self._book.load(incident)).seq == before:
                # It changed nothing, so it would be decided again at once, and again.
                flight.resting[key] = self._book.clock() + RETRY
        except (Temporary, Permanent) as error:
            log.warning("effect failed; it rests before it is tried again", error=str(error))
            flight.resting[key] = self._book.clock() + RETRY
        except Exception:
            log.exception("effect crashed; it rests before it is tried again")
            self._means.observer.crashed("effect")
            flight.resting[key] = self._book.clock() + 5 * RETRY
        finally:
            flight.tasks.pop(key, None)
            self._book.bell(incident).set()

    def _effect(self, incident: str, effect: Effect) -> Awaitable[None]:
        means, standing = self._means, self._standing()
        match effect:
            case SendPage():
                return communicate.deliver(
                    self._book, incident, effect.page, standing.ways, means.links
                )
            case Publish():
                return communicate.publish(
                    self._book,
                    incident,
                    effect,
                    standing.channels,
                    means.links,
                    standing.roster,
                )
            case Settle():
                return communicate.settle(self._book, incident, effect, standing.ways)
            case Listen():
                return self._listen(incident)
            case Measure():
                return self._define(incident)
            case ReadRecovery():
                return self._read(incident, effect.step)
            case RunStep():
                return self._step(incident, effect)
            case Rehearse():
                return self._rehearse(incident, effect.step)
            case WriteReview():
                return learn.write_review(self._book, incident, means.reviews)

    async def _define(self, incident: str) -> None:
        current = await self._book.load(incident)
        rule = self._rule(current)
        changes, blind = await self._changes(rule, current)
        problem = await define.define(self._survey(rule, current), changes)
        suspicion: Suspicion | None = None
        if problem.verdict == "confirmed" and (rule.changes or changes or blind):
            within = problem.onset_within or timedelta(0)
            facts = await diagnose.facts(self._survey(rule, current), rule, changes, problem)
            suspicion = suspect(changes, problem.onset, within, facts, self._book.clock())
            suspicion = unseen(suspicion, blind) if blind else suspicion
        defined = e.ProblemDefined(problem=problem, suspicion=suspicion)
        log.info("problem", verdict=problem.verdict, text=problem.text)
        await self._book.record(
            incident, lambda i: () if i.closed or i.confirmed is not None else (defined,)
        )

    async def _changes(self, rule: Rule, incident: Incident) -> tuple[list[Change], str]:
        """What was changed, or why that cannot be seen. The measurement is worth having all the
        same, but a suspect is worth asking for a little longer."""
        until = self._book.clock() + PATIENCE
        while True:
            try:
                return await self._means.changes(rule, incident), ""
            except (Temporary, Permanent) as error:
                log.warning("changes cannot be seen", rule=rule.rule, error=str(error))
                if isinstance(error, Permanent) or self._book.clock() + RETRY > until:
                    return [], str(error)
            await asyncio.sleep(RETRY.total_seconds())

    async def _read(self, incident: str, step: int) -> None:
        current = await self._book.load(incident)
        if current.confirmed is None:
            return
        rule = self._rule(current)
        reading = await verify.read(self._survey(rule, current), rule.verify, current.confirmed)
        measured = e.RecoveryMeasured(step=step, reading=reading)
        await self._book.record(incident, lambda i: () if i.closed else (measured,))

    async def _listen(self, incident: str) -> None:
        current = await self._book.load(incident)
        rule = self._rule(current)
        answers = await self._survey(rule, current).impacts(rule.problem.sentiment)
        heard = [
            e.SentimentHeard(
                source=METRICS,
                text=f"{a.name}: {a.trouble if a.value is None else quantity(a.value)}",
                value=a.value,
            )
            for a in answers
        ]
        await self._book.record(incident, lambda i: () if i.closed else heard)

    async def _step(self, incident: str, order: RunStep) -> None:
        current = await self._book.load(incident)
        rule = self._standing().rules.rules.get(current.rule)
        await recover.run_step(self._book, incident, rule, order, self._gear)

    async def _rehearse(self, incident: str, step: int) -> None:
        rule = self._rule(await self._book.load(incident))
        await recover.rehearse(self._book, incident, rule, step, self._gear)

    async def _look(self, rule: Rule, incident: Incident) -> Findings:
        """What the metrics say now, for the last look before a step acts."""
        survey, means = self._survey(rule, incident), self._means
        if incident.confirmed is None:
            return Findings(None, {}, "")
        reading, outage, alerting = await asyncio.gather(
            verify.read(survey, rule.verify, incident.confirmed),
            measure.outage(means.metrics, survey.now, means.outage),
            measure.alerting(means.metrics, survey.now, means.limits.storm_window),
        )
        return Findings(reading, survey.asked, outage, alerting)

    async def _vet(
        self, rule: Rule, incident: Incident, lives: Sequence[Life]
    ) -> Mapping[str, Mark]:
        if incident.confirmed is None:
            return {}
        return await vet.vet(self._survey(rule, incident), incident.confirmed, lives)

    def _survey(self, rule: Rule, incident: Incident) -> Survey:
        means, now = self._means, self._book.clock()
        return Survey(means.metrics, rule.problem, incident.group_labels, now, means.max_age)

    def _rule(self, incident: Incident) -> Rule:
        rule = self._standing().rules.rules.get(incident.rule)
        if rule is None:
            raise Temporary(f"the rule {incident.rule!r} is no longer there")
        return rule

    async def _sleep(self, bell: asyncio.Event, wake_at: datetime | None) -> None:
        seconds = None if wake_at is None else (wake_at - self._book.clock()).total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return
