"""What is learned from incidents over HTTP: causes, follow-ups, figures."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from daemon.core.incident import events as e
from daemon.core.reporting.figures import USUAL_PERIOD, Figures
from daemon.core.reporting.figures_csv import figures_csv
from daemon.core.reporting.follow_up_list import OpenFollowUp
from daemon.core.response.command import TEXT_LENGTH
from daemon.core.response.learning_commands import (
    CHANGE_LENGTH,
    TITLE_LENGTH,
    AddFollowUp,
    ChangeFollowUp,
    DecideStandardization,
    MoveFollowUp,
    RecordCause,
)
from daemon.core.values.units import Frozen
from daemon.reporting.figures import read_figures
from daemon.reporting.follow_ups import read_follow_ups
from daemon.web.api.incidents import EPOCH
from daemon.web.api.operation import ApiOperation, Call, IncidentPath, do, incident_operation
from daemon.web.api.request_parsing import Count, Lasting, When
from daemon.web.api.schemas import IncidentAfter
from daemon.web.context import WebContext

_TAG = "learning"


def _day(given: Any) -> Any:
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except (TypeError, ValueError):
        raise ValueError("this is not a day; write it like 2026-12-24") from None


CalendarDay = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date"}),
]
"""A day of the calendar."""


class CauseBody(Frozen):
    """What the cause was. `change`: the item of the change that it was; of the category `change`
    and without a name it is the suspect's."""

    text: str = Field(max_length=TEXT_LENGTH)
    category: e.CauseCategory = "unknown"
    change: str = Field(default="", max_length=CHANGE_LENGTH)


class StandardizationBody(Frozen):
    """What the rules learn: `applied`, they were changed (`path` is the file); if not, `reason`
    says why."""

    standard: e.StandardKind = "other"
    applied: bool = False
    rule: str = Field(default="", max_length=100)
    path: str = Field(default="", max_length=300)
    reason: str = Field(default="", max_length=500)


class NewFollowUp(Frozen):
    """What is to be done, by whom (whoever asks, if nobody is named), and until the end of which
    day; without one nobody is reminded."""

    title: str = Field(max_length=TITLE_LENGTH)
    owner: str = Field(default="", max_length=100)
    due: CalendarDay | None = None


class FollowUpEdit(Frozen):
    """What is to be different; what is left out stays."""

    title: str | None = Field(default=None, max_length=TITLE_LENGTH)
    owner: str | None = Field(default=None, max_length=100)
    due: CalendarDay | None = None


class FollowUpState(Frozen):
    """How far it is; `dropped` needs a reason."""

    status: e.FollowUpStatus
    reason: str = Field(default="", max_length=500)


class OneFollowUp(IncidentPath):
    """Which follow-up of which incident, by its number."""

    number: Count = Field(ge=1, le=9999)


class FollowUpFilter(Frozen):
    """Which follow-ups; all that are open, if nothing is given."""

    owner: str = Field(default="", max_length=100)
    team: str = Field(default="", max_length=200)
    overdue: Literal["", "true", "false"] = Field(
        default="", description="`true`: only those whose day is over"
    )


class FollowUpList(Frozen):
    """The open follow-ups of all incidents, what is due first first."""

    follow_ups: tuple[OpenFollowUp, ...]


class Period(Frozen):
    """A period: `for` how long (30 days, if left out), and up to when (now); as JSON or CSV."""

    last: Lasting | None = Field(default=None, alias="for")
    until: When | None = None
    format: Literal["json", "csv"] = "json"


class LearningOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        number = "follow-ups/{number}"
        cause = {"text": "v41 closed its connections too early", "category": "change"}
        kept = {"standard": "threshold", "reason": "it would have called us every night"}
        added = {"title": "test the pool under load", "owner": "bo", "due": "2026-12-24"}
        moved = {"status": "dropped", "reason": "the pool is gone"}
        return [
            incident_operation("POST", "cause", self.cause, _TAG, example=cause),
            incident_operation("POST", "standards", self.standardize, _TAG, example=kept),
            incident_operation("POST", "follow-ups", self.add, _TAG, example=added),
            incident_operation("PUT", number, self.change, _TAG, example={"due": "2026-12-31"}),
            incident_operation("POST", f"{number}/state", self.move, _TAG, example=moved),
            ApiOperation(
                "GET",
                "/api/v1/follow-ups",
                self.listed,
                "viewer",
                _TAG,
                example={"overdue": "true"},
            ),
            ApiOperation(
                "GET",
                "/api/v1/figures",
                self.figures,
                "viewer",
                _TAG,
                alternatives=("text/csv",),
                example={"for": "90d"},
            ),
        ]

    async def cause(self, call: Call[IncidentPath, None, CauseBody]) -> IncidentAfter:
        """Record what the cause was."""
        given = call.sent
        command = RecordCause(given.text, given.category, given.change)
        return await do(self._context, call, command)

    async def standardize(
        self, call: Call[IncidentPath, None, StandardizationBody]
    ) -> IncidentAfter:
        """Record what the rules learned from it, or why they stay as they are."""
        given = call.sent
        command = DecideStandardization(
            given.standard, given.applied, given.rule, given.path, given.reason
        )
        return await do(self._context, call, command)

    async def add(self, call: Call[IncidentPath, None, NewFollowUp]) -> IncidentAfter:
        """Add a follow-up, to a closed incident, too."""
        given = call.sent
        return await do(self._context, call, AddFollowUp(given.title, given.owner, given.due))

    async def change(self, call: Call[OneFollowUp, None, FollowUpEdit]) -> IncidentAfter:
        """Give a follow-up other words, another owner or another day."""
        given = call.sent
        command = ChangeFollowUp(call.at.number, given.title, given.owner, given.due)
        return await do(self._context, call, command)

    async def move(self, call: Call[OneFollowUp, None, FollowUpState]) -> IncidentAfter:
        """Say that a follow-up is in progress, done, dropped, or open again."""
        given = call.sent
        return await do(
            self._context, call, MoveFollowUp(call.at.number, given.status, given.reason)
        )

    async def listed(self, call: Call[None, FollowUpFilter, None]) -> FollowUpList:
        """List the open follow-ups of all incidents, what is overdue first."""
        wanted = call.query
        repository, today = self._context.repository, self._context.today()
        found = await read_follow_ups(repository, today, owner=wanted.owner, team=wanted.team)
        if wanted.overdue:
            found = [one for one in found if one.overdue == (wanted.overdue == "true")]
        return FollowUpList(follow_ups=tuple(found))

    async def figures(self, call: Call[None, Period, None]) -> Figures | str:
        """Show how the team and the daemon do over a period, and over the one before it.

        Times are in seconds. With `format=csv` it is a table for a spreadsheet.
        """
        until = max(call.query.until or self._context.repository.clock(), EPOCH)
        last = call.query.last or USUAL_PERIOD
        found = await read_figures(self._context.repository, last, until)
        if call.query.format == "json":
            return found
        call.headers["Content-Type"] = "text/csv"
        return figures_csv(found)
