"""On-call schedules: who is called at an instant, and when that changes.

A schedule is made of layers of rotations, or comes from a calendar, or both. What wins where it
has somebody: an override, then the last layer, then the one before it, and the calendar last.
Where none has somebody there is a gap, and nobody is on call. Instants are aware, in UTC; a
range is [start, end).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.core.people.contact_methods import Reference
from daemon.core.people.oncall_changes import OncallOverride, overlaid
from daemon.core.people.rotations import Layer, instant
from daemon.core.values.units import Duration, Frozen, parse_duration

_STALE_AFTER = parse_duration("24h")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]+([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2})?)"
    r"\s*(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def parse_zone(value: object) -> str:
    """Read the IANA name of a time zone. Raises ValueError with the mend."""
    if isinstance(value, str):
        try:
            return ZoneInfo(value).key
        except (KeyError, ValueError, OSError):  # OSError: "Europe" is a folder of zones
            pass
    close = difflib.get_close_matches(str(value), sorted(available_timezones()), 1)
    hint = f"did you mean {close[0]}?" if close else "write it like Europe/Berlin, or UTC"
    raise ValueError(f"{value!r} is not a time zone of the IANA database; {hint}")


def _moment(value: object) -> datetime:
    text = str(value).strip()
    found = value if isinstance(value, datetime) else _read_moment(text)
    if found is not None and MINYEAR < found.year < MAXYEAR:  # in UTC it can be the year beside
        return found
    if _DATE.fullmatch(text):
        raise ValueError(f'{text} needs a time of day too; write it like "{text} 18:00"')
    raise ValueError(f'{text!r} is not a date and time; write it like "2026-12-24 18:00"')


def _read_moment(text: str) -> datetime | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, hour, rest, offset = match.groups(default="")
    try:
        return datetime.fromisoformat(f"{day}T{hour:0>2}{rest}{offset}")
    except ValueError:
        return None


Zone = Annotated[
    str,
    BeforeValidator(parse_zone),
    WithJsonSchema({"type": "string", "description": "an IANA time zone: Europe/Berlin"}),
]
LocalMoment = Annotated[datetime, BeforeValidator(_moment)]
"""A date and time; naive means the wall clock of the schedule's zone."""


class CalendarSource(Frozen):
    """Where an on-call calendar (iCalendar, .ics) is; exactly one of `file` and `url`.

    The URL can hold a secret, so the file says where it is. Without a successful fetch the last
    good copy is used; after `stale_after` of that, people are told.
    """

    file: str | None = None
    url: Reference | None = None
    stale_after: Duration = _STALE_AFTER

    @model_validator(mode="after")
    def _one(self) -> CalendarSource:
        if bool(self.file) == bool(self.url):
            raise ValueError("give exactly one of `file`, `url`")
        if self.file and self.stale_after != _STALE_AFTER:
            raise ValueError("`stale_after` is for a `url`; a file is read as it is")
        return self


