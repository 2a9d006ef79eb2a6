"""Threads of our own for other people's blocking code.

asyncio's pool of threads is one for everything: a library that sleeps in it holds up DNS and the
store. And it is waited for at the end of the process, however long a call hangs.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

_R = TypeVar("_R")
_P = ParamSpec("_P")
_Job = tuple["Future[Any]", Callable[[], Any]]


REST_SECONDS = 5.0
"""So long a thread waits for another call before it ends: to start one costs more than most calls,
and the event loop has to wait for it."""


class DaemonThreads(Executor):
    """At most so many threads, started when they are needed and gone some seconds after.

    Nobody waits for them at the end of the process. A call that is given up goes on in its thread
    and holds its place until it ends by itself; one that has not begun is never made.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)
        self._jobs: deque[_Job] = deque()
        self._running = 0
        self._resting = 0

    async def run(self, call: Callable[[], _R]) -> _R:
        """What the call returns or raises. It waits for a free thread; the caller's deadline
        bounds that."""
        # By the loop, as all work in threads: one in virtual time waits for it.
        return await asyncio.get_running_loop().run_in_executor(self, call)

    def submit(self, fn: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_R]:
        """Have it called by the next free thread."""
        future: Future[_R] = Future()
        with self._lock:
            self._jobs.append((future, partial(fn, *args, **kwargs)))
            if self._resting >= len(self._jobs):
                self._more.notify()
            elif self._running < self._most:
                self._running += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def give_up(self) -> None:
        """Cancel what has not begun."""
        with self._lock:
            waiting, self._jobs = self._jobs, deque()
        for future, _ in waiting:
            future.cancel()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

    def _next(self) -> _Job | None:
        """The next job; None ends this thread."""
        with self._lock:
            if not self._jobs:
                self._resting += 1
                self._more.wait(REST_SECONDS)
                self._resting -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._running -= 1
            return None
