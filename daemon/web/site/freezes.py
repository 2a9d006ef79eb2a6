"""The freeze switch that is on every page."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from daemon.core.values.units import parse_duration
from daemon.web.auth.csrf import local_path
from daemon.web.errors import HttpProblem
from daemon.web.site.layout import Frame, to


class FreezePages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.post("/freezes", self.freeze), web.post("/freezes/thaw", self.thaw)]

    async def freeze(self, request: web.Request) -> web.Response:
        """No action in that scope starts until it is over or thawed."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        if not form["reason"]:
            raise HttpProblem(400, "Why?", "A freeze needs a reason, for whoever meets it tonight.")
        last = _duration(form["for"]) if form["for"] else None
        await self._context.freeze(form["scope"], form["reason"][:500], identity.person, last)
        return to(local_path(form["back"]))

    async def thaw(self, request: web.Request) -> web.Response:
        """Lift the freeze of a scope; open incidents look again at once."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        await self._context.thaw(form["scope"], identity.person)
        return to(local_path(form["back"]))


def _duration(given: str) -> timedelta:
    try:
        return parse_duration(given)
    except ValueError as error:
        raise HttpProblem(400, "Bad form", f"{error}.") from None
