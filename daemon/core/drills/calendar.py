"""When drills are held: by the wall clock of a zone, on days that people can say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from daemon.core.people.rotations import WEEKDAYS, Beginning, wall
from daemon.core.people.schedules import Zone
from daemon.core.values.units import Frozen, Moment

_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_DAY = re.compile(rf"(?:(?P<nth>{'|'.join(_ORDINALS)}) )?(?P<weekday>{'|'.join(WEEKDAYS)})|daily")
_FAR = timedelta(days=63)
"""Within so much every day that can be said comes again."""


def _day(text: str) -> str:
    if _DAY.fullmatch(text) is None:
        raise ValueError("is no day; write `first tue`, `wed` or `daily`")
    return text


Day = Annotated[str, AfterValidator(_day)]
"""A day that comes again: `first tue` of the month, `wed`, `daily`."""


class DrillDate(Frozen):
    """When a drill is held: on which `day` (`first tue` of the month, `wed`, `daily`), `at` what
    time by the wall clock of the `zone`."""

    day: Day
    at: Beginning
    zone: Zone = "UTC"

    def next_after(self, moment: datetime) -> datetime:
        """The first time after that moment, in UTC."""
        zone = ZoneInfo(self.zone)
        day = moment.astimezone(zone).date()
        for ahead in range(_FAR.days):
            one = day + timedelta(days=ahead)
            if self._falls_on(one):
                at = wall(datetime.combine(one, time()) + self.at, zone)
                if at > moment:
                    return at
        raise AssertionError("every day comes again")

    def _falls_on(self, day: date) -> bool:
        if self.day == "daily":
            return True
        nth, _, weekday = self.day.rpartition(" ")
        if day.weekday() != WEEKDAYS.index(weekday):
            return False
        return not nth or (day.day - 1) // 7 + 1 == _ORDINALS[nth]


class ScheduledDrill(DrillDate):
    """A drill in the calendar."""

    drill: str


class UpcomingDrill(Frozen):
    """A drill that the calendar has."""

    drill: str
    at: Moment


def upcoming(schedule: Sequence[ScheduledDrill], now: datetime) -> list[UpcomingDrill]:
    """The next date of each, the soonest first."""
    found = [UpcomingDrill(drill=one.drill, at=one.next_after(now)) for one in schedule]
    return sorted(found, key=lambda one: one.at)
