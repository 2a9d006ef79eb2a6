"""A small server of feature flags."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from tests.doubles.serving import Double

TOKEN = "Bearer flags-token"


class Flags(Double):
    """`flags` by name. `answers`: the status of every change, which is made all the same;
    `slow`: the change is made, and its answer never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.flags: dict[str, Any] = {"checkout": True}
        self.keys: list[str] = []
        self.answers = 200
        self.says = ""
        self.slow = False
        self.ignores = False

    def routes(self) -> list[web.RouteDef]:
        path = "/flags/{name}"
        return [web.get(path, self.get), web.get("/elsewhere", self.elsewhere)] + [
            web.route(method, path, self.change) for method in ("PUT", "POST", "PATCH", "DELETE")
        ]

    async def get(self, request: web.Request) -> web.Response:
        """A flag as JSON."""
        name = request.match_info["name"]
        if name not in self.flags:
            return web.json_response({"error": "no such flag"}, status=404)
        return web.json_response({"flag": {"enabled": self.flags[name]}})

    async def elsewhere(self, request: web.Request) -> web.Response:
        """Where a redirect leads; nobody may come here."""
        raise AssertionError("a redirect was followed")

    async def change(self, request: web.Request) -> web.Response:
        """Set a flag, to a JSON's `enabled` or to off."""
        self.keys.append(request.headers.get("Idempotency-Key", ""))
        body = await request.json() if request.content_type == "application/json" else {}
        if not self.ignores:
            self.flags[request.match_info["name"]] = body.get("enabled", False)
        if self.slow:
            await asyncio.sleep(3600)
        headers = {"Location": "/elsewhere"} if 300 <= self.answers < 400 else {}
        text = self.says or request.headers.get("Authorization", "")
        return web.Response(status=self.answers, text=text, headers=headers)