class Override(Frozen):
    """One person instead of everybody else, in [from, until); of two, the later in the list."""

    person: str
    start: LocalMoment = Field(alias="from")
    end: LocalMoment = Field(alias="until")

    @model_validator(mode="after")
    def _forwards(self) -> Override:
        comparable = (self.start.tzinfo is None) == (self.end.tzinfo is None)
        if comparable and self.end <= self.start:
            raise ValueError(_backwards(self))
        return self

    def span(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """The two instants between which it holds."""
        return instant(self.start, zone), instant(self.end, zone)


def _backwards(override: Override) -> str:
    return (
        f"the override of {override.person} ends before it begins: "
        f"`until` {override.end:%Y-%m-%d %H:%M%z} must be later than "
        f"`from` {override.start:%Y-%m-%d %H:%M%z}"
    )


class Schedule(Frozen):
    """Who is on call when: layers, or a calendar, or both; and overrides of them."""

    zone: Zone
    layers: tuple[Layer, ...] = ()
    calendar: CalendarSource | None = None
    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _somebody(self) -> Schedule:
        if not self.layers and self.calendar is None:
            raise ValueError("give `layers` or a `calendar`; without them nobody is ever on call")
        for override in self.overrides:
            start, end = override.span(self.zone_info)
            if end <= start:
                raise ValueError(f"{_backwards(override)}, in {self.zone} on that day too")
        return self

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone as the standard library knows it."""
        return ZoneInfo(self.zone)


@dataclass(frozen=True, slots=True)
class Shift:
    """The people on call in [start, end); nobody in a gap."""

    start: datetime
    end: datetime
    people: tuple[str, ...]


def on_call(
    schedule: Schedule,
    at: datetime,
    calendar: Sequence[Shift] = (),
    changes: Sequence[OncallOverride] = (),
) -> tuple[str, ...]:
    """Who is on call at that instant; nobody in a gap. `calendar` is what its calendar holds,
    `changes` what was set while the daemon runs."""
    return overlaid(_planned(schedule, at, calendar), changes, at)


def _planned(schedule: Schedule, at: datetime, calendar: Sequence[Shift]) -> tuple[str, ...]:
    zone = schedule.zone_info
    for override in reversed(schedule.overrides):
        start, end = override.span(zone)
        if start <= at < end:
            return (override.person,)
    for layer in reversed(schedule.layers):
        person = layer.turn(at, zone)
        if person is not None:
            return (person,)
    return tuple(sorted({p for s in calendar if s.start <= at < s.end for p in s.people}))


def shifts(
    schedule: Schedule,
    start: datetime,
    end: datetime,
    calendar: Sequence[Shift] = (),
    changes: Sequence[OncallOverride] = (),
) -> list[Shift]:
    """The shifts that cover the whole range one after another; a gap is one without people.

    Those at the edges are cut there. Nothing if the range is empty.
    """
    if end <= start:
        return []
    moments = [*_changes(schedule, start, end, calendar)]
    moments += [moment for one in changes for moment in (one.start, one.until)]
    cuts = sorted({start, *(moment for moment in moments if start < moment < end)})
    found: list[Shift] = []
    for opens, closes in zip(cuts, [*cuts[1:], end], strict=True):
        people = on_call(schedule, opens, calendar, changes)
        if found and found[-1].people == people:
            found[-1] = replace(found[-1], end=closes)
        else:
            found.append(Shift(opens, closes, people))
    return found


def gaps(
    schedule: Schedule, start: datetime, end: datetime, calendar: Sequence[Shift] = ()
) -> list[Shift]:
    """The parts of the range in which nobody is on call."""
    return [shift for shift in shifts(schedule, start, end, calendar) if not shift.people]


def _changes(
    schedule: Schedule, start: datetime, end: datetime, calendar: Sequence[Shift]
) -> Iterator[datetime]:
    zone = schedule.zone_info
    for layer in schedule.layers:
        yield from layer.changes(start, end, zone)
    for override in schedule.overrides:
        yield from override.span(zone)
    for shift in calendar:
        yield from (shift.start, shift.end)


def named_in(schedule: Schedule) -> list[tuple[tuple[str | int, ...], str]]:
    """Everybody whom the schedule itself names: (place in it, person)."""
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("layers", number, "rotation", turn), person)
        for number, layer in enumerate(schedule.layers)
        for turn, person in enumerate(layer.rotation)
    ]
    return named + [
        (("overrides", n, "person"), o.person) for n, o in enumerate(schedule.overrides)
    ]


def check_schedule(
    name: str, schedule: Schedule, people: Collection[str]
) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong beyond the form: (place in the schedule, text) for each unknown person."""
    return [
        (place, f"schedule {name!r} calls {person!r}; {_hint(person, people)}")
        for place, person in named_in(schedule)
        if person not in people
    ]


def _hint(person: str, people: Collection[str]) -> str:
    close = difflib.get_close_matches(person, people, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known people: {', '.join(sorted(people)) or 'none'}"
