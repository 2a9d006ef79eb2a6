"""The world outside: services and their Prometheus, phones, a channel, what actions act on.

It keeps its own record of what was really done to it, which is what the invariants are judged by:
not what a journal says, but what rang and what was run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.ports.notification import Message, Page, Receipt
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import Frozen
from tests.fakes import Service
from tests.simulation.loop import LIFE, Life, SimulationLoop
from tests.simulation.scenario import STORM_SERVICES, Fault, FaultKind, Scenario
from tests.simulation.setting import TARGETS

T = TypeVar("T")
SLOWEST_PAGER = 9.5
"""Seconds. One that answers at the very moment at which it is given up has rung, which nobody can
know, and the next way rings too."""
USUAL = 0.002
"""The share of failures of a service that is well."""


@dataclass(frozen=True)
class Rang:
    """A phone rang. `answered`: its daemon got to know."""

    at: float
    life: int
    incident: str
    page: str
    person: str
    way: str
    answered: bool


@dataclass(frozen=True)
class Posted:
    """A channel showed a version of an update."""

    at: float
    life: int
    incident: str
    update: str
    version: int
    answered: bool


@dataclass
class Run:
    """An action was begun on a target. `ended_at`: it can do nothing more to it; `awaited`: its
    daemon has not yet got to know, or given it up."""

    at: float
    life: Life
    token: str
    action: str
    target: str
    ended_at: float | None = None
    awaited: bool = True


@dataclass(frozen=True)
class Checked:
    """What the target answered to whether an action came true."""

    at: float
    token: str
    landed: Landed


@dataclass
class Record:
    """All that was really done."""

    rings: list[Rang] = field(default_factory=list)
    posts: list[Posted] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)


class Outside:
    """The world of one simulation. `told`: hears in words of all that happens, for the trace."""

    def __init__(self, scenario: Scenario, loop: SimulationLoop) -> None:
        self.scenario = scenario
        self.loop = loop
        self.record = Record()
        self.dice = random.Random(f"world {scenario.order_seed}")  # noqa: S311 - reproducible
        self.services = {name: Service(errors=[(-7200.0, USUAL)]) for name in STORM_SERVICES}
        self.root = Service(others=self.services, answer_after=0.0)
        self.heals: dict[str, str] = {}
        """Service → the action that mends it."""
        self.landed: dict[str, Landed] = {}
        """What became of each action, by its token: the truth."""
        self.told: Callable[[str], None] = lambda _: None
        self.rang: Callable[[Rang], None] = lambda _: None
        self.ran: Callable[[Run], None] = lambda _: None
        self.posted: Callable[[Posted], None] = lambda _: None
        self.met: set[FaultKind] = set()
        """The kinds of faults that something ran into."""
        self.did: Callable[[Life, Sequence[str]], None] = lambda _, __: None
        self.calm = False
        self._effects: dict[tuple[int, str], int] = {}
        self._runs_begun = 0

    # ── faults ───────────────────────────────────────────────────────────────────────────────

    def fault(self, kind: FaultKind, what: str = "") -> Fault | None:
        """The fault of that kind that is in force now, for that person or thing."""
        if self.calm:
            return None
        for fault in self.scenario.faults:
            if fault.kind == kind and fault.on(self.loop.now) and fault.what in {"", what}:
                self.met.add(kind)
                return fault
        return None

    def counted(self, kind: FaultKind, number: int, what: str = "") -> Fault | None:
        """The fault of that kind that is to be met at this occasion."""
        if self.calm:
            return None
        for fault in self.scenario.faults:
            if fault.kind == kind and fault.count == number and fault.what == what:
                self.met.add(kind)
                return fault
        return None

    async def effect(self, what: str, do: Callable[[], T], takes: float = 0.05) -> T:
        """Something is done to the world, whose answer a daemon waits for; it may die around it."""
        life, asker = LIFE.get(), copy_context()
        assert life is not None
        answer: asyncio.Future[T] = self.loop.create_future()

        def happens() -> None:
            if answer.cancelled():
                return  # the connection was closed before it came through
            numbers = []
            for name in ("", what):
                number = self._effects[(life.replica, name)] = (
                    self._effects.get((life.replica, name), 0) + 1
                )
                numbers.append((name, number))
            for name, number in numbers:
                if self.counted("crash before an effect", number, name):
                    self.loop.end(life)
            if life.ended:
                return
            done = asker.run(do)
            self.did(life, [f"effect {what}"])
            for name, number in numbers:
                if self.counted("crash after an effect", number, name):
                    self.loop.end(life)
            if not life.ended:
                answer.set_result(done)

        # What is on its way comes through, also while who sent it is suspended.
        self.loop.outside(self.dice.random() * takes, happens)
        done = await answer
        await asyncio.sleep(self.dice.random() * takes)
        return done

    # ── what a script does to it ─────────────────────────────────────────────────────────────

    def trouble(self, service: str, share: float, heals: str) -> None:
        """The service begins to fail."""
        self.services[service].fails(share, self.loop.now)
        self.heals[service] = heals
        if heals == "itself":
            self.loop.outside(100.0, lambda: self.mend(service))

    def mend(self, service: str) -> None:
        """The service is well again."""
        self.services[service].fails(USUAL, self.loop.now)

    def acted(self, action: str, target: str) -> None:
        """An action has changed its target."""
        for service, aimed in TARGETS.items():
            if aimed == target and self.heals.get(service) == action:
                self.mend(service)


class Prometheus:
    """What answers queries, however it feels."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        source = await self._source()
        return self._told(await source.instant(query, at))

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        source = await self._source()
        return self._told(await source.series(query, start, end, step))

    async def _source(self) -> Service:
        outside = self._outside
        slow = outside.fault("prometheus slow")
        seconds = slow.size if slow else 0.1
        await asyncio.sleep(outside.dice.random() * seconds)
        if outside.fault("prometheus down"):
            raise Temporary("the simulated Prometheus does not answer")
        lies = outside.fault("prometheus lies")
        if lies is None:
            return outside.root
        liar = Service(errors=[(-7200.0, lies.size)], answer_after=0.0)
        return replace(outside.root, others=dict.fromkeys(STORM_SERVICES, liar))

    def _told(self, answer: QueryAnswer) -> QueryAnswer:
        if self._outside.fault("prometheus warns"):
            return replace(answer, warnings=("a store did not answer",))
        return answer


