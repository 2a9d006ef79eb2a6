"""Storms: many incidents that opened together, and what is done to all of them at once."""

from __future__ import annotations

from datetime import datetime

from daemon.core.measurement.problem import Severity
from daemon.core.people.roster import Roster
from daemon.core.response.storm import Storm
from daemon.core.response.storm_text import storm_headline
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem
from daemon.web.storm_deeds import NoStorm, StormDeed, StormOutcome, act_on_storm

_TAG = "storm"


class StormIncident(Frozen):
    """One incident of a storm. `alone`: it is called for by itself."""

    incident: str
    title: str
    team: str
    severity: Severity
    commander: str
    paused_by: str
    alone: bool


class StormView(Frozen):
    """A storm as it stands, in a sentence and by its incidents, the gravest first. What opens
    before `joins_until` is one of it."""

    storm: str
    began: datetime
    joins_until: datetime
    text: str
    waiting: int
    incidents: tuple[StormIncident, ...]


class StormList(Frozen):
    """The storms that go on, the oldest first; hardly ever more than one."""

    storms: tuple[StormView, ...]


class StormDeedPath(Frozen):
    """What is done to all: ack, freeze, thaw or command."""

    deed: StormDeed


class StormOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        path = "/api/v1/storm"
        return [
            ApiOperation("GET", path, self.storms, "viewer", _TAG),
            ApiOperation("POST", f"{path}/{{deed}}", self.act, "responder", _TAG, errors=(409,)),
        ]

    async def storms(self, call: Call[None, None, None]) -> StormList:
        """List the storms that go on, with their incidents by severity and team."""
        roster = self._context.roster()
        views = (storm_view(storm, roster) for storm in self._context.storms())
        return StormList(storms=tuple(views))

    async def act(self, call: Call[StormDeedPath, None, None]) -> StormOutcome:
        """Acknowledge, freeze, thaw or command all incidents of the storms at once.

        What others command is left to them, and named.
        """
        try:
            return await act_on_storm(self._context, call.at.deed, call.person, "api")
        except NoStorm as error:
            raise HttpProblem(409, "No storm", str(error)) from None


def storm_view(storm: Storm, roster: Roster, most: int | None = None) -> StormView:
    """The storm for programs and pages, with so many of its incidents at the most."""
    members = sorted(storm.members, key=lambda m: (m.severity or "sev9", m.opened.team, m.id))
    return StormView(
        storm=storm.name,
        began=storm.began,
        joins_until=storm.joins_until,
        text=storm_headline(storm, roster),
        waiting=len(storm.uncommanded),
        incidents=tuple(
            StormIncident(
                incident=member.id,
                title=member.title,
                team=member.opened.team,
                severity=member.severity,
                commander=member.commander,
                paused_by=member.paused_by,
                alone=not storm.is_held(member),
            )
            for member in members[:most]
        ),
    )
