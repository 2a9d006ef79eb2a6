"""What the daemon says of itself, at the places where Prometheus and Alertmanager say it."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from daemon.web.house import House
from daemon.web.problems import Problem


class Health:
    """The routes; none of them needs credentials."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/metrics", self.metrics),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.ready),
        ]

    async def metrics(self, _: web.Request) -> web.Response:
        """What the daemon counts about itself, for Prometheus."""
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=self._house.metrics(), headers=headers)

    async def healthy(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.Response(text="Stopgap is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        """It takes alerts."""
        if not self._house.ready():
            raise Problem(503, "Not ready", "starting up or shutting down")
        return web.Response(text="Stopgap is ready.\n")
