"""Whether the conductor does its work, as whoever restarts a stuck daemon has to know it.

A daemon whose event loop turns, and whose pages answer, may conduct nothing all the same: a turn
waits for what never comes, or a task has ended without anybody being told.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from daemon.core.values.units import format_duration, parse_duration

BEAT_SECONDS = 30.0
"""The conductor goes round at least so often, whether an incident opens or not."""
PATIENCE = parse_duration("2m")
"""A turn waits for nothing but the store, which answers within seconds; what has not moved for so
long does not move by itself any more."""


@dataclass
class _Conducted:
    """One incident: when its next turn is due, by the loop's time."""

    task: asyncio.Task[Any]
    due: float | None = None


class Pulse:
    """What the conductor is about. All times are the event loop's: no clock that is set, and no
    suspended machine, makes anything overdue."""

    def __init__(self) -> None:
        self._went_round: float | None = None
        self._conducted: dict[str, _Conducted] = {}
        self._turning: dict[str, float] = {}
        """The turns under way and when each began, the first that began first."""
        self._moved = -math.inf
        """When a turn ended than which none of those under way had begun earlier."""

    def goes_round(self) -> None:
        """The conductor is about to wait for incidents that open."""
        self._went_round = _now()

    def begins(self, incident: str, task: asyncio.Task[Any]) -> None:
        """An incident is conducted by that task."""
        self._conducted[incident] = _Conducted(task)

    def turns(self, incident: str) -> None:
        """It is being decided on."""
        if (one := self._conducted.get(incident)) is not None:
            one.due = None
            self._end_turn(incident)
            self._turning[incident] = _now()

    def sleeps(self, incident: str, seconds: float | None) -> None:
        """Nothing is to be decided for so many seconds; None: until it changes."""
        if (one := self._conducted.get(incident)) is not None:
            self._end_turn(incident)
            one.due = None if seconds is None else _now() + seconds

    def ends(self, incident: str) -> None:
        """It is over."""
        self._end_turn(incident)
        self._conducted.pop(incident, None)

    def _end_turn(self, incident: str) -> None:
        if incident == next(iter(self._turning), None):
            self._moved = _now()
        self._turning.pop(incident, None)

    def fault(self, waited_for_store: float) -> str:
        """Why a restart would help; empty if all goes its way. `waited_for_store`: up to that time
        of the loop the store was slow, and a turn may have waited for it with good reason.

        A thousand that begin at once are not stuck while one after the other comes to its end."""
        now, patience = _now(), PATIENCE.total_seconds()
        if self._went_round is not None and now - self._went_round > patience + BEAT_SECONDS:
            return f"the conductor has not gone round for more than {format_duration(PATIENCE)}"
        for incident, one in self._conducted.items():
            if one.task.done():
                return f"nobody conducts incident {incident} any more: its task has ended"
            if one.due is not None and now - one.due > patience:
                return _too_long(f"the next decision on incident {incident} has been due")
        for incident, since in self._turning.items():
            if now - max(since, self._moved, waited_for_store) > patience:
                return _too_long(f"the decision on incident {incident} has not come to its end")
            break  # those that began later wait no longer
        return ""


def _too_long(what: str) -> str:
    return f"{what} for more than {format_duration(PATIENCE)}"


def _now() -> float:
    return asyncio.get_running_loop().time()
