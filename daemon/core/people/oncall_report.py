"""Who is on call by each schedule, until when, who is next, and where nobody will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from daemon.core.people.calendar_report import CalendarReport
from daemon.core.people.oncall_changes import ShiftSwap
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Shift
from daemon.core.values.units import format_duration

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


def shift_coverage(
    roster: Roster, at: datetime, ahead: timedelta = REPORT_AHEAD
) -> list[ScheduleReport]:
    """One report for each schedule, in their order.

    Raises ValueError if `ahead` is not positive.
    """
    if ahead <= timedelta(0):
        raise ValueError("look ahead for some time: `ahead` must be more than 0s")
    return [_report(roster, name, at, at + ahead) for name in roster.schedules]


def _report(roster: Roster, name: str, start: datetime, end: datetime) -> ScheduleReport:
    current, *later = roster.shifts(name, start, end)
    return ScheduleReport(
        schedule=name,
        zone=roster.schedules[name].zone,
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
    spans = [shift for name in names for shift in roster.shifts(name, at, end)]
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


def oncall_view(
    roster: Roster,
    at: datetime,
    swaps: Sequence[ShiftSwap] = (),
    calendars: Sequence[CalendarReport] = (),
) -> dict[str, Any]:
    """Who would be called at that moment, and where nobody would be, as plain JSON; with the
    overrides that are not over then, the swaps that wait for an answer, and what was read from
    the calendars."""
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
            for report in shift_coverage(roster, at)
        ],
        "overrides": [
            override.model_dump(mode="json")
            for name in roster.schedules
            for override in roster.changes_of(name)
            if override.until > at
        ],
        "swaps": [swap.model_dump(mode="json") for swap in swaps],
        "calendars": [report.model_dump(mode="json") for report in calendars],
    }


def _span(gap: Shift) -> dict[str, str]:
    return {"from": gap.start.isoformat(), "until": gap.end.isoformat()}
