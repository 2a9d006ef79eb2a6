"""The events of a calendar (iCalendar, RFC 5545), each at its time; what is cancelled is none.

icalendar and recurring-ical-events read and expand them. Where they read otherwise than the
standard, or than what programs write, the text is prepared for them, or their answer corrected.
Times are aware, in UTC.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

from daemon.core.people.rotations import instant, wall
from daemon.core.values.units import printable

_LARGEST = 5_000_000
"""More characters than any on-call calendar has; reading that many takes seconds."""
_MARGIN = timedelta(days=2)
"""All-day and floating events have no zone of their own, so we look this much more widely."""
_TOO_OFTEN = {"SECONDLY", "MINUTELY"}
_WHEN = {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}
_SHOWN = 100
_LAST_SECOND = time(23, 59, 59)

_FOLD = re.compile(r"\r?\n[ \t]")
_BEGIN = re.compile(r"^(?=BEGIN:VCALENDAR[ \t]*\r?$)", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^DURATION(?:;[^:\r\n]*)?:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PERIOD = re.compile(
    r"\+?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_AS_WRITTEN = "X-STOPGAP-DURATION"
_ANOTHER = "\x1f"
"""Behind the UID of an event that shares it with others; no text of a calendar can hold it."""
_OFFSET_ZONE = re.compile(
    r';TZID="?((?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?)"?[;:]', re.IGNORECASE
)

_one_reader = threading.Lock()
"""icalendar keeps the VTIMEZONEs of a process by their name, and the first calendar's counts for
all: it is made to forget them before each, which must not happen while another is being read."""


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """One event at one time; `component` is icalendar's."""

    start: datetime
    end: datetime
    component: Any


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An event that is not taken, and why."""

    summary: str
    start: datetime
    why: str


def read_events(
    text: str,
    zone: ZoneInfo,
    start: datetime,
    end: datetime,
    takes_over: Callable[[Any], bool] = lambda _: True,
) -> tuple[list[CalendarEvent], list[PassedOver]]:
    """Every occurrence that touches [start, end), in order; and what is cancelled of them, or has
    no length.

    All-day events and floating times are those of `zone`. `takes_over`: whether an event, as
    icalendar's component, may be what another hands over to. Raises ValueError, in a sentence, if
    the text is too large or no calendar, or an event in it cannot be read.
    """
    if len(text) > _LARGEST:
        raise ValueError(f"the calendar has {len(text)} characters; at most {_LARGEST} are read")
    text = text.strip("\ufeff \t\r\n")
    if not text[:15].upper() == "BEGIN:VCALENDAR":
        raise ValueError("this is no iCalendar text: it does not begin with BEGIN:VCALENDAR")
    if not text[-13:].upper() == "END:VCALENDAR":
        raise ValueError("the calendar is cut off: it does not end with END:VCALENDAR")
    try:
        occurrences = list(_occurrences(text, start - _MARGIN, end + _MARGIN))
        taken = [(_timed(event, zone), why) for event, why in occurrences]
    # The libraries raise what their parts raise: KeyError, AttributeError, their own.
    except Exception as error:
        what = str(error) or type(error).__name__
        raise ValueError(f"the calendar cannot be read: {printable(what)[:300]}") from None
    timed = sorted(taken, key=lambda each: (each[0].start, each[0].exact))
    begins = {e.start for e, why in timed if not why and takes_over(e.component)}
    found, passed = [], []
    for event, why in timed:
        over = event.end(begins)
        if not (event.start < end and start < max(over, event.start + timedelta.resolution)):
            continue
        if not why and over <= event.start:
            why = "it has no length"
        if why:
            passed.append(PassedOver(event_name(event.component), event.start, why))
        else:
            found.append(CalendarEvent(event.start, over, event.component))
    return found, passed


def event_name(event: Any) -> str:
    """What people call an event: its summary, on one line."""
    return shortened_line(str(event.get("SUMMARY", "")) or _uid(event))


def shortened_line(text: str) -> str:
    """A text of a calendar on one line that is not too long."""
    return " ".join(printable(text).split())[:_SHOWN]


# ── when an event is ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Timed:
    """An occurrence. `exact` is its end by the clock's ticks, `on_the_wall` by what the clock
    shows; they differ where a DURATION in hours crosses a change of the clocks."""

    start: datetime
    exact: datetime
    on_the_wall: datetime
    component: Any

    def end(self, begins: Collection[datetime]) -> datetime:
        """The exact one, as the standard says; but where the next begins on the wall clock, a
        calendar that hands over at eight is meant to do so in that night, too."""
        if self.exact not in begins and self.on_the_wall in begins:
            return self.on_the_wall
        return self.exact


def _timed(event: Any, zone: ZoneInfo) -> _Timed:
    begin = event["DTSTART"].dt
    start, shown = _instant(begin, zone), _instant(event["DTEND"].dt, zone)
    written = _PERIOD.fullmatch(str(event.get(_AS_WRITTEN, "")).strip())
    if written is None or not isinstance(begin, datetime):
        return _Timed(start, shown, shown, event)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in written.groups())
    # Days and weeks are those of the wall clock, hours are exact (RFC 5545, 3.3.6).
    later = begin.replace(tzinfo=None, fold=0) + timedelta(weeks=weeks, days=days)
    whole_days = _instant(later.replace(tzinfo=begin.tzinfo), zone)
    exact = whole_days + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return _Timed(start, exact, shown, event)


def _instant(moment: date | datetime, zone: ZoneInfo) -> datetime:
    if not isinstance(moment, datetime):
        return wall(datetime.combine(moment, time()), zone)
    return instant(moment, zone)


# ── what the libraries read ──────────────────────────────────────────────────────────────────


def _occurrences(text: str, start: datetime, end: datetime) -> Iterator[tuple[Any, str]]:
    """Every occurrence, with the reason for which it does not take place."""
    found: list[tuple[Any, str]] = []
    withdrawn: dict[tuple[str, datetime | None], int] = {}
    # A line that is folded would hide from us what stands in it.
    for part in _BEGIN.split(_FOLD.sub("", text)):
        if not part.strip():
            continue
        with _one_reader:
            icalendar.use_zoneinfo()  # type: ignore[no-untyped-call] # forgets others' zones
            for calendar in icalendar.Calendar.from_ical(_prepared(part), multiple=True):
                cancels = str(calendar.get("METHOD", "")).strip().upper() == "CANCEL"
                events = calendar.walk("VEVENT")
                for event in events:
                    _refuse_unusable(event)
                    _include_last_day(event)
                    if cancels:
                        withdrawn[_identity(event)] = _version(event)
                _tell_apart(events)
                # Not recurring_ical_events.of: by X-WR-TIMEZONE that would move UTC rules to a
                # zone where the clocks change.
                query = recurring_ical_events.CalendarQuery(calendar)
                why = "its calendar cancels it (METHOD:CANCEL)" if cancels else ""
                found += [(event, why) for event in query.between(start, end)]
    for event, why in found:
        uid, original = _identity(event)
        if not why and str(event.get("STATUS", "")).strip().upper() == "CANCELLED":
            why = "it is cancelled (STATUS:CANCELLED)"
        last = max(withdrawn.get((uid, None), -1), withdrawn.get((uid, original), -1))
        if not why and _version(event) <= last:
            why = "another calendar of the feed cancels it (METHOD:CANCEL)"
        yield event, why


def _prepared(text: str) -> str:
    """The text of one calendar, with what the libraries leave out."""
    text = _DURATION.sub(rf"\g<0>\r\n{_AS_WRITTEN}:\1", text)
    zones = {name: _zone(name, *rest) for name, *rest in _OFFSET_ZONE.findall(text)}
    lines = "".join(zone for name, zone in zones.items() if f"\nTZID:{name}" not in text)
    head, line, rest = text.partition("\n")
    return f"{head}{line}{lines}{rest}"


def _zone(name: str, sign: str, hours: str, minutes: str) -> str:
    """A fixed offset as a definition: programs write TZID="UTC+02:00" and define it nowhere."""
    offset = f"{sign}{hours:0>2}{minutes or '00'}"
    within = [
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        f"TZOFFSETFROM:{offset}",
        f"TZOFFSETTO:{offset}",
        "END:STANDARD",
    ]
    return "\r\n".join(["BEGIN:VTIMEZONE", f"TZID:{name}", *within, "END:VTIMEZONE", ""])


def _identity(event: Any) -> tuple[str, datetime | None]:
    """Which event it is, and of a series which one."""
    original = event["RECURRENCE-ID"].dt if "RECURRENCE-ID" in event else None
    moment = _instant(original, ZoneInfo("UTC")) if original is not None else None
    return _uid(event), moment


def _uid(event: Any) -> str:
    """As it is written."""
    return str(event.get("UID", "")).partition(_ANOTHER)[0]


def _version(event: Any) -> int:
    """Which revision of the event it is."""
    try:
        return int(event.get("SEQUENCE", 0))
    except (TypeError, ValueError):
        return 0


def _tell_apart(events: Sequence[Any]) -> None:
    """The library takes one event for each UID, but some programs give all shifts of a person or
    a rota the same: each of those in the newest version is a shift."""
    named: dict[str, list[Any]] = {}
    for event in events:
        if "RECURRENCE-ID" not in event:
            named.setdefault(_uid(event), []).append(event)
    for uid, alike in named.items():
        newest = max(map(_version, alike))
        equals = [event for event in alike if _version(event) == newest]
        # What changes an occurrence keeps to the first, so that is one that repeats.
        first, *others = sorted(equals, key=lambda event: "RRULE" not in event)
        for number, event in enumerate(others):
            event["UID"] = icalendar.vText(f"{uid}{_ANOTHER}{number}")
        changes = [e for e in events if "RECURRENCE-ID" in e and _uid(e) == uid]
        _time_changes(changes, first["DTSTART"].dt)


def _time_changes(changes: Sequence[Any], begin: date | datetime) -> None:
    """A changed occurrence that is named by its day alone is the one of that day."""
    if not isinstance(begin, datetime):
        return
    for event in changes:
        named = event["RECURRENCE-ID"]
        if not isinstance(named.dt, datetime):
            moment = datetime.combine(named.dt, begin.timetz())
            event["RECURRENCE-ID"] = icalendar.vDatetime(moment, params=named.params)


def _include_last_day(event: Any) -> None:
    """A rule that ends with a day ends with its last second: programs write UNTIL=20261030 where
    the standard wants a time, and the library takes that for midnight before."""
    begin = event["DTSTART"].dt
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        until = rule.get("UNTIL", [])
        if isinstance(begin, datetime) and until and not isinstance(until[0], datetime):
            last = datetime.combine(until[0], _LAST_SECOND, begin.tzinfo)
            rule["UNTIL"] = [last if begin.tzinfo is None else last.astimezone(UTC)]


def _refuse_unusable(event: Any) -> None:
    """Raises ValueError that names the event, unless it is known when it is."""
    named = f"event {event_name(event)!r}"
    for name, problem in event.errors:
        if name in _WHEN:
            raise ValueError(f"{named}: {name}: {problem}")
    if "DTSTART" not in event:
        raise ValueError(f"{named} has no DTSTART")
    rules = event.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        often = {str(frequency).upper() for frequency in rule.get("FREQ", [])}
        if not often or often & _TOO_OFTEN:
            raise ValueError(f"{named} repeats by no rule, or more often than hourly")
    for name in ("DTSTART", "DTEND"):
        zone = event[name].params.get("TZID") if name in event else None
        moment = event[name].dt if zone is not None else None
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise ValueError(f"{named} is in the time zone {zone}, which nobody knows")
