"""Who is on call by each schedule, until when, who is next, and where nobody will be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Schedule, Shift, shifts
from daemon.core.values.units import Frozen, Moment, format_duration

NO_TEAM = "(no team)"
"""Under this the default policy is shown, where no team has it."""
REPORT_AHEAD = timedelta(days=14)
"""How far ahead gaps are looked for: time enough to fill them."""


@dataclass(frozen=True, slots=True)
class ScheduleReport:
    """One schedule at one moment.

    `now` and `next` are people, nobody in a gap. `until` is when `now` ends and `next` begins;
    None if nothing changes in the time looked at, and then `next` is empty. `gaps` are the
    parts of that time without anybody, cut at its ends. `zone` is the schedule's, for showing.
    """

    schedule: str
    zone: str
    now: tuple[str, ...]
    until: datetime | None
    next: tuple[str, ...]
    gaps: tuple[Shift, ...]


class CalendarReport(Frozen):
    """The on-call calendar of a schedule. `trouble`: why it could not be read the last time.

    `fetched_at` is the age of the copy in use, where it comes from the web; `stale`: it is older
    than the roster allows, or cannot be read at all.
    """

    schedule: str
    source: Literal["file", "url"]
    fetched_at: Moment | None
    stale: bool
    trouble: str = ""


def shift_coverage(
    schedules: Mapping[str, Schedule],
    calendars: Mapping[str, Sequence[Shift]],
    at: datetime,
    ahead: timedelta = REPORT_AHEAD,
) -> list[ScheduleReport]:
    """One report for each schedule, in their order. `calendars` holds shifts by schedule.

    Raises ValueError if `ahead` is not positive.
    """
    if ahead <= timedelta(0):
        raise ValueError("look ahead for some time: `ahead` must be more than 0s")
    return [
        _report(name, schedule, calendars.get(name, ()), at, at + ahead)
        for name, schedule in schedules.items()
    ]


def _report(
    name: str, schedule: Schedule, calendar: Sequence[Shift], start: datetime, end: datetime
) -> ScheduleReport:
    current, *later = shifts(schedule, start, end, calendar)
    return ScheduleReport(
        schedule=name,
        zone=schedule.zone,
        now=current.people,
        until=current.end if later else None,
        next=later[0].people if later else (),
        gaps=tuple(shift for shift in (current, *later) if not shift.people),
    )


def uncovered(
    roster: Roster, team: str, at: datetime, ahead: timedelta = REPORT_AHEAD
) -> list[Shift]:
    """When nobody at all is called for a team: no tier of its policy has anybody."""
    names = {name for tier in roster.policy_for(team).tiers for name in tier.notify}
    if names - roster.schedules.keys():
        return []
    end = at + ahead
    spans = [
        shift
        for name in names
        for shift in shifts(roster.schedules[name], at, end, _held(roster, name))
    ]
    found: list[Shift] = []
    cuts = sorted({moment for shift in spans for moment in (shift.start, shift.end)})
    for opens, closes in pairwise(cuts):
        if any(shift.people and shift.start <= opens < shift.end for shift in spans):
            continue
        if found and found[-1].end == opens:
            found[-1] = replace(found[-1], end=closes)
        else:
            found.append(Shift(opens, closes, ()))
    return found


def _team(roster: Roster, team: str, at: datetime) -> dict[str, Any]:
    return {
        "tiers": [
            {"tier": number, "people": list(tier.people), "wait": format_duration(tier.wait)}
            for number, tier in enumerate(roster.tiers(team, at), 1)
        ],
        "uncovered": [_span(gap) for gap in uncovered(roster, team, at)],
    }


def oncall_view(roster: Roster, at: datetime) -> dict[str, Any]:
    """Who would be called at that moment, and where nobody would be, as plain JSON."""
    calendars = {name: _held(roster, name) for name in roster.schedules}
    teams = {team: _team(roster, team, at) for team in roster.teams}
    if all(team.policy != roster.default_policy for team in roster.teams.values()):
        teams[NO_TEAM] = _team(roster, NO_TEAM, at)
    return {
        "at": at.isoformat(),
        "teams": teams,
        "schedules": [
            {
                "schedule": report.schedule,
                "zone": report.zone,
                "now": list(report.now),
                "until": report.until.isoformat() if report.until else None,
                "next": list(report.next),
                "gaps": [_span(gap) for gap in report.gaps],
            }
            for report in shift_coverage(roster.schedules, calendars, at)
        ],
    }


def _held(roster: Roster, schedule: str) -> list[Shift]:
    """What the schedule's calendar holds, of people whom the roster still has."""
    return [
        replace(shift, people=tuple(name for name in shift.people if name in roster.people))
        for shift in roster.calendar(schedule)
    ]


def _span(gap: Shift) -> dict[str, str]:
    return {"from": gap.start.isoformat(), "until": gap.end.isoformat()}
