"""Webhooks in, and the JSON API. Each handler is a few lines over the code below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from aiohttp import web
from pydantic import Field, ValidationError

from daemon.casebook import Casebook
from daemon.core import deeds
from daemon.core import events as e
from daemon.core.alerts import NotADelivery
from daemon.core.incident import Incident
from daemon.core.ports import Freeze
from daemon.core.review import markdown
from daemon.core.rules import RuleBook
from daemon.core.units import Duration, Frozen
from daemon.intake import Intake
from daemon.web.auth import Doorkeeper
from daemon.web.problems import Problem, problems
from daemon.web.views import head_view, incident_view, timeline_view

M = TypeVar("M", bound=Frozen)

GLOBAL = "global"
MAX_LISTED = 1000


class Reason(Frozen):
    """A deed's reason; `for` limits a freeze."""

    reason: str = Field(default="", max_length=500)
    last: Duration | None = Field(default=None, alias="for", gt=timedelta(0))


class Words(Frozen):
    """A note."""

    text: str = Field(max_length=2000)


@dataclass(frozen=True)
class House:
    """What the handlers need."""

    intake: Intake
    book: Casebook
    rules: Callable[[], RuleBook]
    doorkeeper: Callable[[], Doorkeeper]
    ready: Callable[[], bool]


