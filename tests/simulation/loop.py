"""An event loop without selector or threads, in a time of its own, whose order is drawn by a seed.

One ready callback runs at a time, drawn at random; the clock moves only when nothing is ready.
What would be work for a thread runs as a callback, at a moment that is drawn too.

Every callback belongs to a `Life` (a run of one daemon) or to the world outside: a context
variable says to which, and asyncio hands it on to whatever a callback starts. Once a life has
ended, none of its callbacks runs any more: no `finally`, no `except CancelledError`, as after
kill -9. `on_step` may end it before any of its callbacks.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Order = Literal["drawn", "mostly first", "first"]
"""Which of the ready callbacks runs: any, mostly the one that waits longest, always that one."""

_CLOSES = 10
"""A coroutine that waits for something while it is closed has to be closed again, so often."""
MOST_STEPS = 400_000
"""A run of so many callbacks turns in a circle."""


class NoProgress(Exception):
    """The loop has nothing more to run, or runs without an end."""


class Killed(BaseException):
    """The daemon that called has just died."""


@dataclass(eq=False)
class Life:
    """One run of one daemon, from its start to its crash. `number` tells it from all others of a
    simulation; `steps` counts its callbacks."""

    number: int
    replica: int
    ended: bool = False
    ended_at: float | None = None
    asleep: bool = False
    """Suspended, as by SIGSTOP: nothing of it runs, and its clocks go on."""
    was_away: list[tuple[float, float]] = field(default_factory=list)
    """From when to when it was suspended, or cut off from the store alone."""
    lapsed_at: float = -1.0
    """When it last gave up what was under way, for its lease was over."""
    steps: int = 0
    dies_at_step: int | None = None

    def gone_since(self, moment: float) -> bool:
        """Whether it has ended, or was away for a while after that: what it got to know then, no
        other can have learned of it."""
        return self.ended or any(end >= moment for _, end in self.was_away)

    def __repr__(self) -> str:
        return f"life {self.number} of replica {self.replica}"


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class SimulationLoop(asyncio.BaseEventLoop):
    """One order of events for one seed."""

    def __init__(self, seed: int, order: Order = "drawn") -> None:
        super().__init__()
        self.draw = random.Random(f"order {seed}")  # noqa: S311 - reproducible, nothing secret
        self.order = order
        self.now = 0.0
        self.steps = 0
        self.digest = 0
        self.on_death: Callable[[Life], None] = lambda _: None
        self.thread_delay: Callable[[], float] = lambda: 0.0
        """Seconds that work in a thread waits for its turn; drawn anew for each."""
        self.faults: list[str] = []
        """What callbacks raised that nobody has caught."""
        self._graveyard: list[Any] = []
        self._waits_awake: dict[int, list[Any]] = {}
        """What of each life that is suspended would have run meanwhile."""
        self._outside: Context = copy_context()
        self._ready: Any = []
        self._clock_resolution = 1e-9
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now

    # ── lives ────────────────────────────────────────────────────────────────────────────────

    def begin(self, life: Life, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Start a task that, with all that it starts, belongs to that life."""
        context = self._outside.copy()
        context.run(LIFE.set, life)

        def start() -> None:
            self.create_task(work(), name=f"life-{life.number}")

        self.call_soon(start, context=context)

    def end(self, life: Life) -> None:
        """Nothing of that life runs from now on."""
        if not life.ended:
            life.ended, life.ended_at = True, self.now
            self.on_death(life)

    def suspend(self, life: Life, seconds: float) -> None:
        """Nothing of that life runs for so long; then all of it does that was due meanwhile."""
        life.asleep = True

        def wake() -> None:
            life.asleep = False
            self._ready.extend(self._waits_awake.pop(life.number, ()))

        self.outside(seconds, wake)

    def outside(self, delay: float, work: Callable[[], None]) -> None:
        """Let the world do something after so many seconds, whoever lives then."""
        self.call_later(delay, work, context=self._outside.copy())

    async def wait_outside(self, delay: float, work: Callable[[], T]) -> T:
        """The world does something after so many seconds; the answer, if its asker still lives."""
        answer: asyncio.Future[T] = self.create_future()

        def do() -> None:
            try:
                result = work()
            except Exception as error:  # handed on to whoever asked
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)

        self.outside(delay, do)
        return await answer

    # ── what asyncio asks of a loop ──────────────────────────────────────────────────────────

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """There are no threads; what comes from where one would be comes in its turn."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Done by the loop itself, a while later."""
        done: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # handed on, whatever it is, as an executor does
                if not done.cancelled():
                    done.set_exception(error)
            else:
                if not done.cancelled():
                    done.set_result(result)

        delay = self.thread_delay()
        if delay > 0:
            self.call_later(delay, work)
        else:
            self.call_soon(work)
        return done

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """As ever, without the questions that a loop of one thread need not ask each time."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("no selector, no events")

    def _run_once(self) -> None:
        while not self._stopping:  # type: ignore[attr-defined]
            self._run_one()

    def _run_one(self) -> None:
        ready: list[Any] = self._ready
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        if not ready:
            while timers and timers[0]._cancelled:
                heapq.heappop(timers)._scheduled = False
            if not timers:
                raise NoProgress("nothing is ready, and nothing will be")
            self.now = max(self.now, timers[0]._when)
        while timers and timers[0]._when <= self.now:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            return
        handle = ready.pop(self._chosen(len(ready)))
        if handle._cancelled:
            return
        life = handle._context.get(LIFE)
        if life is not None:
            if life.asleep and not life.ended:
                self._waits_awake.setdefault(life.number, []).append(handle)
                return
            if not life.ended:
                life.steps += 1
                if life.steps == life.dies_at_step:
                    self.end(life)
            if life.ended:
                self._graveyard.append(handle)
                return
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise NoProgress(f"{MOST_STEPS} callbacks within {self.now:.0f} s")
        handle._run()

    def _chosen(self, count: int) -> int:
        if count == 1 or self.order == "first":
            return 0
        number = int(self.draw.random() * count)
        if self.order == "mostly first" and self.draw.random() < 0.8:
            number = 0
        self.digest = hash((self.digest, number, count, self.now))
        return number

    def _make_task(self, loop: Any, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **more)
        # Kept, or what a crash has left would be collected, and run its `finally`, at some moment
        # that no seed has drawn.
        self._graveyard.append(task)
        return task

    def _note_fault(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Killed):
            return
        self.faults.append(f"{context.get('message')}: {error!r}")

    def bury(self) -> None:
        """Close what has not ended, and the loop."""
        asyncio._set_running_loop(self)  # what is closed may ask in its `finally` which task it is
        try:
            self._bury()
        finally:
            asyncio._set_running_loop(None)
        self.close()

    def _bury(self) -> None:
        for task in self._graveyard:
            if isinstance(task, asyncio.Task) and not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                for _ in range(_CLOSES):
                    with suppress(BaseException):
                        task.get_coro().close()  # type: ignore[union-attr]
                        break
            elif isinstance(task, asyncio.Task) and not task.cancelled():
                task.exception()  # seen
        self._graveyard.clear()
        self._ready.clear()
        self._waits_awake.clear()
        self._scheduled.clear()  # type: ignore[attr-defined]
