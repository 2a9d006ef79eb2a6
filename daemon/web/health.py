"""What the daemon says of itself, and reading the rules again, at the places where Prometheus and
Alertmanager have them."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem, RequestMistake


class HealthRoutes:
    """The routes; only the reload needs credentials."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/metrics", self.metrics),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.ready),
            web.post("/-/reload", self.reload),
            web.put("/-/reload", self.reload),
        ]

    async def metrics(self, _: web.Request) -> web.Response:
        """What the daemon counts about itself, for Prometheus."""
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=await self._context.metrics(), headers=headers)

    async def healthy(self, _: web.Request) -> web.Response:
        """The daemon does its work: 503 if it is stuck, for which a restart is the mend. It is 200
        with a store in trouble, and says so: a restart, which is what a liveness probe does, mends
        no disk."""
        stuck = self._context.stuck()
        if stuck:
            raise HttpProblem(503, "Stuck", stuck)
        trouble = self._context.store_trouble()
        if trouble:
            return web.Response(text=f"Stopgap runs, but takes no alerts: {trouble}\n")
        return web.Response(text="Stopgap is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        """It takes alerts."""
        trouble = self._context.store_trouble()
        if trouble:
            raise HttpProblem(503, "Not ready", trouble)
        if not self._context.ready():
            raise HttpProblem(503, "Not ready", "starting up or shutting down")
        return web.Response(text="Stopgap is ready.\n")

    async def reload(self, request: web.Request) -> web.Response:
        """Read the rules, the roster, the approvals and the freezes again; needs `admin`.

        Answered when it is done: 422 with every mistake if they are broken, and then the old
        ones stay in force. `changed` names the settings that only a restart puts in force, and
        `error` says why the settings file could not be read. A 422 names those settings too.
        """
        person = await self._context.person(request, "admin")
        done = await self._context.reload(person)
        if done.failed_at is None:
            rules = len(self._context.rules().rules)
            answer = {"rules": rules, "notes": done.notes, **done.settings.model_dump()}
            return web.json_response(answer)
        detail = f"the old rules stay in force:\n{done.error}"
        errors = [RequestMistake(detail=line) for line in done.error.splitlines()]
        if done.settings.changed:
            # It may be the mend itself: a command that was allowed a minute ago, say.
            changed = ", ".join(done.settings.changed)
            detail += f"\nchanged in the settings, and not in force before a restart: {changed}"
        raise HttpProblem(422, "The rules are broken", detail, errors=errors)
