"""Holds drills when the calendar says so, and lets routine incidents be practised with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from daemon.core.drills.calendar import ScheduledDrill
from daemon.core.drills.desk import DrillRefused
from daemon.core.drills.promotion import PromotionPolicy, promotion
from daemon.core.drills.scenario import DrillScenario
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.notification import Message
from daemon.core.values.drill_key import DRILL_MARK
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import format_duration
from daemon.drilling.runner import Drills
from daemon.notifying.notifier import DeliveryFailure, attempt
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
            group.create_task(keep(one.next_after, clock, partial(_hold, drills, one)))
        await asyncio.Event().wait()


async def announce_by_calendar(
    drills: Drills, schedule: Sequence[ScheduledDrill], channels: Sequence[str], before: timedelta
) -> None:
    """Tell in these channels what the calendar has, so long before, until cancelled."""
    clock = drills.house.repository.clock
    async with asyncio.TaskGroup() as group:
        for one in schedule if channels else ():

            def due(now: datetime, one: ScheduledDrill = one) -> datetime:
                return one.next_after(now + before) - before

            work = partial(_announce, drills, one, channels, before)
            group.create_task(keep(due, clock, work))
        await asyncio.Event().wait()


async def _announce(
    drills: Drills, scheduled: ScheduledDrill, channels: Sequence[str], before: timedelta
) -> None:
    """What cannot be told is said in the log; the drill is held all the same."""
    config, now = drills.house.active.now, drills.house.repository.clock()
    scenario = config.drills.get(scheduled.drill)
    if scenario is None:
        return  # that it is not there is said when it should be held
    message = announcement_of(scenario, scheduled, now + before, now)
    for name in channels:
        channel = config.channels.get(name)
        if channel is None:
            _log.error("drills are announced in a channel that the roster has not", channel=name)
            continue
        told = await attempt(channel.post(message), "", name)
        if isinstance(told, DeliveryFailure):
            _log.warning("a drill is not announced", channel=name, why=told.text)


def announcement_of(
    scenario: DrillScenario, scheduled: ScheduledDrill, about: datetime, now: datetime
) -> Message:
    """What is told of a drill that is to be held at about that time."""
    at = scheduled.next_after(about - timedelta(seconds=1))
    local = at.astimezone(ZoneInfo(scheduled.zone))
    title = f"{DRILL_MARK} {local:%a %d %b, %H:%M} ({scheduled.zone}): {scenario.title}"
    longest = format_duration(scenario.lasts)
    touched = f"only {scenario.target} is touched" if scenario.target else "nothing real is touched"
    text = (
        f"{title}\nIt lasts {longest} at most. Whoever is on call then is called, and {touched}; "
        "a real incident ends it at once."
    )
    return Message("", scheduled.drill, 1, "", title, text, "", "early", "", now)


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
        repository.own_listeners.append(self._on_append)  # each replica of its own

    def _on_append(self, before: Incident | None, after: Incident, _: Sequence[e.Event]) -> None:
        if before is not None and before.severity:
            return  # it has drawn, or was already there; nobody is called in the middle of it
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
