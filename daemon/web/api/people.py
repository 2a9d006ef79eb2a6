"""What people do to an incident: come and go, hold roles, decide, call for others."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field, StrictBool

from daemon.core.incident import events as e
from daemon.core.response import commands as deeds
from daemon.core.response import roles
from daemon.core.values.units import Frozen, Whole
from daemon.web.api.operation import Call, Now, OneIncident, Operation, deed, do
from daemon.web.context import House
from daemon.web.errors import Problem

ROOM = "people"
ROLES: dict[str, e.Role] = {role.replace("_", "-"): role for role in roles.TITLES}


class Why(Frozen):
    """A reason."""

    reason: str = Field(default="", max_length=500)


class Text(Frozen):
    """What somebody has to say."""

    text: str = Field(max_length=deeds.NOTE_LENGTH)


class Tier(Frozen):
    """A tier of the policy, counted from 1."""

    tier: Whole = Field(ge=1)


class Engagement(Frozen):
    """A team to call in, and why."""

    team: str = Field(max_length=100)
    reason: str = Field(default="", max_length=deeds.NOTE_LENGTH)


class Whom(Frozen):
    """Who should have a role; left out, whoever asks."""

    person: str | None = Field(default=None, max_length=100)


class Answer(Frozen):
    """Yes or no."""

    accept: StrictBool


class OneRole(OneIncident):
    """Which role of which incident: commander, communicator, fast-recovery or diagnosis."""

    role: str


class OneRequest(OneIncident):
    """Which question of which incident, such as `commander.1`."""

    request: str


class People:
    """The rows; each wants the person's own token."""

    def __init__(self, house: House) -> None:
        self._house = house

    def operations(self) -> list[Operation]:
        """The rows of the table."""
        role, why = "roles/{role}", {"reason": "we look at it by hand"}
        return [
            deed("POST", "ack", self.ack, ROOM),
            deed("POST", "leave", self.leave, ROOM),
            deed("POST", "pause", self.pause, ROOM, example=why),
            deed("POST", "resume", self.resume, ROOM),
            deed("POST", "notes", self.say, ROOM, example={"text": "the provider is down"}),
            deed("POST", "close", self.close, ROOM, example={"reason": "it was a test"}),
            deed("POST", "no-plan", self.no_plan, ROOM, example={"reason": "this is new to us"}),
            deed("POST", "escalate", self.escalate, ROOM, example={"tier": 2}),
            deed(
                "POST",
                "engage",
                self.engage,
                ROOM,
                example={"team": "database", "reason": "slow queries"},
            ),
            deed("POST", "sentiment", self.sentiment, ROOM, example={"text": "people complain"}),
            deed("POST", role, self.take_role, ROOM, example={"person": "bo"}),
            deed("DELETE", role, self.leave_role, ROOM),
            deed("POST", "requests/{request}", self.answer, ROOM, example={"accept": True}),
        ]

    async def ack(self, call: Call[OneIncident, None, None]) -> Now:
        """Respond; the first person becomes Commander."""
        who, via = call.person, _via(call.request)
        return await do(self._house, call, lambda i: deeds.acknowledge(i, who, via))

    async def leave(self, call: Call[OneIncident, None, None]) -> Now:
        """Be off it."""
        who, via = call.person, _via(call.request)
        return await do(self._house, call, lambda i: deeds.unacknowledge(i, who, via))

    async def pause(self, call: Call[OneIncident, None, Why]) -> Now:
        """Stop the automation of one incident."""
        who, why = call.person, call.sent.reason
        return await do(self._house, call, lambda i: deeds.pause(i, who, why))

    async def resume(self, call: Call[OneIncident, None, None]) -> Now:
        """Let the automation go on."""
        return await do(self._house, call, lambda i: deeds.resume(i, call.person))

    async def say(self, call: Call[OneIncident, None, Text]) -> Now:
        """Put a note on the timeline."""
        return await do(self._house, call, lambda i: deeds.say(i, call.sent.text))

    async def close(self, call: Call[OneIncident, None, Why]) -> Now:
        """End an incident."""
        who, why = call.person, call.sent.reason
        return await do(self._house, call, lambda i: deeds.close(i, who, why))

    async def no_plan(self, call: Call[OneIncident, None, Why]) -> Now:
        """Say, as the Commander, that no plan fits."""
        who, why = call.person, call.sent.reason
        return await do(self._house, call, lambda i: deeds.no_plan(i, who, why))

    async def escalate(self, call: Call[OneIncident, None, Tier]) -> Now:
        """Call a tier of the policy now."""
        who, tier = call.person, call.sent.tier
        roster, clock = self._house.roster(), self._house.book.clock
        return await do(self._house, call, lambda i: deeds.jump(i, roster, tier, who, clock()))

    async def engage(self, call: Call[OneIncident, None, Engagement]) -> Now:
        """Call in an expert team."""
        who, given = call.person, call.sent
        roster, links = self._house.roster(), self._house.links
        return await do(
            self._house,
            call,
            lambda i: deeds.engage(i, roster, given.team, who, given.reason, links.document(i.id)),
        )

    async def sentiment(self, call: Call[OneIncident, None, Text]) -> Now:
        """Report, as a person, what the public says."""
        who, text = call.person, call.sent.text
        return await do(self._house, call, lambda i: deeds.sentiment(i, who, text))

    async def take_role(self, call: Call[OneRole, None, Whom]) -> Now:
        """Take a role, or ask somebody else to."""
        who, role = call.person, _role(call.at.role)
        roster, clock = self._house.roster(), self._house.book.clock
        taker = who if call.sent.person is None else call.sent.person
        if taker not in roster.people:
            known = ", ".join(sorted(roster.people))
            raise Problem(400, "Who is that?", f"{taker!r} is not in the roster; it has {known}")
        return await do(
            self._house, call, lambda i: roles.fill(i, roster, role, taker, who, clock())
        )

    async def leave_role(self, call: Call[OneRole, None, None]) -> Now:
        """Give up a role."""
        role = _role(call.at.role)
        return await do(self._house, call, lambda i: roles.step_down(i, role, call.person))

    async def answer(self, call: Call[OneRequest, None, Answer]) -> Now:
        """Say yes or no to a request for a role."""
        who, accept, name = call.person, call.sent.accept, call.at.request
        patience, clock = self._house.roster().timing.answer, self._house.book.clock
        return await do(
            self._house,
            call,
            lambda i: roles.answer(i, name, who, accept=accept, now=clock(), patience=patience),
        )


def _via(request: web.Request) -> str:
    """How they came or went: by the command line, or by another client of the API."""
    return "cli" if request.headers.get("User-Agent", "").startswith("stopgap") else "api"


def _role(given: str) -> e.Role:
    role = ROLES.get(given.replace("_", "-"))
    if role is None:
        raise Problem(404, "No such role", f"{given!r} is none of {', '.join(ROLES)}")
    return role
