"""Holds drills when the calendar says so, and lets routine incidents be practised with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.core.drills.calendar import ScheduledDrill
from daemon.core.drills.desk import DrillRefused
from daemon.core.drills.promotion import PromotionPolicy, promotion
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.values.outcome import Permanent, Temporary
from daemon.drilling.runner import Drills
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

_CALENDAR = "the calendar"
"""Who started a drill that the calendar has."""
_LOOK_EVERY = timedelta(hours=1)
"""No longer than so is slept at a time: clocks are set, machines sleep."""


async def keep(
    next_after: Callable[[datetime], datetime],
    clock: Callable[[], datetime],
    hold: Callable[[], Awaitable[None]],
) -> None:
    """Do it at each of these times, until cancelled. What came while nobody looked is left out."""
    due = next_after(clock())
    while True:
        left = due - clock()
        if left > timedelta(0):
            await asyncio.sleep(min(left, _LOOK_EVERY).total_seconds())
            continue
        await hold()
        due = next_after(clock())


async def hold_by_calendar(drills: Drills, schedule: Sequence[ScheduledDrill]) -> None:
    """Hold what the calendar has, until cancelled."""
    clock = drills.house.repository.clock
    async with asyncio.TaskGroup() as group:
        for one in schedule:
            group.create_task(keep(one.next_after, clock, lambda one=one: _hold(drills, one)))  # type: ignore[misc]
        await asyncio.Event().wait()


async def _hold(drills: Drills, scheduled: ScheduledDrill) -> None:
    """What keeps it from being held is said in the log; the next date is another chance."""
    scenario = drills.house.active.now.drills.get(scheduled.drill)
    if scenario is None:
        _log.error("the calendar has a drill that is not there", drill=scheduled.drill)
        return
    try:
        await drills.start(scenario, _CALENDAR)
    except (DrillRefused, Temporary, Permanent) as error:
        _log.warning("a drill of the calendar is left out", drill=scheduled.drill, why=str(error))


class Promoter:
    """Lets incidents draw their lot as soon as their severity is measured."""

    def __init__(self, repository: IncidentRepository, policy: PromotionPolicy) -> None:
        self._repository = repository
        self._policy = policy
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        repository.listeners.append(self._on_append)

    def _on_append(self, _: Incident | None, after: Incident, __: Sequence[e.Event]) -> None:
        if promotion(self._policy, after, self._repository.clock()):
            self._waiting.put_nowait(after.id)

    async def run(self) -> None:
        """Promote whoever drew the lot, until cancelled."""
        while True:
            incident = await self._waiting.get()
            try:
                await self._repository.record(
                    incident, lambda now: promotion(self._policy, now, self._repository.clock())
                )
            except (Temporary, Permanent) as error:
                _log.error("an incident is not promoted for practice", error=str(error))
