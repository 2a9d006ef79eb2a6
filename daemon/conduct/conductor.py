"""One incident at a time: read, decide, carry out, sleep until wake_at.

Incidents are conducted side by side, and so are the effects of one: a ten-minute rollback delays
no page. Whatever is under way is not started again; whatever a crash interrupted is decided
anew from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from structlog.contextvars import bind_contextvars

from daemon.conduct.executor import Executor, Means, Standing
from daemon.core.decide import decide
from daemon.core.decision import Decision
from daemon.core.effects import Effect, RunStep, told
from daemon.core.incident.state import Incident
from daemon.core.recovery.situation import Surroundings
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import Said
from daemon.recovering.step_context import outlook
from daemon.reporting import reviews as learn
from daemon.repository import Casebook

log = structlog.get_logger()

RETRY = timedelta(seconds=2)
"""How long a failed effect rests before it may be started again."""
MAY_START = frozenset({"defining", "observing", "deciding", "diagnosing"})
"""The phases in which a step may be started, if only by a person."""
NOTED = timedelta(seconds=5)
"""A shorter sleep is not worth a write; until then the head says that a decision is due."""


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
        self._executor = Executor(book, standing, means)

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
            views = await outlook(self._book, rule, incident, self._executor.gear)
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
                await self._executor.execute(incident, effect)
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

    async def _sleep(self, bell: asyncio.Event, wake_at: datetime | None) -> None:
        seconds = None if wake_at is None else (wake_at - self._book.clock()).total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return
