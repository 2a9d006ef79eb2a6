"""Virtual time: an event loop whose clock leaps from timer to timer instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")


class NothingScheduled(RuntimeError):
    """Everybody waits for somebody else, so time would stand still for ever."""


class _LeapingSelector(selectors.BaseSelector):
    """Where a loop waits for its next timer or for the network. There is no network here, so
    nothing is registered but the loop's own pipe, and the wait is a leap of the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = selectors.SelectorKey(fileobj, number, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingScheduled("no timer is set, and nobody outside can wake anybody")
        self.now += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without network, threads and waiting.

    `time()` begins at 0 and counts seconds; it passes only while nobody has anything to do. What
    is given to an executor is done at once, by the loop itself.
    """

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._leaping.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        """A thread would end by the machine's clock, which is not this one."""
        done: asyncio.Future[_T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # handed on, whatever it is, as an executor does
            done.set_exception(error)
        return done


def run_virtually(story: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine to its end in virtual time, from second 0 on; returns what it returns.

    Raises NothingScheduled if everybody waits for ever.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story())
