"""The maintenance windows, which stand on every page beside the freezes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiohttp import web

from daemon.core.values.units import parse_duration
from daemon.web.auth.csrf import local_path
from daemon.web.errors import HttpProblem
from daemon.web.site.layout import Frame, to


class MaintenancePages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.post("/maintenance", self.announce),
            web.post("/maintenance/end", self.end),
        ]

    async def announce(self, request: web.Request) -> web.Response:
        """What opens within it calls nobody until its end."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        if not form["reason"]:
            text = "Maintenance needs a reason, for whoever meets it tonight."
            raise HttpProblem(400, "Why?", text)
        begins = _moment(form["from"]) or self._context.repository.clock()
        await self._context.announce_maintenance(
            form["scope"],
            form["reason"][:300],
            identity.person,
            begins,
            begins + _lasting(form["for"]),
            form["public_text"][:300],
        )
        return to(local_path(form["back"]))

    async def end(self, request: web.Request) -> web.Response:
        """End one before its time: calls begin at once."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        await self._context.end_maintenance(form["window"], identity.person)
        return to(local_path(form["back"]))


def _lasting(given: str) -> timedelta:
    if not given:
        raise HttpProblem(400, "How long?", "No maintenance is without an end; write it like 2h.")
    try:
        return parse_duration(given)
    except ValueError as error:
        raise HttpProblem(400, "Bad form", f"{error}.") from None


def _moment(given: str) -> datetime | None:
    """A time of the form, in UTC; None if it is left out."""
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        text = f"{given!r} is no time; write it like 2026-12-24T18:00, in UTC."
        raise HttpProblem(400, "Bad form", text) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
