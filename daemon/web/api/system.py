"""The rules, who is on call, and the daemon as a whole: to look at, not to change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from daemon.core.people.calendar_report import CalendarReport
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.people.oncall_report import oncall_view
from daemon.core.reporting.coverage import Coverage, RuleReport
from daemon.core.reporting.status_page.model import StatusPage
from daemon.core.values.outcome import Permanent
from daemon.core.values.units import Frozen
from daemon.reporting.status import System
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.api.request_parsing import Count, When
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "system"
_FAR = timedelta(days=3660)
"""How far from now one may ask who is on call."""

TimeRange = dict[Literal["from", "until"], str]
"""Two times, with their offsets."""


class MomentQuery(Frozen):
    """At which time; now, if left out."""

    at: When | None = None


class TierView(Frozen):
    """A tier of a policy at that moment: who is called, and how long they have."""

    tier: int
    people: tuple[str, ...]
    wait: str


class TeamView(Frozen):
    """Who is called for a team, tier by tier, and when nobody at all would be."""

    tiers: tuple[TierView, ...]
    uncovered: tuple[TimeRange, ...]


class ScheduleView(Frozen):
    """Who has a schedule until when, who is next, and its gaps."""

    schedule: str
    zone: str
    now: tuple[str, ...]
    until: str | None
    next: tuple[str, ...]
    gaps: tuple[TimeRange, ...]


class OnCall(Frozen):
    """Who would be called at that moment, and where nobody would be in the two weeks after.

    `overrides`: those that stand or are to come; `swaps`: those that wait for an answer.
    `calendars`: what was read from the on-call calendars.
    """

    at: str
    teams: dict[str, TeamView]
    schedules: tuple[ScheduleView, ...]
    overrides: tuple[OncallOverride, ...]
    swaps: tuple[ShiftSwap, ...]
    calendars: tuple[CalendarReport, ...]


class Rules(Frozen):
    """The rules in force, by name."""

    rules: tuple[RuleReport, ...]


class Past(Frozen):
    """How many days back."""

    days: Count = Field(default=30, ge=1, le=366)


NO_STATUS_PAGE = "no status page is kept; `status_page.folder` in stopgap.yaml says where to"


class Looking:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        return [
            ApiOperation("GET", "/api/v1/rules", self.rules, "viewer", _TAG),
            ApiOperation(
                "GET", "/api/v1/coverage", self.coverage, "viewer", _TAG, example={"days": 7}
            ),
            ApiOperation(
                "GET",
                "/api/v1/oncall",
                self.oncall,
                "viewer",
                _TAG,
                example={"at": "2026-12-24T18:00:00Z"},
            ),
            ApiOperation("GET", "/api/v1/system", self.system, "viewer", _TAG),
            ApiOperation(
                "GET", "/api/v1/status-page", self.status_page, "viewer", _TAG, errors=(404, 409)
            ),
        ]

    async def rules(self, call: Call[None, None, None]) -> Rules:
        """List the rules in force: their steps with the approvals, and what they have opened."""
        return Rules(rules=tuple(await self._context.overview.rule_reports()))

    async def coverage(self, call: Call[None, Past, None]) -> Coverage:
        """Show which alerts of the past days had a rule, and which had none."""
        return await self._context.overview.coverage(timedelta(days=call.query.days))

    async def oncall(self, call: Call[None, MomentQuery, None]) -> OnCall:
        """Show who would be called, now or at another time, and where nobody would be."""
        now: datetime = self._context.repository.clock()
        at = call.query.at or now
        if abs(at - now) > _FAR:
            raise HttpProblem(400, "Bad request", "at: it lies more than ten years from now")
        desk = self._context.oncall
        swaps = desk.open_swaps() if desk is not None else []
        calendars = self._context.overview.calendars()
        view = oncall_view(self._context.roster(), at, swaps, calendars)
        return OnCall.model_validate(view)

    async def status_page(self, call: Call[None, None, None]) -> StatusPage:
        """Show the public status page as it stands."""
        return status_page_now(self._context)

    async def system(self, call: Call[None, None, None]) -> System:
        """Show how the daemon does: its queues, its store, its rules, and what it depends on."""
        return await self._context.overview.system()


def status_page_now(context: WebContext) -> StatusPage:
    """The public status page as it stands. Raises Problem 404 where none is kept, 409 where nothing
    of it can be public."""
    if context.status_page is None:
        raise HttpProblem(404, "No status page", NO_STATUS_PAGE)
    try:
        return context.status_page()
    except Permanent as error:
        raise HttpProblem(409, "The status page is not written", str(error)) from None