class Api:
    """The routes."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        one = "/api/v1/incidents/{id}"
        return [
            web.post("/api/v1/alerts", self.alerts),
            web.get("/api/v1/incidents", self.incidents),
            web.get(one, self.incident),
            web.get(f"{one}/review", self.review),
            web.post(f"{one}/ack", self.ack),
            web.post(f"{one}/pause", self.pause),
            web.post(f"{one}/resume", self.resume),
            web.post(f"{one}/notes", self.say),
            web.post(f"{one}/close", self.close),
            web.post(f"{one}/steps/{{step:\\d{{1,3}}}}/approve", self.approve),
            web.post(f"{one}/steps/{{step:\\d{{1,3}}}}/veto", self.veto),
            web.get("/api/v1/freeze", self.frozen),
            web.put("/api/v1/freeze", self.freeze),
            web.delete("/api/v1/freeze", self.thaw),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.ready),
        ]

    async def alerts(self, request: web.Request) -> web.Response:
        """Alertmanager's webhook: 200 once it is on disk, and not before."""
        self._house.doorkeeper().sender(request)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            limit = f"{error.text or 'the body is too large'}; see `inbox.max_body_bytes`"
            raise Problem(413, "Too large", limit) from None
        try:
            delivery, new = await self._house.intake.receive(body)
        except NotADelivery as error:
            raise Problem(400, "Not an Alertmanager webhook", str(error)) from None
        return web.json_response({"stored": new, "alerts": len(delivery.alerts)})

    async def incidents(self, request: web.Request) -> web.Response:
        """The newest incidents; `?limit=`, at most 1000."""
        self._house.doorkeeper().person(request)
        given = request.query.get("limit", "50")
        if not given.isdigit() or not 1 <= int(given) <= MAX_LISTED:
            raise Problem(400, "Bad limit", f"`limit` is a number from 1 to {MAX_LISTED}")
        heads = await self._house.book.journal.heads(int(given))
        return web.json_response({"incidents": [head_view(head) for head in heads]})

    async def incident(self, request: web.Request) -> web.Response:
        """One incident with its timeline."""
        self._house.doorkeeper().person(request)
        incident = await self._house.book.load(request.match_info["id"])
        entries = await self._house.book.journal.read(incident.id)
        return web.json_response(
            {"incident": incident_view(incident), "timeline": timeline_view(entries)}
        )

    async def review(self, request: web.Request) -> web.Response:
        """The review document, in Markdown."""
        self._house.doorkeeper().person(request)
        incident = await self._house.book.load(request.match_info["id"])
        entries = await self._house.book.journal.read(incident.id)
        return web.Response(text=markdown(entries), content_type="text/markdown")

    async def ack(self, request: web.Request) -> web.Response:
        """Respond; the first person becomes Commander."""
        via = "cli" if request.headers.get("User-Agent", "").startswith("stopgap") else "api"
        return await self._deed(request, lambda i, who: deeds.acknowledge(i, who, via))

    async def pause(self, request: web.Request) -> web.Response:
        """Stop the automation of one incident."""
        given = await _body(request, Reason)
        return await self._deed(request, lambda i, who: deeds.pause(i, who, given.reason))

    async def resume(self, request: web.Request) -> web.Response:
        """Let the automation go on."""
        return await self._deed(request, deeds.resume)

    async def say(self, request: web.Request) -> web.Response:
        """Put a note on the timeline."""
        given = await _body(request, Words)
        return await self._deed(request, lambda i, _: deeds.say(i, given.text))

    async def close(self, request: web.Request) -> web.Response:
        """End an incident."""
        given = await _body(request, Reason)
        return await self._deed(request, lambda i, who: deeds.close(i, who, given.reason))

    async def approve(self, request: web.Request) -> web.Response:
        """The Commander allows a step."""
        step = int(request.match_info["step"])
        rules = self._house.rules().rules
        return await self._deed(
            request, lambda i, who: deeds.approve(i, rules.get(i.rule), step, who)
        )

    async def veto(self, request: web.Request) -> web.Response:
        """A person forbids a step."""
        step = int(request.match_info["step"])
        rules = self._house.rules().rules
        return await self._deed(request, lambda i, who: deeds.veto(i, rules.get(i.rule), step, who))

    async def frozen(self, request: web.Request) -> web.Response:
        """The freeze in force."""
        self._house.doorkeeper().person(request)
        freeze = await self._house.book.journal.frozen(self._house.book.clock())
        return web.json_response({"freeze": freeze.model_dump(mode="json") if freeze else None})

    async def freeze(self, request: web.Request) -> web.Response:
        """No action of any incident starts until it is thawed."""
        person = self._house.doorkeeper().person(request)
        given = await _body(request, Reason)
        if not given.reason.strip():
            raise Problem(400, "Why?", "a freeze needs a `reason`, for whoever meets it tonight")
        now = self._house.book.clock()
        until = now + given.last if given.last is not None else None
        freeze = Freeze(scope=GLOBAL, reason=given.reason, by=person, at=now, until=until)
        await self._house.book.journal.freeze(freeze)
        return web.json_response({"freeze": freeze.model_dump(mode="json")})

    async def thaw(self, request: web.Request) -> web.Response:
        """Lift the freeze; open incidents look again at once."""
        person = self._house.doorkeeper().person(request)
        book = self._house.book
        lifted = await book.journal.thaw(GLOBAL, person, book.clock())
        book.ring_all()
        return web.json_response({"thawed": lifted})

    async def healthy(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.Response(text="Stopgap is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        """It takes alerts."""
        if not self._house.ready():
            raise Problem(503, "Not ready", "starting up or shutting down")
        return web.Response(text="Stopgap is ready.\n")

    async def _deed(
        self,
        request: web.Request,
        deed: Callable[[Incident, str], Sequence[e.Event]],
    ) -> web.Response:
        person = self._house.doorkeeper().person(request)
        try:
            after = await self._house.book.record(
                request.match_info["id"], lambda i: deed(i, person), by=f"person:{person}"
            )
        except deeds.NotPossible as error:
            raise Problem(409, "Not possible now", str(error)) from None
        return web.json_response({"incident": incident_view(after)})


def web_application(house: House, max_body: int) -> web.Application:
    """The aiohttp application."""
    application = web.Application(client_max_size=max_body, middlewares=[problems])
    application.add_routes(Api(house).routes())
    return application


async def _body(request: web.Request, model: type[M]) -> M:
    sent = await request.read()
    try:
        return model.model_validate_json(sent or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(400, "Bad request", f"{place}: {first['msg']}") from None
