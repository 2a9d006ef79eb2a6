"""What goes wrong just when something was written, done or asked: the faults that are aimed.

Those that are in force for a while are met where they concern something (`Outside.fault`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal

from tests.simulation.loop import LIFE, Life
from tests.simulation.outside import Outside
from tests.simulation.replica import Replica
from tests.simulation.scenario import FAULTS_END, Fault, Item

AimedKind = Literal[
    "crash after that",
    "disk fails after that",
    "commit unknown at that",
    "replica suspended after that",
    "replica cut off after that",
    "clock forward after that",
]


class AimedFaults:
    """Counts what each daemon writes, does and asks for, and lets come what is aimed at that.
    `react` lets a person do something, `jump` a replica's clock jump by so many seconds; `tell`
    hears of it in words."""

    def __init__(
        self,
        outside: Outside,
        replicas: Sequence[Replica],
        react: Callable[[Item], Awaitable[None]],
        jump: Callable[[int, float], None],
        tell: Callable[[str], None],
    ) -> None:
        self._outside = outside
        self._replicas = replicas
        self._react_to = react
        self._jump = jump
        self.tell = tell
        self._loop = outside.loop
        self._script = outside.scenario.script
        self._commits: Counter[int] = Counter()
        self._done: Counter[str] = Counter()
        """How often each kind of thing was written, done, or asked of the store."""
        self._failing_until = 0.0
        self._cut_until: Counter[int] = Counter()
        """Until when a replica does not reach the store."""
        self._untold: set[int] = set()
        """The lives whose present commit is not answered, by their number."""
        self.held_up_until = 0.0
        """Until when calls may be late for what failed."""

    def disk_fails(self) -> bool:
        """Whether the store fails whoever asks now, or does not hear them."""
        life, now = LIFE.get(), self._loop.now
        cut = life is not None and (
            now < self._cut_until[life.replica]
            or self._outside.fault("replica cut off", str(life.replica)) is not None
        )
        return now < self._failing_until or cut or self._outside.fault("disk fails") is not None

    def before_commit(self, life: Life) -> None:
        """It may die over a commit, before it is made."""
        self._commits[life.replica] += 1
        if self._outside.counted("crash before a commit", self._commits[life.replica]):
            self._loop.end(life)

    def after_commit(self, life: Life) -> bool:
        """It may die once a commit is made; or not be told of it: then False."""
        number = self._commits[life.replica]
        if self._outside.counted("crash after a commit", number):
            self._loop.end(life)
        untold = life.number in self._untold
        self._untold.discard(life.number)
        return not untold and self._outside.counted("commit unknown", number) is None

    def did(self, life: Life, names: Sequence[str]) -> None:
        """A daemon has written these kinds of things, or done them: faults and people that are
        aimed at one of them come now, or soon."""
        for name in names:
            self._count(name)
            crash = self._aimed("crash after that", name)
            if crash and crash.size:
                self._loop.outside(crash.size, partial(self._crash, life))
            elif crash:
                self._loop.end(life)
            fails = self._aimed("disk fails after that", name)
            if fails:
                until = max(self._failing_until, self._loop.now + fails.size)
                self._failing_until = min(until, FAULTS_END)
                self.held_up_until = max(self.held_up_until, self._failing_until)
            if self._aimed("commit unknown at that", name):
                self._untold.add(life.number)
            jumps = self._aimed("clock forward after that", name)
            if jumps:
                self._jump(life.replica, jumps.size)
            self._goes_away(life, name)

    def asked(self, life: Life, names: Sequence[str]) -> None:
        """A daemon asks the store for these."""
        for name in names:
            self._count(f"ask {name}")
            number = self._done[f"ask {name}"]
            stops = self._outside.counted("replica suspended at work", number, name)
            if stops:
                self._suspend(life, stops.size, f"asks for {name}")

    def thread_delay(self) -> float:
        """Seconds that work in a thread waits for its turn."""
        slow, draw = self._outside.fault("disk slow"), self._loop.draw
        if slow:
            return self._outside.dice.random() * slow.size
        return 0.0 if draw.random() < 0.7 else draw.random() * 0.03

    # ── one of them ──────────────────────────────────────────────────────────────────────────

    def _aimed(self, kind: AimedKind, name: str) -> Fault | None:
        return self._outside.counted(kind, self._done[name], name)

    def _count(self, name: str) -> None:
        self._done[name] += 1
        for item in self._script:
            if item.kind == "reaction" and item.more[3:] == (name, self._done[name]):
                self._loop.outside(item.at, partial(self._react, item))

    def _react(self, item: Item) -> None:
        asyncio.ensure_future(self._react_to(item))  # noqa: RUF006 - its life is the simulation's

    def _crash(self, life: Life) -> None:
        if not self._outside.calm:
            self._loop.end(life)

    def _goes_away(self, life: Life, name: str) -> None:
        """It is suspended, or does not reach the store, from that moment on."""
        stops = self._aimed("replica suspended after that", name)
        if stops:
            self._suspend(life, stops.size, f"has done {name}")
        cut = self._aimed("replica cut off after that", name)
        if cut:
            until = min(self._loop.now + cut.size, FAULTS_END)
            self.tell(f"{life} does not reach the store until {until:.1f} s: it has done {name}")
            self._cut_until[life.replica] = until
            self._is_away(life, until)

    def _suspend(self, life: Life, seconds: float, why: str) -> None:
        if life.asleep or life.ended:
            return
        self.tell(f"{life} is suspended for {seconds} s while it {why}")
        self._is_away(life, self._loop.now + seconds)
        self._loop.suspend(life, seconds)

    def _is_away(self, life: Life, until: float) -> None:
        self._replicas[life.replica].away(self._loop.now, until)
        life.was_away.append((self._loop.now, until))
