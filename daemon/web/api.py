"""Webhooks in, and what can be read. Each handler is a few lines over the code below it.

What people do is in `people`, `words` and `steering`, what pagers report in `inbound`, the pages
for browsers in `pages`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiohttp import web
from pydantic import Field

from daemon.core import deeds
from daemon.core.alerts import NotADelivery
from daemon.core.fold import METRICS
from daemon.core.oncall import oncall_view
from daemon.core.review import markdown
from daemon.core.roles import NotPossible
from daemon.core.units import Frozen
from daemon.web.house import House, body, raw_body
from daemon.web.problems import Problem
from daemon.web.views import head_view, timeline_view

MAX_LISTED = 1000
REPORTED = "sentiment"
"""The actor of what another system heard; never a name that it gives itself."""
FAR = timedelta(days=3660)
"""How far from now one may ask who is on call."""


class Sentiment(Frozen):
    """What the public says, as another system heard it, and of what.

    `value` is the number behind it, in the source's own unit.
    """

    labels: dict[str, str] = Field(min_length=1)
    text: str = Field(pattern=r"\S", max_length=deeds.NOTE_LENGTH)
    source: str = Field(pattern=r"\S", max_length=100)
    value: float | None = Field(default=None, allow_inf_nan=False)


class Api:
    """The routes of webhooks, and of what can be read."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        one = "/api/v1/incidents/{id}"
        return [
            web.post("/api/v1/alerts", self.alerts),
            web.post("/api/v1/sentiment", self.sentiment),
            web.get("/api/v1/incidents", self.incidents),
            web.get(one, self.incident),
            web.get(f"{one}/review", self.review),
            web.get("/api/v1/oncall", self.oncall),
        ]

    async def alerts(self, request: web.Request) -> web.Response:
        """Alertmanager's webhook: 200 once it is on disk, and not before."""
        self._house.doorkeeper().sender(request)
        try:
            delivery, new = await self._house.intake.receive(await raw_body(request))
        except NotADelivery as error:
            raise Problem(400, "Not an Alertmanager webhook", str(error)) from None
        return web.json_response({"stored": new, "alerts": len(delivery.alerts)})

    async def sentiment(self, request: web.Request) -> web.Response:
        """Another system reports what the public says: it goes to all incidents it fits."""
        self._house.doorkeeper().sender(request)
        given = await body(request, Sentiment)
        if given.source == METRICS or given.source in self._house.roster().people:
            text = f"source: {given.source!r} is taken by the daemon's own reports or a person"
            raise Problem(400, "Bad request", f"{text}; name the system that reports")
        told = []
        for head in await self._house.book.journal.open_heads():
            incident = await self._house.book.load(head.incident)
            if not incident.concerned_by(given.labels):
                continue
            try:
                await self._house.book.record(
                    head.incident,
                    lambda i: deeds.sentiment(i, given.source, given.text, given.value),
                    by=REPORTED,
                )
            except NotPossible:
                continue  # it was closed meanwhile
            told.append(head.incident)
        return web.json_response({"incidents": told})

    async def incidents(self, request: web.Request) -> web.Response:
        """The newest incidents; `?limit=`, at most 1000."""
        await self._house.person(request, "viewer")
        given = request.query.get("limit", "50")
        if not (given.isascii() and given.isdigit()) or not 1 <= int(given) <= MAX_LISTED:
            raise Problem(400, "Bad limit", f"`limit` is a number from 1 to {MAX_LISTED}")
        heads = await self._house.book.journal.heads(int(given))
        return web.json_response({"incidents": [head_view(head) for head in heads]})

    async def incident(self, request: web.Request) -> web.Response:
        """One incident with its timeline."""
        await self._house.person(request, "viewer")
        incident = await self._house.book.load(request.match_info["id"])
        entries = await self._house.book.journal.read(incident.id)
        return web.json_response(
            {"incident": self._house.view(incident), "timeline": timeline_view(entries)}
        )

    async def review(self, request: web.Request) -> web.Response:
        """The review document, in Markdown."""
        await self._house.person(request, "viewer")
        incident = await self._house.book.load(request.match_info["id"])
        entries = await self._house.book.journal.read(incident.id)
        return web.Response(text=markdown(entries), content_type="text/markdown")

    async def oncall(self, request: web.Request) -> web.Response:
        """Who would be called, and where nobody would be; `?at=` is a time, now if left out."""
        await self._house.person(request, "viewer")
        now = self._house.book.clock()
        at = _moment(request.query["at"]) if "at" in request.query else now
        if abs(at - now) > FAR:
            raise Problem(400, "Bad time", "`at` lies more than ten years from now")
        return web.json_response(oncall_view(self._house.roster(), at))


def _moment(given: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        example = "2026-12-24T18:00, or 2026-12-24T18:00+01:00 (write the + as %2B)"
        raise Problem(400, "Bad time", f"`at` is a time like {example}") from None
