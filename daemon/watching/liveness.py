"""Whether a restart would help: the daemon runs and answers, but does not do its work.

A store that is slow, full or away is no reason. It is told of by 503 and by calls to people, and
the next process would meet the same disk. A store of which no transaction ends at all is one: a
connection or a thread hangs, and those are this process's own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from daemon.core.values.units import format_duration, parse_duration

HUNG = parse_duration("2m")
"""A store of which nothing has ended for so long, though something waits, is not slow any more: no
transaction waits for a lock, or for a server, as long as that."""
SLOW_SECONDS = 5.0
"""From so long a wait on, others have good reason to wait for the store."""
VITAL_PARTS = frozenset({"conductor", "intake", "watchdog"})
"""The parts without which nobody is called; they never end by themselves."""


class AnswersOrNot(Protocol):
    """A store of which one can tell whether it still answers."""

    def unanswered(self) -> float:
        """For how many seconds no transaction has ended, while one waits."""


class Liveness:
    """Judges one daemon. `conductor`: what is wrong with its conductor, given up to which time of
    the loop the store was slow; empty if nothing is."""

    def __init__(self, store: AnswersOrNot, conductor: Callable[[float], str]) -> None:
        self._store = store
        self._conductor = conductor
        self._tasks: Mapping[str, asyncio.Task[Any]] = {}
        self._slow_at = -math.inf

    def watch(self, tasks: Mapping[str, asyncio.Task[Any]]) -> None:
        """Watch over these, by what they are called."""
        self._tasks = tasks

    def fault(self) -> str:
        """Why a restart would help; empty if all goes its way. Asks nothing of the store, and is
        to be asked again and again."""
        unanswered = self._store.unanswered()
        if unanswered > SLOW_SECONDS:
            self._slow_at = asyncio.get_running_loop().time()
        if unanswered > HUNG.total_seconds():
            return f"the store has ended no transaction for more than {format_duration(HUNG)}"
        if ended := _ended(self._tasks):
            return f"a part of the daemon has ended: {', '.join(ended)}"
        return self._conductor(self._slow_at)


def _ended(tasks: Mapping[str, asyncio.Task[Any]]) -> Collection[str]:
    """Those that nobody will begin again. What fails ends the whole daemon; what is cancelled by
    mistake is gone without a word."""
    return [
        name
        for name, task in tasks.items()
        if task.cancelled() or (task.done() and name in VITAL_PARTS)
    ]
