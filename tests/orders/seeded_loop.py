"""An event loop that picks what runs next by a seed, in a time that leaps from timer to timer.

asyncio runs what is ready first in, first out, and so shows one order of the many that a busy
machine may produce. This loop runs one ready callback at a time, drawn by the seed, so that a
thousand seeds are a thousand orders; and each of them can be played again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SeededLoop(asyncio.SelectorEventLoop):
    """One order of events for one seed. Work for threads is done at once, by the loop itself."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = random.Random(seed)  # noqa: S311 - reproducible, nothing secret
        self._now = 0.0
        self.ran = 0

    def time(self) -> float:
        """Seconds since the loop was made; they pass only while nothing is ready."""
        return self._now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """A thread's end would come by the machine's clock, and in an order of its own."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # handed on, whatever it is, as an executor does
            done.set_exception(error)
        return done

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        timers: Any = self._scheduled  # type: ignore[attr-defined]
        if not ready and timers:
            self._now = max(self._now, timers[0]._when)
        chosen = self.draw.randrange(len(ready)) if len(ready) > 1 else 0
        ready.rotate(-chosen)
        held = [ready.pop() for _ in range(len(ready) - 1)]
        super()._run_once()  # type: ignore[misc]
        ready.extend(reversed(held))
        self.ran += 1


def played(seed: int, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the story in the order of this seed."""
    with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
        return runner.run(story())


class Stretched:
    """Whatever it stands for, with each of its awaits drawn out by the loop of the story."""

    def __init__(self, inner: Any, longest: float) -> None:
        self._inner = inner
        self._longest = longest

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def drawn_out(*args: Any, **more: Any) -> Any:
            await stretch(self._longest)
            answer = await found(*args, **more)
            await stretch(self._longest)
            return answer

        return drawn_out


async def stretch(longest: float) -> None:
    """Mostly a few turns of the loop; now and then up to this many seconds."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SeededLoop)
    if loop.draw.random() < 0.3:
        await asyncio.sleep(loop.draw.random() * longest)
    else:
        for _ in range(loop.draw.randrange(4)):
            await asyncio.sleep(0)
