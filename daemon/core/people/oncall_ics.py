"""Who is on call as an iCalendar (RFC 5545) that calendar programs subscribe to; times in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import icalendar

from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Shift

BEHIND, AHEAD = timedelta(days=14), timedelta(days=90)
"""What of the past and of the future such a calendar has."""


def schedule_calendar(roster: Roster, schedule: str, now: datetime) -> bytes:
    """The shifts of one schedule, an event for each person of each. Raises KeyError if there is
    no such schedule."""
    events = (
        _event(schedule, person, shift, now, f"{roster.people[person].name}: {schedule}")
        for shift in _shifts(roster, schedule, now)
        for person in shift.people
    )
    return _calendar(f"On call: {schedule}", events)


def person_calendar(roster: Roster, person: str, now: datetime) -> bytes:
    """The shifts of one person, of all schedules."""
    events = (
        _event(schedule, person, shift, now, f"On call: {schedule}")
        for schedule in roster.schedules
        for shift in _shifts(roster, schedule, now)
        if person in shift.people
    )
    return _calendar(f"On call: {person}", events)


def _shifts(roster: Roster, schedule: str, now: datetime) -> list[Shift]:
    begin = (now - BEHIND).replace(hour=0, minute=0, second=0, microsecond=0)
    return roster.shifts(schedule, begin, begin + BEHIND + AHEAD)


def _event(
    schedule: str, person: str, shift: Shift, now: datetime, summary: str
) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", f"{schedule}-{person}-{shift.start:%Y%m%dT%H%M%SZ}@stopgap")
    event.add("dtstamp", now.replace(microsecond=0))
    event.add("dtstart", shift.start)
    event.add("dtend", shift.end)
    event.add("summary", summary)
    return event


def _calendar(name: str, events: Iterator[icalendar.Event]) -> bytes:
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Stopgap//on call//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    for event in events:
        calendar.add_component(event)
    return bytes(calendar.to_ical())
