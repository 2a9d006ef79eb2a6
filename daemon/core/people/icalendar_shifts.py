"""On-call calendars: whose shifts their events are.

An event is a shift of the people whom its attendees' mail addresses name; if they name nobody,
of those whom its summary names. An event that names nobody known is not coverage. Of events at
the same time, those of the highest priority count: `[L2]` at the beginning of the summary, as
Grafana OnCall writes it; without one it is 0. Times are aware, in UTC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from daemon.core.people.icalendar_events import (
    PassedOver,
    event_name,
    read_events,
    shortened_line,
)
from daemon.core.people.schedules import Shift

_MAIL = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")
_THINGS = {"ROOM", "RESOURCE"}
_PRIORITY = re.compile(r"\A\s*\[L(\d{1,2})\]\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a calendar says about a range.

    `shifts` are in order and do not overlap; those at the edges are whole, so they can begin
    before the range and end after it. `unknown` are summaries and mail addresses of events in
    the range that match no person. `passed_over` are the events in the range that are no shift.
    """

    shifts: tuple[Shift, ...]
    unknown: tuple[str, ...]
    passed_over: tuple[PassedOver, ...] = ()


class _Stint(NamedTuple):
    """A person's event, with its priority."""

    start: datetime
    end: datetime
    person: str
    priority: int


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
    stints: list[_Stint] = []
    unknown: dict[str, None] = {}

    def is_shift(event: Any) -> bool:
        return bool(_who(event, people)[0])

    events, passed = read_events(text, zone, start, end, is_shift)
    for event in events:
        found, strangers = _who(event.component, people)
        level = _PRIORITY.match(str(event.component.get("SUMMARY", "")))
        priority = int(level[1]) if level else 0
        stints += [_Stint(event.start, event.end, person, priority) for person in found]
        unknown.update(dict.fromkeys(strangers))
        if not found:
            why = "names nobody whom the roster knows" if strangers else "everybody declined"
            passed.append(PassedOver(event_name(event.component), event.start, why))
    in_order = sorted(passed, key=lambda each: each.start)
    return Calendar(tuple(_flattened(stints)), tuple(unknown), tuple(in_order))


def busy(
    text: str, zone: ZoneInfo, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """When there is any event at all in [start, end). Raises ValueError as `read_calendar`."""
    return [(event.start, event.end) for event in read_events(text, zone, start, end)[0]]


def _who(event: Any, people: _People) -> tuple[set[str], list[str]]:
    """The people of an event, and what in it matches nobody. Those who declined are not in."""
    summary = _PRIORITY.sub("", str(event.get("SUMMARY", "")), count=1)
    declined: set[str] = set()
    invited: set[str] = set()
    strangers: list[str] = []
    for mail, status in _attendees(event):
        person = people.known_as(mail)
        if person is None:
            strangers.append(shortened_line(mail))
        else:
            (declined if status == "DECLINED" else invited).add(person)
    if invited:
        return invited, strangers
    named = people.within(summary)
    if named:
        return named - declined, []
    if not strangers and declined:
        return set(), []
    return set(), [shortened_line(summary) or "an event without a summary", *strangers]


def _attendees(event: Any) -> Iterator[tuple[str, str]]:
    """(mail address, participation status) of everybody invited; rooms are nobody."""
    listed = event.get("ATTENDEE", [])
    for attendee in listed if isinstance(listed, list) else [listed]:
        params = getattr(attendee, "params", {})
        if str(params.get("CUTYPE", "")).upper() not in _THINGS:
            address = str(params.get("EMAIL") or re.sub(r"(?i)^mailto:", "", str(attendee)))
            yield address.strip(), str(params.get("PARTSTAT", "")).upper()


def _flattened(stints: Iterable[_Stint]) -> list[Shift]:
    """Shifts one after another: where several stints overlap, one shift of all the people whose
    priority is the highest there."""
    turns: dict[datetime, list[tuple[int, _Stint]]] = {}
    for stint in stints:
        turns.setdefault(stint.start, []).append((1, stint))
        turns.setdefault(stint.end, []).append((-1, stint))
    there: dict[tuple[int, str], int] = {}
    found: list[Shift] = []
    for opens, closes in pairwise(sorted(turns)):
        for step, stint in turns[opens]:
            key = (stint.priority, stint.person)
            there[key] = there.get(key, 0) + step
        present = [key for key, times in there.items() if times]
        highest = max((priority for priority, _ in present), default=0)
        people = tuple(sorted(person for priority, person in present if priority == highest))
        if found and found[-1].end == opens and found[-1].people == people:
            found[-1] = replace(found[-1], end=closes)
        elif people:
            found.append(Shift(opens, closes, people))
    return found
