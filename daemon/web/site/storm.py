"""The page of the storms that go on, with the buttons that act on all of their incidents."""

from __future__ import annotations

from typing import cast

from aiohttp import web

from daemon.web.api.storm import storm_view
from daemon.web.errors import HttpProblem
from daemon.web.site.event_stream import ChangeCounter
from daemon.web.site.layout import Frame
from daemon.web.storm_deeds import STORM_DEEDS, NoStorm, StormDeed, act_on_storm

STORM_SHOWN = 50
"""So many incidents of a storm are on the page until all are asked for, the gravest of them:
hundreds would be drawn anew for every reader at every change."""


class StormPage:
    """The routes."""

    def __init__(self, frame: Frame, changes: ChangeCounter) -> None:
        self._frame = frame
        self._changes = changes

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/storm", self.show), web.post("/storm", self.act)]

    async def show(self, request: web.Request) -> web.Response:
        """The storms with their incidents, the gravest first."""
        return await self._shown(request, "")

    async def act(self, request: web.Request) -> web.Response:
        """Do what the button says to all of them."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        if form["deed"] not in STORM_DEEDS:
            raise HttpProblem(400, "Bad form", "This page has no such button; open it again.")
        deed = cast(StormDeed, form["deed"])
        try:
            outcome = await act_on_storm(self._frame.context, deed, identity.person, "page")
        except NoStorm as error:
            raise HttpProblem(409, "No storm", f"{error}.") from None
        return await self._shown(request, outcome.text)

    async def _shown(self, request: web.Request, done: str) -> web.Response:
        identity = await self._frame.visitor(request)
        version = self._changes.version()
        most = None if "all" in request.query else STORM_SHOWN
        storms, roster = self._frame.context.storms(), self._frame.context.roster()
        context = {
            "heading": "Storm",
            "views": [storm_view(storm, roster, most) for storm in storms],
            "counts": {storm.name: len(storm.members) for storm in storms},
            "paused": {s.name for s in storms if any(one.paused_by for one in s.members)},
            "said": done,
            "version": version,
        }
        return await self._frame.page(request, identity, "storm.html", context)
