"""One deadline for the whole way down, counted from the signal.

Each part of it has to be over at its own share of the deadline, so that one that hangs takes
nothing from those after it; whoever is early leaves them more. What cannot be given up (a thread
in somebody else's code, an event loop that stands still) is ended with the process at the
deadline: the journal holds whatever the next start needs, as after a kill -9.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from itertools import count
from types import FrameType
from typing import NoReturn, TypeVar

import structlog

from daemon.core.values.units import format_duration

_T = TypeVar("_T")
_log = structlog.get_logger()

DOOR = 0.75
"""By this share of the deadline what is being answered has to be answered,"""
DRAINED = 0.75
"""running actions, pages and updates have to be at their end,"""
LEFT = 0.78
"""the other replicas have to know that we conduct nothing more,"""
CLIENTS = 0.8
"""the clients of Prometheus and of recovery actions have to be closed,"""
CONNECTIONS = 0.85
"""and the connections to everybody else;"""
TRACED = 0.92
"""the last spans have to be sent; the store has until the deadline."""
OVERRUN = 70
"""The exit status of a daemon that was not through by its deadline (EX_SOFTWARE)."""


class Shutdown:
    """Knows when to stop, and how long that may take yet. Make it on the running loop.

    `end` ends the process at once, with a sentence that says why.
    """

    def __init__(self, within: timedelta, end: Callable[[str], None] | None = None) -> None:
        self.requested = asyncio.Event()
        self._within = within.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._asked_at: float | None = None
        self._signals = count(1)
        self._asked = threading.Event()
        self._end = end or _end_process
        self._under_way = ""
        text = format_duration(within)
        self._late = f"not stopped within {text} of the signal (`shutdown` in stopgap.yaml)"
        # From the start on, for a signal handler must not start threads; and in a thread, for the
        # loop may be what stands still.
        threading.Thread(target=self._watch, name="shutdown", daemon=True).start()

    def listen(self) -> None:
        """Stop at SIGTERM and SIGINT; at the second one at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not the loop's own handlers, which nobody calls while the loop stands still.
            signal.signal(number, self._on_signal)

    def ask(self) -> None:
        """Stop. The deadline begins to run; asked again it does not begin anew."""
        if self._asked_at is not None:
            return
        self._asked_at = self._loop.time()
        self._asked.set()
        self._loop.call_soon_threadsafe(self.requested.set)

    def left(self, share: float = 1.0) -> float:
        """Seconds until that share of the deadline has passed; never less than 0. Before anybody
        has asked, all of it."""
        elapsed = 0.0 if self._asked_at is None else self._loop.time() - self._asked_at
        return max(0.0, share * self._within - elapsed)

    async def step(self, name: str, work: Awaitable[None], share: float) -> None:
        """Do one part of it; what is not through by that share of the deadline is given up. What
        it raises is logged, for the rest has to be closed all the same."""
        self._under_way = name
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task], timeout=self.left(share))
        finally:
            late = not task.done()
            task.cancel()
        if late:
            _log.error("stopping: given up, it takes too long", part=name)
            return
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("stopping: it failed", part=name, error=f"{error!r}")

    async def enter(
        self,
        stack: AsyncExitStack,
        name: str,
        context: AbstractAsyncContextManager[_T],
        share: float,
    ) -> _T:
        """Enter a context whose end is a step of the way down. Raises what entering raises."""
        entered = await context.__aenter__()

        async def leave() -> None:
            await context.__aexit__(None, None, None)

        stack.push_async_callback(lambda: self.step(name, leave(), share))
        return entered

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Between any two instructions of ours, so it takes no lock that they may hold: no logging.
        # Of its own, too: the second may come before the first is done, so they are counted.
        if next(self._signals) == 1 and self._asked_at is None:
            self.ask()
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _watch(self) -> None:
        self._asked.wait()
        time.sleep(self._within)
        part = f", while: {self._under_way}" if self._under_way else ""
        self._end(f"{self._late}{part}; ended at once, the next start goes on from the journal")


def _end_process(why: str) -> NoReturn:
    os.write(2, f"stopgap: {why}\n".encode())
    os._exit(OVERRUN)
