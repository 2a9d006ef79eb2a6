"""Who is on call in a week, day by day on the wall clock of whoever looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from daemon.core.people.roster import Roster
from daemon.core.people.rotations import wall

_DAYS = 7


@dataclass(frozen=True)
class Slot:
    """A part of a day; its moments are in the zone it is shown in. `people` is empty in a gap;
    `changed`: an override has a part in it. `whole`: it is all of the day."""

    start: datetime
    end: datetime
    people: tuple[str, ...]
    changed: bool
    whole: bool


@dataclass(frozen=True)
class WeekDay:
    """A day of the calendar."""

    day: date
    slots: tuple[Slot, ...]


def oncall_week(roster: Roster, schedule: str, monday: date, zone: ZoneInfo) -> list[WeekDay]:
    """The seven days from that one on. A day has 23 or 25 hours when the clocks change."""
    changes = roster.changes_of(schedule)
    found = []
    for day in (monday + timedelta(days=number) for number in range(_DAYS)):
        begin = wall(datetime.combine(day, time()), zone)
        end = wall(datetime.combine(day + timedelta(days=1), time()), zone)
        slots = [
            Slot(
                start=shift.start.astimezone(zone),
                end=shift.end.astimezone(zone),
                people=shift.people,
                changed=any(o.start < shift.end and shift.start < o.until for o in changes),
                whole=(shift.start, shift.end) == (begin, end),
            )
            for shift in roster.shifts(schedule, begin, end)
        ]
        found.append(WeekDay(day, tuple(slots)))
    return found


def monday_of(day: date) -> date:
    """The Monday of that day's week."""
    return day - timedelta(days=day.weekday())
