"""The updates of an incident over HTTP: look at them, draft, send, edit, put off."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from pydantic import Field, StrictInt

from daemon.core import deeds
from daemon.core import events as e
from daemon.core.incident import Incident
from daemon.core.units import Duration, Frozen
from daemon.web.house import House, body
from daemon.web.views import updates_view


class Whose(Frozen):
    """The audience of a draft."""

    audience: str = Field(max_length=100)


class Sending(Frozen):
    """One's own words, or the revision of the draft that was read; neither: as it stands."""

    text: str | None = Field(default=None, max_length=deeds.NOTE_LENGTH)
    revision: StrictInt | None = None


class Edited(Frozen):
    """The new text of an update that was sent."""

    text: str = Field(max_length=deeds.NOTE_LENGTH)


class Snoozing(Frozen):
    """Which audience hears nothing `for` how long, and why."""

    audience: str = Field(max_length=100)
    last: Duration = Field(alias="for")
    reason: str = Field(default="", max_length=500)


class Words:
    """The routes; each wants the person's own token."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        one = "/api/v1/incidents/{id}"
        return [
            web.get(f"{one}/updates", self.updates),
            web.post(f"{one}/updates", self.draft),
            web.post(f"{one}/updates/{{update}}/send", self.send),
            web.put(f"{one}/updates/{{update}}", self.edit),
            web.post(f"{one}/snooze", self.snooze),
        ]

    async def updates(self, request: web.Request) -> web.Response:
        """All updates, and which audiences were put off until when."""
        await self._house.person(request, "viewer")
        incident = await self._house.book.load(request.match_info["id"])
        snoozed = {name: until.isoformat() for name, until in incident.word.snoozed.items()}
        updates = updates_view(incident, self._house.roster())
        return web.json_response({"updates": updates, "snoozed": snoozed})

    async def draft(self, request: web.Request) -> web.Response:
        """Draft an update now."""
        who, given = await self._house.person(request), await body(request, Whose)
        house = self._house

        def change(incident: Incident) -> Sequence[e.Event]:
            rule = house.rules().rules.get(incident.rule)
            description = rule.description if rule else ""
            return deeds.draft_now(
                incident, house.roster(), given.audience, description, house.book.clock()
            )

        return await house.deed(request, who, change)

    async def send(self, request: web.Request) -> web.Response:
        """Send a draft."""
        who, given = await self._house.person(request), await body(request, Sending)
        update = request.match_info["update"]
        return await self._house.deed(
            request, who, lambda i: deeds.send(i, update, who, given.revision, given.text)
        )

    async def edit(self, request: web.Request) -> web.Response:
        """Change an update that was sent."""
        who, given = await self._house.person(request), await body(request, Edited)
        update = request.match_info["update"]
        return await self._house.deed(
            request, who, lambda i: deeds.edit(i, update, who, given.text)
        )

    async def snooze(self, request: web.Request) -> web.Response:
        """Put the updates to an audience off."""
        who, given = await self._house.person(request), await body(request, Snoozing)
        roster, clock = self._house.roster(), self._house.book.clock
        return await self._house.deed(
            request,
            who,
            lambda i: deeds.snooze(
                i, roster, given.audience, who, given.last, given.reason, clock()
            ),
        )
