"""What people do to an incident: come and go, hold roles, decide, call for others."""

from __future__ import annotations

from pydantic import Field, StrictBool

from daemon.core.incident import events as e
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.response.command import TEXT_LENGTH
from daemon.core.response.commands import (
    Acknowledge,
    Close,
    DeclareNoPlan,
    EngageTeam,
    Escalate,
    Leave,
    Note,
    PauseAutomation,
    ReportSentiment,
    ResumeAutomation,
)
from daemon.core.response.role_commands import AnswerRequest, FillRole, LeaveRole
from daemon.core.values.units import Frozen, Whole
from daemon.web.api.operation import ApiOperation, Call, IncidentPath, do, incident_operation
from daemon.web.api.schemas import IncidentAfter
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "people"
_ROLES: dict[str, e.Role] = {role.replace("_", "-"): role for role in ROLE_NAMES}


class ReasonBody(Frozen):
    """A reason."""

    reason: str = Field(default="", max_length=500)


class TextBody(Frozen):
    """What somebody has to say."""

    text: str = Field(max_length=TEXT_LENGTH)


class TierPath(Frozen):
    """A tier of the policy, counted from 1."""

    tier: Whole = Field(ge=1)


class EngagementRequest(Frozen):
    """A team to call in, and why."""

    team: str = Field(max_length=100)
    reason: str = Field(default="", max_length=TEXT_LENGTH)


class Whom(Frozen):
    """Who should have a role; left out, whoever asks."""

    person: str | None = Field(default=None, max_length=100)


class RoleAnswer(Frozen):
    """Yes or no."""

    accept: StrictBool


class OneRole(IncidentPath):
    """Which role of which incident: commander, communicator, fast-recovery or diagnosis."""

    role: str


class OneRequest(IncidentPath):
    """Which question of which incident, such as `commander.1`."""

    request: str


class PeopleOperations:
    """The rows; each wants the person's own token."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        role, why = "roles/{role}", {"reason": "we look at it by hand"}
        return [
            incident_operation("POST", "ack", self.ack, _TAG),
            incident_operation("POST", "leave", self.leave, _TAG),
            incident_operation("POST", "pause", self.pause, _TAG, example=why),
            incident_operation("POST", "resume", self.resume, _TAG),
            incident_operation(
                "POST", "notes", self.say, _TAG, example={"text": "the provider is down"}
            ),
            incident_operation(
                "POST", "close", self.close, _TAG, example={"reason": "it was a test"}
            ),
            incident_operation(
                "POST", "no-plan", self.no_plan, _TAG, example={"reason": "this is new to us"}
            ),
            incident_operation("POST", "escalate", self.escalate, _TAG, example={"tier": 2}),
            incident_operation(
                "POST",
                "engage",
                self.engage,
                _TAG,
                example={"team": "database", "reason": "slow queries"},
            ),
            incident_operation(
                "POST", "sentiment", self.sentiment, _TAG, example={"text": "people complain"}
            ),
            incident_operation("POST", role, self.take_role, _TAG, example={"person": "bo"}),
            incident_operation("DELETE", role, self.leave_role, _TAG),
            incident_operation(
                "POST", "requests/{request}", self.answer, _TAG, example={"accept": True}
            ),
        ]

    async def ack(self, call: Call[IncidentPath, None, None]) -> IncidentAfter:
        """Respond; the first person becomes Commander."""
        return await do(self._context, call, Acknowledge())

    async def leave(self, call: Call[IncidentPath, None, None]) -> IncidentAfter:
        """Be off it."""
        return await do(self._context, call, Leave())

    async def pause(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """Stop the automation of one incident."""
        return await do(self._context, call, PauseAutomation(call.sent.reason))

    async def resume(self, call: Call[IncidentPath, None, None]) -> IncidentAfter:
        """Let the automation go on."""
        return await do(self._context, call, ResumeAutomation())

    async def say(self, call: Call[IncidentPath, None, TextBody]) -> IncidentAfter:
        """Put a note on the timeline."""
        return await do(self._context, call, Note(call.sent.text))

    async def close(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """End an incident."""
        return await do(self._context, call, Close(call.sent.reason))

    async def no_plan(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """Say, as the Commander, that no plan fits."""
        return await do(self._context, call, DeclareNoPlan(call.sent.reason))

    async def escalate(self, call: Call[IncidentPath, None, TierPath]) -> IncidentAfter:
        """Call a tier of the policy now."""
        return await do(self._context, call, Escalate(call.sent.tier))

    async def engage(self, call: Call[IncidentPath, None, EngagementRequest]) -> IncidentAfter:
        """Call in an expert team."""
        return await do(self._context, call, EngageTeam(call.sent.team, call.sent.reason))

    async def sentiment(self, call: Call[IncidentPath, None, TextBody]) -> IncidentAfter:
        """Report, as a person, what the public says."""
        return await do(self._context, call, ReportSentiment(call.sent.text))

    async def take_role(self, call: Call[OneRole, None, Whom]) -> IncidentAfter:
        """Take a role, or ask somebody else to."""
        return await do(self._context, call, FillRole(_role(call.at.role), call.sent.person))

    async def leave_role(self, call: Call[OneRole, None, None]) -> IncidentAfter:
        """Give up a role."""
        return await do(self._context, call, LeaveRole(_role(call.at.role)))

    async def answer(self, call: Call[OneRequest, None, RoleAnswer]) -> IncidentAfter:
        """Say yes or no to a request for a role."""
        return await do(self._context, call, AnswerRequest(call.at.request, call.sent.accept))


def _role(given: str) -> e.Role:
    role = _ROLES.get(given.replace("_", "-"))
    if role is None:
        raise HttpProblem(404, "No such role", f"{given!r} is none of {', '.join(_ROLES)}")
    return role
