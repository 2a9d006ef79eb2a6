"""What people do to an incident: come and go, hold roles, decide, call for others."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from pydantic import Field, StrictBool, StrictInt

from daemon.core import deeds, roles
from daemon.core import events as e
from daemon.core.incident import Incident
from daemon.core.units import Frozen
from daemon.web.house import House, body
from daemon.web.problems import Problem

ROLES: dict[str, e.Role] = {role.replace("_", "-"): role for role in roles.TITLES}


class Why(Frozen):
    """A reason."""

    reason: str = Field(default="", max_length=500)


class Text(Frozen):
    """What somebody has to say."""

    text: str = Field(max_length=deeds.NOTE_LENGTH)


class Tier(Frozen):
    """A tier of the policy, counted from 1."""

    tier: StrictInt = Field(ge=1)


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


class People:
    """The routes; each wants the person's own token."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        one = "/api/v1/incidents/{id}"
        return [
            web.post(f"{one}/ack", self.ack),
            web.post(f"{one}/leave", self.leave),
            web.post(f"{one}/pause", self.pause),
            web.post(f"{one}/resume", self.resume),
            web.post(f"{one}/notes", self.say),
            web.post(f"{one}/close", self.close),
            web.post(f"{one}/no-plan", self.no_plan),
            web.post(f"{one}/escalate", self.escalate),
            web.post(f"{one}/engage", self.engage),
            web.post(f"{one}/sentiment", self.sentiment),
            web.post(f"{one}/roles/{{role}}", self.take_role),
            web.delete(f"{one}/roles/{{role}}", self.leave_role),
            web.post(f"{one}/requests/{{request}}", self.answer),
        ]

    async def ack(self, request: web.Request) -> web.Response:
        """Respond; the first person becomes Commander."""
        who, via = await self._house.person(request), _via(request)
        return await self._house.deed(request, who, lambda i: deeds.acknowledge(i, who, via))

    async def leave(self, request: web.Request) -> web.Response:
        """Be off it."""
        who, via = await self._house.person(request), _via(request)
        return await self._house.deed(request, who, lambda i: deeds.unacknowledge(i, who, via))

    async def pause(self, request: web.Request) -> web.Response:
        """Stop the automation of one incident."""
        who, given = await self._house.person(request), await body(request, Why)
        return await self._house.deed(request, who, lambda i: deeds.pause(i, who, given.reason))

    async def resume(self, request: web.Request) -> web.Response:
        """Let the automation go on."""
        who = await self._house.person(request)
        return await self._house.deed(request, who, lambda i: deeds.resume(i, who))

    async def say(self, request: web.Request) -> web.Response:
        """Put a note on the timeline."""
        who, given = await self._house.person(request), await body(request, Text)
        return await self._house.deed(request, who, lambda i: deeds.say(i, given.text))

    async def close(self, request: web.Request) -> web.Response:
        """End an incident."""
        who, given = await self._house.person(request), await body(request, Why)
        return await self._house.deed(request, who, lambda i: deeds.close(i, who, given.reason))

    async def no_plan(self, request: web.Request) -> web.Response:
        """The Commander says that no plan fits."""
        who, given = await self._house.person(request), await body(request, Why)
        return await self._house.deed(request, who, lambda i: deeds.no_plan(i, who, given.reason))

    async def escalate(self, request: web.Request) -> web.Response:
        """Call a tier of the policy now."""
        who, given = await self._house.person(request), await body(request, Tier)
        roster, clock = self._house.roster(), self._house.book.clock
        return await self._house.deed(
            request, who, lambda i: deeds.jump(i, roster, given.tier, who, clock())
        )

    async def engage(self, request: web.Request) -> web.Response:
        """Call in an expert team."""
        who, given = await self._house.person(request), await body(request, Engagement)
        roster, links = self._house.roster(), self._house.links
        return await self._house.deed(
            request,
            who,
            lambda i: deeds.engage(i, roster, given.team, who, given.reason, links.document(i.id)),
        )

    async def sentiment(self, request: web.Request) -> web.Response:
        """A person reports what the public says."""
        who, given = await self._house.person(request), await body(request, Text)
        return await self._house.deed(request, who, lambda i: deeds.sentiment(i, who, given.text))

    async def take_role(self, request: web.Request) -> web.Response:
        """Take a role, or ask somebody else to."""
        who, role = await self._house.person(request), _role(request)
        given = await body(request, Whom)
        roster, clock = self._house.roster(), self._house.book.clock
        taker = who if given.person is None else given.person
        if taker not in roster.people:
            known = ", ".join(sorted(roster.people))
            raise Problem(400, "Who is that?", f"{taker!r} is not in the roster; it has {known}")
        patience = roster.timing.answer

        def change(incident: Incident) -> Sequence[e.Event]:
            if taker == who:
                return roles.take(incident, role, who, clock(), patience)
            return roles.assign(incident, role, taker, who, clock(), patience)

        return await self._house.deed(request, who, change)

    async def leave_role(self, request: web.Request) -> web.Response:
        """Give up a role."""
        who, role = await self._house.person(request), _role(request)
        return await self._house.deed(request, who, lambda i: roles.step_down(i, role, who))

    async def answer(self, request: web.Request) -> web.Response:
        """Say yes or no to a request for a role."""
        who, given = await self._house.person(request), await body(request, Answer)
        patience, clock = self._house.roster().timing.answer, self._house.book.clock
        name = request.match_info["request"]
        return await self._house.deed(
            request,
            who,
            lambda i: roles.answer(
                i, name, who, accept=given.accept, now=clock(), patience=patience
            ),
        )


def _via(request: web.Request) -> str:
    """How they came or went: by the command line, or by another client of the API."""
    return "cli" if request.headers.get("User-Agent", "").startswith("stopgap") else "api"


def _role(request: web.Request) -> e.Role:
    given = request.match_info["role"]
    role = ROLES.get(given.replace("_", "-"))
    if role is None:
        raise Problem(404, "No such role", f"{given!r} is none of {', '.join(ROLES)}")
    return role
