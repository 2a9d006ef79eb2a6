"""The incidents: what is open first, then what was."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from daemon.core import glance
from daemon.core.clock import read_clock
from daemon.core.guardrails import service_of
from daemon.core.incident import Incident
from daemon.core.ports import Head
from daemon.web.site.frame import Frame
from daemon.web.site.live import Changes

HISTORY = 50
"""So many incidents of the past are on one page."""


class Incidents:
    """The route."""

    def __init__(self, frame: Frame, changes: Changes) -> None:
        self._frame = frame
        self._house = frame.house
        self._changes = changes

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Open incidents with all that one must know at a glance, and the history."""
        identity = await self._frame.visitor(request)
        version = self._changes.version()
        book = self._house.book
        heads = await book.journal.open_heads()
        incidents = await asyncio.gather(*(book.load(head.incident) for head in heads))
        cards = [self._card(incident) for incident in _gravest_first(incidents)]
        past = [h for h in await book.journal.heads(HISTORY) if h.closed_at is not None]
        context = {
            "heading": f"{len(cards)} open" if cards else "Incidents",
            "cards": cards,
            "past": [_row(head) for head in past],
            "version": version,
            "services": sorted({service_of(incident.key) for incident in incidents}),
        }
        return await self._frame.page(request, identity, "incidents.html", context)

    def _card(self, incident: Incident) -> dict[str, Any]:
        now, roster = self._house.book.clock(), self._house.roster()
        rule = self._house.rules().rules.get(incident.rule)
        readings = read_clock(incident, roster, now)
        return {
            "incident": incident,
            "problem": incident.confirmed or incident.problem,
            "doing": glance.doing(incident),
            "coming": glance.coming(incident, rule, now),
            "asked": glance.asked(incident),
            "late": [r for r in readings if r.state == "late" and r.done_at is None],
        }


def _gravest_first(incidents: list[Incident]) -> list[Incident]:
    """What nobody commands, then by severity, the newest of equals first."""
    newest = sorted(incidents, key=lambda incident: incident.opened_at, reverse=True)
    return sorted(
        newest,
        key=lambda i: (i.recovered_at is not None, bool(i.commander), i.severity or "sev5"),
    )


def _row(head: Head) -> dict[str, Any]:
    ended = head.closed_at or head.opened_at
    return {"head": head, "lasted": ended - head.opened_at}
