"""On-call calendars (iCalendar, RFC 5545): whose shifts their events are.

An event is a shift of the people whom its attendees' mail addresses name; if they name nobody,
of those whom its summary names. An event that names nobody known is not coverage. Times are
aware, in UTC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

from daemon.core.people.rotations import instant, wall
from daemon.core.people.schedules import Shift
from daemon.core.values.units import printable

_LARGEST = 5_000_000
"""More characters than any on-call calendar has; reading that many takes seconds."""

_MARGIN = timedelta(days=2)
"""All-day and floating events have no zone of their own, so we look this much more widely."""
_TOO_OFTEN = {"SECONDLY", "MINUTELY"}
_MAIL = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")
_THINGS = {"ROOM", "RESOURCE"}
_WHEN = {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a calendar says about a range.

    `shifts` are in order and do not overlap; those at the edges are whole, so they can begin
    before the range and end after it. `unknown` are summaries and mail addresses of events in
    the range that match no person.
    """

    shifts: tuple[Shift, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    start: datetime
    end: datetime
    component: Any


class _People:
    """Finds people by the words and mail addresses that stand for them."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._by_alias = {_folded(alias): person for alias, person in names.items()}
        self._by_alias.pop("", None)
        # The longest first: "ada lovelace" is not also "ada".
        aliases = sorted(self._by_alias, key=len, reverse=True)
        listed = "|".join(re.escape(alias) for alias in aliases)
        self._alias_pattern = re.compile(rf"(?<!\w)(?:{listed})(?!\w)") if listed else None

    def known_as(self, alias: str) -> str | None:
        """Who is exactly that."""
        return self._by_alias.get(_folded(alias))

    def within(self, text: str) -> set[str]:
        """Whom a text names by whole words. A mail address counts as a whole, not its parts."""
        whole = self.known_as(text)
        if whole is not None:
            return {whole}
        folded = _folded(text)
        mails = {mail.rstrip(".") for mail in _MAIL.findall(folded)}
        names = (
            self._alias_pattern.findall(_MAIL.sub(" ", folded))
            if self._alias_pattern is not None
            else []
        )
        return {self._by_alias[alias] for alias in (*mails, *names) if alias in self._by_alias}


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def read_calendar(
    text: str, zone: ZoneInfo, names: Mapping[str, str], start: datetime, end: datetime
) -> Calendar:
    """The shifts that touch [start, end). Takes about a second for a megabyte.

    `names` says who is meant by which alias: id, display name, mail address, calendar alias.
    All-day events and floating times are those of `zone`, the schedule's. Raises ValueError, in
    a sentence, if the text is too large or no calendar, or one event in it cannot be read: that
    one could be anybody's shift.
    """
    people = _People(names)
    stints: list[tuple[datetime, datetime, str]] = []
    unknown: dict[str, None] = {}
    for event in _events(text, zone, start, end):
        found, strangers = _who(event.component, people)
        stints += [(event.start, event.end, person) for person in found]
        unknown.update(dict.fromkeys(strangers))
    return Calendar(tuple(_flattened(stints)), tuple(unknown))


def busy(
    text: str, zone: ZoneInfo, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """When there is any event at all in [start, end). Raises ValueError as `read_calendar`."""
    return [(event.start, event.end) for event in _events(text, zone, start, end)]


def _events(text: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[_Event]:
    """Every occurrence that touches the range, in order, without the cancelled ones."""
    if len(text) > _LARGEST:
        raise ValueError(f"the calendar has {len(text)} characters; at most {_LARGEST} are read")
    text = text.strip("\ufeff \t\r\n")
    if not text[:15].upper() == "BEGIN:VCALENDAR":
        raise ValueError("this is no iCalendar text: it does not begin with BEGIN:VCALENDAR")
    if not text[-13:].upper() == "END:VCALENDAR":
        raise ValueError("the calendar is cut off: it does not end with END:VCALENDAR")
    try:
        found = [
            _Event(_instant(event["DTSTART"].dt, zone), _instant(event["DTEND"].dt, zone), event)
            for event in _occurrences(text, start - _MARGIN, end + _MARGIN)
            if str(event.get("STATUS", "")).upper() != "CANCELLED"
        ]
    # The libraries raise what their parts raise: KeyError, AttributeError, their own.
    except Exception as error:
        what = str(error) or type(error).__name__
        raise ValueError(f"the calendar cannot be read: {printable(what)[:300]}") from None
    inside = [e for e in found if e.start < end and start < e.end and e.start < e.end]
    return sorted(inside, key=lambda event: (event.start, event.end))


def _occurrences(text: str, start: datetime, end: datetime) -> Iterator[Any]:
    for calendar in icalendar.Calendar.from_ical(text, multiple=True):
        for event in calendar.walk("VEVENT"):
            _refuse_unusable(event)
        # Not recurring_ical_events.of: by X-WR-TIMEZONE that would move UTC rules to a zone
        # where the clocks change.
        yield from recurring_ical_events.CalendarQuery(calendar).between(start, end)


def _refuse_unusable(event: Any) -> None:
    """Raises ValueError that names the event, unless it is known when it is."""
    named = f"event {_short(str(event.get('SUMMARY', '') or event.get('UID', '')))!r}"
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


def _instant(moment: date | datetime, zone: ZoneInfo) -> datetime:
    if not isinstance(moment, datetime):
        return wall(datetime.combine(moment, time()), zone)
    return instant(moment, zone)


def _who(event: Any, people: _People) -> tuple[set[str], list[str]]:
    """The people of an event, and what in it matches nobody. Those who declined are not in."""
    declined: set[str] = set()
    invited: set[str] = set()
    strangers: list[str] = []
    for mail, status in _attendees(event):
        person = people.known_as(mail)
        if person is None:
            strangers.append(_short(mail))
        else:
            (declined if status == "DECLINED" else invited).add(person)
    if invited:
        return invited, strangers
    summary = str(event.get("SUMMARY", ""))
    named = people.within(summary)
    if named:
        return named - declined, []
    if not strangers and declined:
        return set(), []
    return set(), [_short(summary) or "an event without a summary", *strangers]


def _attendees(event: Any) -> Iterator[tuple[str, str]]:
    """(mail address, participation status) of everybody invited; rooms are nobody."""
    listed = event.get("ATTENDEE", [])
    for attendee in listed if isinstance(listed, list) else [listed]:
        params = getattr(attendee, "params", {})
        if str(params.get("CUTYPE", "")).upper() not in _THINGS:
            address = str(params.get("EMAIL") or re.sub(r"(?i)^mailto:", "", str(attendee)))
            yield address.strip(), str(params.get("PARTSTAT", "")).upper()


def _short(text: str) -> str:
    return " ".join(printable(text).split())[:_SHOWN]


def _flattened(stints: Iterable[tuple[datetime, datetime, str]]) -> list[Shift]:
    """Shifts one after another: where several stints overlap, one shift of several people."""
    turns: dict[datetime, list[tuple[int, str]]] = {}
    for start, end, person in stints:
        turns.setdefault(start, []).append((1, person))
        turns.setdefault(end, []).append((-1, person))
    there: dict[str, int] = {}
    found: list[Shift] = []
    for opens, closes in pairwise(sorted(turns)):
        for step, person in turns[opens]:
            there[person] = there.get(person, 0) + step
        people = tuple(sorted(person for person, times in there.items() if times))
        if found and found[-1].end == opens and found[-1].people == people:
            found[-1] = replace(found[-1], end=closes)
        elif people:
            found.append(Shift(opens, closes, people))
    return found
