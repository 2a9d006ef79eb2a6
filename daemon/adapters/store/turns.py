"""Who is written next, when more waits than one commit takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from daemon.core.ports.urgency import Urgency

MOST_AT_ONCE = 128
"""So many units of work share one commit, and the urgent wait no longer than for those."""
PASSED_OVER = 4
"""So often a unit is passed over before it counts as one class more urgent."""

BatchWork = Callable[[Connection, list[Any]], Sequence[Any]]
"""Does all items that wait for the same work at once; returns the result of each."""


@dataclass(eq=False)
class Unit:
    """One item of work that somebody waits for; `came` is the loop's time of that, `safe` says
    that somebody outside is told that it is in the store.

    Units of an equal `work` that share a commit are done together, by one call.
    """

    work: BatchWork
    item: Any
    urgency: Urgency
    completion: asyncio.Future[Any]
    came: float
    safe: bool = False
    passed_over: int = 0

    @property
    def rank(self) -> int:
        """Its class, or a more urgent one after waiting: thus a flood of the urgent delays the
        others and cannot starve them."""
        return max(Urgency.HIGH, self.urgency - self.passed_over // PASSED_OVER)


class WriteQueue:
    """The units that wait, in the order of their coming."""

    def __init__(self) -> None:
        self._waiting: list[Unit] = []

    def add(self, unit: Unit) -> None:
        """Let it wait for its turn."""
        self._waiting.append(unit)

    def take(self, most: int = MOST_AT_ONCE) -> list[Unit]:
        """So many units for the next commit: the most urgent, of those the first that came."""
        if not self._waiting:
            return []
        # Sorting is stable: among equals the order of coming stays.
        ordered = sorted(self._waiting, key=lambda unit: unit.rank)
        chosen, left = ordered[:most], set(ordered[most:])
        self._waiting = [unit for unit in self._waiting if unit in left]
        for unit in self._waiting:
            unit.passed_over += 1
        return chosen