class Phone:
    """One way to one person."""

    def __init__(self, outside: Outside, person: str, way: str) -> None:
        self._outside = outside
        self._person = person
        self._way = way

    async def page(self, page: Page) -> str:
        outside = self._outside
        slow = outside.fault("pager slow", self._person)
        if slow:
            await asyncio.sleep(min(slow.size * 2, SLOWEST_PAGER))
        if outside.fault("pager down", self._person):
            raise Temporary("the simulated pager is away")
        if self._way == "phone-1" and outside.fault("pager broken", self._person):
            raise Permanent("the simulated phone is broken")
        lost = outside.fault("pager loses answers", self._person)
        await outside.effect("page", lambda: self._ring(page, answered=lost is None))
        if lost:
            raise Temporary("the simulated pager's answer was lost")
        return "rang"

    def _ring(self, page: Page, *, answered: bool) -> None:
        outside, life = self._outside, LIFE.get()
        rang = Rang(
            outside.loop.now,
            life.number if life else 0,
            page.incident,
            page.page,
            page.person,
            self._way,
            answered,
        )
        outside.record.rings.append(rang)
        outside.told(f"{self._way} of {page.person} rings: {page.incident}/{page.page}")
        outside.rang(rang)


class Room:
    """The channel that the responders' updates go to."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def post(self, message: Message) -> Receipt:
        outside = self._outside
        if outside.fault("channel down"):
            raise Temporary("the simulated channel is away")
        lost = outside.fault("channel loses answers")
        await outside.effect("post", lambda: self._show(message, answered=lost is None))
        if lost:
            raise Temporary("the simulated channel's answer was lost")
        return Receipt("posted", f"post-{message.update}")

    def _show(self, message: Message, *, answered: bool) -> None:
        outside, life = self._outside, LIFE.get()
        posted = Posted(
            outside.loop.now,
            life.number if life else 0,
            message.incident,
            message.update,
            message.version,
            answered,
        )
        outside.record.posts.append(posted)
        outside.told(f"the room shows {message.incident}/{message.update} v{message.version}")
        outside.posted(posted)


Step = Literal["begun", "half", "done"]


class SimulatedAction:
    """An action whose target goes on by itself once it was asked to, whoever lives then."""

    class Params(Frozen):
        """The target."""

        target: str

    risk = "it can be undone by the same action"

    def __init__(self, outside: Outside, name: str) -> None:
        self._outside = outside
        self.name = name

    def allowed(self, params: Any) -> str | None:
        return None

    def target(self, params: Any) -> str:
        return str(params.target)

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        await asyncio.sleep(self._outside.dice.random())
        return Ready(f"do {self.name}", {"from": "v2", "to": "v1"})

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        outside, token, target = self._outside, context.token, str(params.target)
        outside._runs_begun += 1
        number = outside._runs_begun
        fails = outside.counted("action fails", number)
        hangs = outside.counted("action hangs", number)
        half = outside.counted("action is half done", number)
        lost = outside.counted("action's answer is lost", number)
        takes = 1 + outside.dice.random() * 8
        begun: list[Run] = []

        def begin() -> Run:
            run = self._begin(token, target)
            begun.append(run)
            if not fails:
                self._go_on(run, takes, stops_half=half is not None)
            return run

        try:
            run = await outside.effect("run", begin)
            if fails:
                await asyncio.sleep(takes / 4)
                outside.landed[token] = "not_done"
                run.ended_at = outside.loop.now
                return Outcome(result="failed", reason="simulated", detail="exit code 1")
            await asyncio.sleep(takes + 0.1)
            if hangs:
                await asyncio.sleep(3600)
            if half:
                raise Temporary("the simulated target answered 500 halfway")
            if lost:
                raise TimeoutError("the simulated target's answer was lost")
            return Outcome(result="done", reason="done", detail="it is done")
        finally:
            # A crash does not come by here, and nobody tells the target that it is not awaited.
            for one in begun:
                one.awaited = False

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        outside, token = self._outside, context.token
        await asyncio.sleep(outside.dice.random())
        if outside.fault("action cannot be checked"):
            raise Temporary("the simulated target cannot be looked at")
        landed = outside.landed.get(token, "not_done")
        outside.record.checks.append(Checked(outside.loop.now, token, landed))
        outside.told(f"{token} is looked at: {landed}")
        return landed

    def _begin(self, token: str, target: str) -> Run:
        outside, life = self._outside, LIFE.get()
        assert life is not None
        run = Run(outside.loop.now, life, token, self.name, target)
        outside.record.runs.append(run)
        outside.landed[token] = "half_done"
        outside.told(f"{self.name} begins on {target}: {token} by {life}")
        outside.ran(run)
        return run

    def _go_on(self, run: Run, takes: float, *, stops_half: bool) -> None:
        outside = self._outside

        def end() -> None:
            abandoned = run.life.ended and outside.dice.random() < 0.5
            run.ended_at = outside.loop.now
            if stops_half or abandoned:
                outside.told(f"{run.token} stays half done")
                return
            outside.landed[run.token] = "done"
            outside.told(f"{run.token} is done")
            outside.acted(self.name, run.target)

        outside.loop.outside(takes, end)


def actions(outside: Outside) -> dict[str, SimulatedAction]:
    """The catalogue."""
    return {name: SimulatedAction(outside, name) for name in ("rollback", "flag_off")}


def ways(outside: Outside, people: Sequence[str]) -> dict[str, list[tuple[str, Phone]]]:
    """Two ways to each person."""
    return {
        person: [(way, Phone(outside, person, way)) for way in ("phone-1", "phone-2")]
        for person in people
    }
