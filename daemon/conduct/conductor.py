"""One incident at a time: read, decide, carry out, sleep until wake_at.

Incidents are conducted side by side, and so are the effects of one: a ten-minute rollback delays
no page. Whatever is under way is not started again; whatever a crash interrupted is decided
anew from the journal. Of several replicas each conducts what is its own, and gives up what it has
lost as if it had crashed there (`daemon.conduct.leases`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from structlog.contextvars import bind_contextvars

from daemon.conduct.executor import ConductDependencies, Executor, Stage
from daemon.conduct.flights import REST, Flight, effect_key
from daemon.conduct.pulse import BEAT_SECONDS, Pulse
from daemon.conduct.starting import left_behind
from daemon.config.active import ActiveConfig, Live
from daemon.core.decide import settle_decision
from daemon.core.decision import (
    Decision,
    Effect,
    RunStep,
    SendPage,
    claim_of,
    effect_label,
    needs_claim,
    reads_journal,
)
from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.events import FORMAT
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import ClaimRefused
from daemon.core.ports.replicas import NotOurs, NotOwner, must_act
from daemon.core.recovery.plan import Outlook
from daemon.core.recovery.situation import Surroundings
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import SpanAttributes
from daemon.recovering import steps
from daemon.recovering.step_context import outlook
from daemon.repository import IncidentRepository, Stale, UnknownIncident

_log = structlog.get_logger()

NOTED = timedelta(seconds=5)
"""A shorter sleep is not worth a write; until then the head says that a decision is due."""


@dataclass(frozen=True)
class _Turn:
    """What one look at an incident came to: facts to write down, and the decision after them."""

    rule: Rule | None
    facts: Sequence[e.Event]
    decision: Decision


class Conductor:
    """Conducts every open incident. `prepare` is done before the first is looked at."""

    def __init__(
        self,
        repository: IncidentRepository,
        active: Live[ActiveConfig],
        dependencies: ConductDependencies,
        drills: Callable[[DrillMark], Stage | None] = lambda _: None,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._repository = repository
        self._dependencies = dependencies
        self._drills = drills
        self._prepare = prepare
        self._closing = False
        self._conducted: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()
        self._outward: set[asyncio.Task[None]] = set()
        self._flights: list[Flight] = []
        self._executor = Executor(repository, Stage(active, dependencies))
        self._drilling: dict[str, Executor] = {}
        self.pulse = Pulse()
        repository.listeners.append(self._on_append)
        repository.opening_listeners.append(self._on_opening)

    @property
    def tasks(self) -> tuple[int, int]:
        """How many incidents it conducts, and how many of their effects are under way."""
        return len(self._conducted), sum(len(flight.tasks) for flight in self._flights)

    async def drain(self, deadline: timedelta) -> None:
        """Start nothing more; let running actions, pages and updates end within the deadline."""
        self._closing = True
        if self._outward:
            _log.info("waiting for actions, pages and updates to end", count=len(self._outward))
            await asyncio.wait(self._outward, timeout=deadline.total_seconds())

    async def run(self) -> None:
        """Conduct all incidents, those that were open before the start first; until cancelled."""
        async with asyncio.TaskGroup() as group:
            left = await left_behind(self._repository, self._prepare)
            ours = filter(self._repository.ownership.owns, left)
            for incident in [*ours, *self._repository.owing]:
                self._begin(incident, group)
                # Whoever is called for the first of them is not called after a look at them all.
                await asyncio.sleep(0)
                while not self._repository.opened.empty():
                    self._begin(self._repository.opened.get_nowait(), group)
            while True:
                self.pulse.goes_round()
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_SECONDS):
                        self._begin(await self._repository.opened.get(), group)

    def take(self, incidents: Collection[str]) -> None:
        """Conduct these, which are ours now."""
        for incident in incidents:
            self._repository.read_anew(incident)
            self._repository.opened.put_nowait(incident)

    def give_up(self, incidents: Collection[str]) -> None:
        """Conduct these no more, which are not ours now: whatever is under way is cancelled, and
        leaves what the next owner understands as it would understand a crash."""
        for incident in incidents:
            task = self._conducted.get(incident)
            if task is not None:
                self._given_up.add(incident)
                task.cancel()

    def _begin(self, incident: str, group: asyncio.TaskGroup) -> None:
        # An incident that opens during the start is among the open heads and in the queue.
        if incident not in self._conducted:
            task = group.create_task(self._conduct(incident), name=f"conduct-{incident}")
            self._conducted[incident] = task
            # Of a task that is cancelled before it began nothing runs, and no `finally` either.
            task.add_done_callback(partial(self._gone, incident))
            self.pulse.begins(incident, task)
        elif incident in self._given_up:  # it was lost and won back: once its effects have ended
            again = partial(self._repository.opened.put_nowait, incident)
            self._conducted[incident].add_done_callback(lambda _: again())

    def _on_opening(self, opening: Incident) -> None:
        """What is measured first does not wait for the disk; a drill's stage is another."""
        if opening.drill is None and not self._closing and self._repository.ownership.may_act():
            self._executor.foresee(opening)

    def _on_append(self, _: Incident | None, after: Incident, __: Sequence[e.Event]) -> None:
        """What people do about a closed incident, such as send its last word, is carried out, too,
        though nobody conducts it any more."""
        if after.closed is None or after.id in self._conducted:
            return
        if self._repository.ownership.owns(after.id):
            self._repository.opened.put_nowait(after.id)
        else:
            self._repository.ownership.wants(after.id)

    async def _conduct(self, incident: str) -> None:
        bind_contextvars(incident=incident)
        flight = Flight()
        self._flights.append(flight)
        try:
            async with asyncio.TaskGroup() as effects:
                while not await self._turn(incident, flight, effects):
                    pass
                if not flight.tasks:
                    # Nothing is awaited before what comes now is noticed.
                    self._end(incident, meant=True)
                else:
                    # It is not ours, or not for now: only once these have ended it may be begun
                    # with anew, or two of one effect would be under way.
                    self._given_up.add(incident)
                    for effect in flight.tasks.values():
                        effect.cancel()
        finally:
            self._flights.remove(flight)
            self._drilling.pop(incident, None)
            self._gone(incident, asyncio.current_task())

    def _gone(self, incident: str, task: asyncio.Task[None] | None) -> None:
        """That task conducts it no more, however it has ended."""
        if self._conducted.get(incident) is task:
            self._end(incident, meant=incident in self._given_up)

    def _end(self, incident: str, *, meant: bool) -> None:
        """It is conducted no more."""
        if meant:
            self.pulse.ends(incident)  # else its task has died, which has to be noticed
            # What was given up may have been won back meanwhile, and be read anew.
            given_up = incident in self._given_up
            if not given_up and self._repository.at_hand(incident) is None:
                self._repository.ownership.over(incident)
        self._conducted.pop(incident, None)
        self._given_up.discard(incident)
        self._repository.leave(incident)
        if not meant:
            self._repository.read_anew(incident)  # whoever reads it next has it conducted anew
        elif incident in self._repository.owing:
            self._repository.opened.put_nowait(incident)  # to pay, whosever it is now

    def _executor_of(self, incident: Incident) -> Executor:
        """Who carries out its effects: the real one, or in a drill one that touches nothing real.
        Raises Temporary while the drill's stage is not set."""
        if incident.drill is None:
            return self._executor
        executor = self._drilling.get(incident.id)
        if executor is None:
            stage = self._drills(incident.drill)
            if stage is None:
                raise Temporary(f"the stage of the drill {incident.drill.run} is not set")
            executor = self._drilling[incident.id] = Executor(self._repository, stage)
        return executor

    async def _turn(self, incident: str, flight: Flight, effects: asyncio.TaskGroup) -> bool:
        """Decide, start what was decided, sleep until it must be looked at again; True when it
        is over. A defect met here ends neither this incident nor the others.
        """
        bell = self._repository.bell(incident)
        bell.clear()
        flight.wake_rested()
        self.pulse.turns(incident)
        wake_at, pause = None, None
        try:
            await self._repository.pay(incident)
            if not self._repository.ownership.owns(incident):
                return True
            before = await self._repository.load(incident)
            if before.format > FORMAT:
                _log.warning(
                    "left to a newer stopgap, which has written what this one cannot judge",
                    kinds=before.beyond,
                )
                return True
            executor = self._executor_of(before)
            views = await self._outlook(before, executor)
            # What was told meanwhile counts, too: a steady stream of news must not make each
            # decision stale before it is made. The store asks again before a step may start.
            current = await self._repository.load(incident)
            turn = self._decide(current, executor.stage, views)
            current = await self._act(current, turn, flight, effects)
            wake_at, busy = turn.decision.wake_at, flight.tasks or flight.resting
            if current.closed is not None and wake_at is None and not busy:
                return True
            # While effects are under way their end decides anew, and what rests does so soon: a
            # note would be void at once.
            # What is closed is taken up at a start for what is pending, not for a time noted.
            idle = current.closed is None and not busy and not bell.is_set()
            if idle and wake_at is not None and wake_at - self._repository.clock() >= NOTED:
                await self._repository.note_wake(current, wake_at)
        except Stale:
            return False
        except NotOwner as refusal:
            _log.warning("this incident is conducted elsewhere", why=str(refusal))
            return True
        except UnknownIncident:
            _log.error("an incident that something was owed to is not in the store")
            return True
        except Temporary as error:
            _log.error("the store fails; trying again", error=str(error))
            wake_at, pause = None, REST
        except Exception:
            _log.exception("deciding crashed; trying again")
            self._dependencies.observer.crashed("conductor")
            wake_at, pause = None, 5 * REST
        await self._sleep(incident, bell, wake_at, flight.next_end(pause))
        return False

    async def _outlook(self, incident: Incident, executor: Executor) -> dict[int, Outlook]:
        """What stands in the way of the steps that are looked at now."""
        rule = executor.stage.active.now.rules.rules.get(incident.rule)
        if rule is None:
            return {}
        return await outlook(self._repository, rule, incident, executor.step_context)

    def _decide(self, current: Incident, stage: Stage, views: Mapping[int, Outlook]) -> _Turn:
        """What to write down and to do in these surroundings."""
        config = stage.active.now
        rule = config.rules.rules.get(current.rule)
        limits, dependencies = stage.dependencies.limits, config.dependencies
        withdrawn = stage.dependencies.withdrawn(current.rule)
        storm = stage.dependencies.storm_of(current)
        around = Surroundings(
            config.roster,
            config.approvals,
            limits,
            views,
            dependencies,
            withdrawn,
            stage.dependencies.places.policy,
            storm,
            storm is None and stage.dependencies.gathers(current, stage.dependencies.page_hold),
            stage.dependencies.silence_for,
            stage.dependencies.page_hold,
            stage.dependencies.maintenance(),
        )
        facts, decision = settle_decision(current, rule, around, self._repository.clock())
        return _Turn(rule, facts, decision)

    async def _act(
        self, incident: Incident, turn: _Turn, flight: Flight, effects: asyncio.TaskGroup
    ) -> Incident:
        """Write down what was decided, and start the effects that are not under way: at once, or
        after the append if they read what it wrote. None while this replica may not act.

        What may not be done twice is claimed in the same append: if the incident has moved on
        since it was read, nothing is written and nothing of that begins. Raises Stale, NotOwner,
        Temporary.
        """
        claims: dict[Effect, steps.StepStart | e.EffectClaimed] = {}
        after: list[Effect] = []
        idle = self._closing or not self._repository.ownership.may_act()
        for effect in [] if idle else self._due(incident.id, turn.decision, flight):
            if not needs_claim(effect):
                if turn.facts and reads_journal(effect):
                    after.append(effect)
                else:
                    self._launch(incident.id, effect, flight, effects)
                continue
            claim = self._claim_for(incident, turn.rule, effect)
            if claim is not None:
                claims[effect] = claim
        if not turn.facts and not claims:
            return incident
        pages = {(incident.id, x.page) for x in claims if isinstance(x, SendPage)}
        self._repository.attempts |= pages
        try:
            incident = await self._claim(incident, turn.facts, claims.values(), flight)
        except BaseException:
            self._repository.attempts -= pages
            raise
        for effect in (*claims, *after):
            self._launch(incident.id, effect, flight, effects)
        return incident

    def _claim_for(
        self, incident: Incident, rule: Rule | None, effect: Effect
    ) -> steps.StepStart | e.EffectClaimed | None:
        """What is written down before the effect begins; None for a step that fits no more."""
        if not isinstance(effect, RunStep) or incident.step(effect.step).status == "running":
            return claim_of(effect)
        step_context = self._executor_of(incident).step_context
        now = self._repository.clock()
        return steps.start_step(incident, rule, effect, step_context, now) if rule else None

    async def _claim(
        self,
        incident: Incident,
        facts: Sequence[e.Event],
        claims: Collection[steps.StepStart | e.EffectClaimed],
        flight: Flight,
    ) -> Incident:
        """One append for all of it. What the store refuses at the last moment rests."""
        start = next((claim for claim in claims if isinstance(claim, steps.StepStart)), None)
        events = [claim.event if isinstance(claim, steps.StepStart) else claim for claim in claims]
        kinds = ",".join(event.kind for event in facts)
        try:
            with self._dependencies.tracer.span(
                "decide", {"stopgap.facts": kinds}, incident=incident.id
            ):
                return await self._repository.claim(
                    incident, (*facts, *events), start.lock if start else None
                )
        except ClaimRefused as refusal:
            if start is None:
                raise
            flight.rest(RunStep(start.event.step))
            await steps.refuse(self._repository, incident.id, start.event.step, refusal)
            raise Stale from None

    def _due(self, incident: str, decision: Decision, flight: Flight) -> list[Effect]:
        """The effects that are neither under way, here or elsewhere, nor at rest."""
        due = []
        for effect in decision.effects:
            key = effect_key(effect)
            if (
                isinstance(effect, SendPage)
                and (incident, effect.page) in self._repository.attempts
            ):
                if key not in flight.tasks:
                    flight.rest(key)
            elif key not in flight.tasks and key not in flight.resting:
                due.append(effect)
        return due

    def _launch(
        self, incident: str, effect: Effect, flight: Flight, effects: asyncio.TaskGroup
    ) -> None:
        key = effect_key(effect)
        task = effects.create_task(
            self._carry_out(incident, effect, key, flight), name=f"{incident}-{effect}"
        )
        flight.tasks[key] = task
        if isinstance(effect, SendPage):
            attempts, attempt = self._repository.attempts, (incident, effect.page)
            # Of a task that is cancelled before it began nothing runs, and no `finally` either.
            task.add_done_callback(lambda t: attempts.discard(attempt) if t.cancelled() else None)
        if needs_claim(effect):
            self._outward.add(task)
            task.add_done_callback(self._outward.discard)

    async def _carry_out(self, incident: str, effect: Effect, key: Effect, flight: Flight) -> None:
        """One effect, which must not end the others when it fails."""
        name, details = effect_label(effect)
        bind_contextvars(effect=name, **details)
        attributes: SpanAttributes = {f"stopgap.{key}": value for key, value in details.items()}
        try:
            before = await self._repository.load(incident)
            must_act(self._repository.ownership, incident)
            with self._dependencies.tracer.span(name, attributes, incident=incident):
                await self._executor_of(before).execute(incident, effect)
            if (await self._repository.load(incident)).seq == before.seq:
                # It changed nothing, so it would be decided again at once, and again.
                flight.rest(key)
        except (NotOwner, NotOurs) as refusal:
            _log.warning("effect left to whoever conducts the incident", why=str(refusal))
            flight.rest(key)
        except (Temporary, Permanent) as error:
            _log.warning("effect failed; it rests before it is tried again", error=str(error))
            flight.rest(key)
        except Exception:
            _log.exception("effect crashed; it rests before it is tried again")
            self._dependencies.observer.crashed("effect")
            flight.rest(key, 5 * REST)
        finally:
            flight.tasks.pop(key, None)
            if isinstance(effect, SendPage):
                self._repository.attempts.discard((incident, effect.page))
            self._repository.ring(incident)

    async def _sleep(
        self, incident: str, bell: asyncio.Event, wake_at: datetime | None, seconds: float | None
    ) -> None:
        """Until it rings; no longer than to `wake_at`, or for so many seconds."""
        if wake_at is not None:
            due = (wake_at - self._repository.clock()).total_seconds()
            seconds = due if seconds is None else min(due, seconds)
        self.pulse.sleeps(incident, seconds)
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return
