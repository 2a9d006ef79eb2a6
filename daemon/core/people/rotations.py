"""Rotations on the wall clock: who of a list has the turn, in which weekly windows.

People agree on local times ("Mondays at nine"), so all arithmetic is done on the wall clock of a
zone, and each result is then turned into an instant by `wall`. A handover at 09:00 stays at 09:00
when the clocks change, and a turn of 12 hours lasts 11 or 13 in such a night.

A `zone` is a ZoneInfo, a time of day is a timedelta since midnight, an instant is aware, in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from daemon.core.values.units import Duration, Frozen, parse_duration

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_SHORTEST_TURN = timedelta(hours=1)
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Zones jump: Apia left a whole day out in 2011, Kwajalein had one twice in 1969. So a window that
# is open now can belong to a date a few days away on the calendar.
_REACH = timedelta(days=3)


def wall(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a naive wall-clock time, by the rule of RFC 5545.

    A time that the clocks skip is read with the offset before the gap, so 02:30 in a spring night
    is 03:30; of a time that comes twice, the first is meant.
    """
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def instant(moment: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a moment that has an offset, or else is on the wall clock of the zone."""
    return wall(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_time_of_day(value: object) -> timedelta:
    """Read '09:00', up to '24:00'. Raises ValueError with the mend."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 24 * 60:
        meant = _spelled(value * _MINUTE)
        raise ValueError(
            f'without quotes YAML reads {meant} as the number {value}; write "{meant}"'
        )
    text = str(value).strip()
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError(f'{value!r} is not a time of day; write it in quotes, like "09:00"')
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _spelled(value: timedelta) -> str:
    hours, minutes = divmod(value // _MINUTE, 60)
    return f"{hours:02}:{minutes:02}"


def _before_midnight(value: timedelta) -> timedelta:
    if value >= _DAY:
        raise ValueError('nothing begins at 24:00; write "00:00" and take the next day')
    return value


def _date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    text = str(value).strip()
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError(f"{str(value)!r} is not a date; write it like 2026-11-02, without a time")


def _long_enough(value: timedelta) -> timedelta:
    if value < _SHORTEST_TURN:
        raise ValueError("a turn lasts an hour at least; write it like 12h, 1d or 1w")
    return value


TimeOfDay = Annotated[
    timedelta,
    BeforeValidator(parse_time_of_day),
    PlainSerializer(_spelled),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({_TIME_OF_DAY.pattern})$",
            "description": 'a time of day on the wall clock: "09:00"',
        }
    ),
]
"""A wall-clock time as the time since midnight; 24:00 is the end of the day."""
Beginning = Annotated[TimeOfDay, AfterValidator(_before_midnight)]
"""A time of day at which something can begin: 24:00 is none."""
LocalDate = Annotated[date, BeforeValidator(_date)]


class Restriction(Frozen):
    """Weekly windows on the wall clock, one for each of `days`.

    A window belongs to the day on which it begins; an end that is not later than its beginning
    lies on the next day, so 22:00 to 06:00 on `fri` ends on Saturday morning.
    """

    days: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1)
    start: Beginning = Field(alias="from")
    end: TimeOfDay = Field(alias="to")

    def windows(
        self, start: datetime, end: datetime, zone: ZoneInfo
    ) -> Iterator[tuple[datetime, datetime]]:
        """Every window [start, end) that touches the range, and some that lie near it."""
        day = start.astimezone(zone).date() - _REACH
        last = end.astimezone(zone).date() + _REACH
        length = self.end - self.start
        if length <= timedelta(0):
            length += _DAY
        while day <= last:
            if WEEKDAYS[day.weekday()] in self.days:
                opens = datetime.combine(day, time()) + self.start
                yield wall(opens, zone), wall(opens + length, zone)
            day += _DAY


class Layer(Frozen):
    """People who take turns of `every`, the first one from `start` at `handover`.

    With `restrict` the turns go on as ever, but somebody is on call inside its windows only.
    """

    rotation: tuple[str, ...] = Field(min_length=1)
    start: LocalDate
    handover: Beginning = parse_time_of_day("09:00")
    every: Annotated[Duration, AfterValidator(_long_enough)] = parse_duration("1w")
    restrict: tuple[Restriction, ...] = ()

    def turn(self, at: datetime, zone: ZoneInfo) -> str | None:
        """Who has the turn at that instant; None before the first, and outside `restrict`."""
        if self.restrict and not self._open(at, zone):
            return None
        for number in range(self._last_turn(at), -1, -1):
            if self._handover(number, zone) <= at:
                return self.rotation[number % len(self.rotation)]
        return None

    def changes(self, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Every instant in the range at which the answer of `turn` can change, in any order."""
        first = max(0, self._last_turn(start - 2 * _DAY))
        for number in range(first, self._last_turn(end) + 1):
            yield self._handover(number, zone)
        for window in self.restrict:
            for opens, closes in window.windows(start, end, zone):
                yield from (opens, closes)

    def _handover(self, number: int, zone: ZoneInfo) -> datetime:
        return wall(self._first() + number * self.every, zone)

    def _first(self) -> datetime:
        return datetime.combine(self.start, time()) + self.handover

    def _last_turn(self, at: datetime) -> int:
        """The last turn that could have begun: no zone is a whole day away from UTC.

        It is at most two days of turns too high, whatever the age of the rotation.
        """
        return (at.astimezone(UTC).replace(tzinfo=None) + _DAY - self._first()) // self.every

    def _open(self, at: datetime, zone: ZoneInfo) -> bool:
        return any(
            opens <= at < closes
            for window in self.restrict
            for opens, closes in window.windows(at, at, zone)
        )
