"""What people do to an incident: come and go, hold roles, decide, call for others."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field, StrictBool

from daemon.core.incident import events as e
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.response import commands as deeds
from daemon.core.response import roles
from daemon.core.values.units import Frozen, Whole
from daemon.web.api.operation import (
    ApiOperation,
    Call,
    IncidentAfter,
    IncidentPath,
    do,
    incident_operation,
)
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "people"
_ROLES: dict[str, e.Role] = {role.replace("_", "-"): role for role in ROLE_NAMES}


class ReasonBody(Frozen):
    """A reason."""

    reason: str = Field(default="", max_length=500)


class TextBody(Frozen):
    """What somebody has to say."""

    text: str = Field(max_length=deeds.NOTE_LENGTH)


class TierPath(Frozen):
    """A tier of the policy, counted from 1."""

    tier: Whole = Field(ge=1)


class EngagementRequest(Frozen):
    """A team to call in, and why."""

    team: str = Field(max_length=100)
    reason: str = Field(default="", max_length=deeds.NOTE_LENGTH)


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


class People:
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
        who, via = call.person, _via(call.request)
        return await do(self._context, call, lambda i: deeds.acknowledge(i, who, via))

    async def leave(self, call: Call[IncidentPath, None, None]) -> IncidentAfter:
        """Be off it."""
        who, via = call.person, _via(call.request)
        return await do(self._context, call, lambda i: deeds.unacknowledge(i, who, via))

    async def pause(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """Stop the automation of one incident."""
        who, why = call.person, call.sent.reason
        return await do(self._context, call, lambda i: deeds.pause(i, who, why))

    async def resume(self, call: Call[IncidentPath, None, None]) -> IncidentAfter:
        """Let the automation go on."""
        return await do(self._context, call, lambda i: deeds.resume(i, call.person))

    async def say(self, call: Call[IncidentPath, None, TextBody]) -> IncidentAfter:
        """Put a note on the timeline."""
        return await do(self._context, call, lambda i: deeds.say(i, call.sent.text))

    async def close(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """End an incident."""
        who, why = call.person, call.sent.reason
        return await do(self._context, call, lambda i: deeds.close(i, who, why))

    async def no_plan(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """Say, as the Commander, that no plan fits."""
        who, why = call.person, call.sent.reason
        return await do(self._context, call, lambda i: deeds.no_plan(i, who, why))

    async def escalate(self, call: Call[IncidentPath, None, TierPath]) -> IncidentAfter:
        """Call a tier of the policy now."""
        who, tier = call.person, call.sent.tier
        roster, clock = self._context.roster(), self._context.repository.clock
        return await do(self._context, call, lambda i: deeds.jump(i, roster, tier, who, clock()))

    async def engage(self, call: Call[IncidentPath, None, EngagementRequest]) -> IncidentAfter:
        """Call in an expert team."""
        who, given = call.person, call.sent
        roster, links = self._context.roster(), self._context.links
        return await do(
            self._context,
            call,
            lambda i: deeds.engage(i, roster, given.team, who, given.reason, links.document(i.id)),
        )

    async def sentiment(self, call: Call[IncidentPath, None, TextBody]) -> IncidentAfter:
        """Report, as a person, what the public says."""
        who, text = call.person, call.sent.text
        return await do(self._context, call, lambda i: deeds.sentiment(i, who, text))

    async def take_role(self, call: Call[OneRole, None, Whom]) -> IncidentAfter:
        """Take a role, or ask somebody else to."""
        who, role = call.person, _role(call.at.role)
        roster, clock = self._context.roster(), self._context.repository.clock
        taker = who if call.sent.person is None else call.sent.person
        if taker not in roster.people:
            known = ", ".join(sorted(roster.people))
            raise HttpProblem(
                400, "Who is that?", f"{taker!r} is not in the roster; it has {known}"
            )
        return await do(
            self._context, call, lambda i: roles.fill(i, roster, role, taker, who, clock())
        )

    async def leave_role(self, call: Call[OneRole, None, None]) -> IncidentAfter:
        """Give up a role."""
        role = _role(call.at.role)
        return await do(self._context, call, lambda i: roles.step_down(i, role, call.person))

    async def answer(self, call: Call[OneRequest, None, RoleAnswer]) -> IncidentAfter:
        """Say yes or no to a request for a role."""
        who, accept, name = call.person, call.sent.accept, call.at.request
        patience, clock = self._context.roster().timing.answer, self._context.repository.clock
        return await do(
            self._context,
            call,
            lambda i: roles.answer_request(
                i, name, who, accept=accept, now=clock(), patience=patience
            ),
        )


def _via(request: web.Request) -> str:
    """How they came or went: by the command line, or by another client of the API."""
    return "cli" if request.headers.get("User-Agent", "").startswith("stopgap") else "api"


def _role(given: str) -> e.Role:
    role = _ROLES.get(given.replace("_", "-"))
    if role is None:
        raise HttpProblem(404, "No such role", f"{given!r} is none of {', '.join(_ROLES)}")
    return role
