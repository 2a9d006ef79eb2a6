"""The guides of deploy/guides, so that whoever needs one at night has it where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.resources import files

from aiohttp import web

from daemon.web.site.guide import HELP, Guide, read_guide
from daemon.web.site.layout import Frame

GUIDES = (
    "connect-alertmanager",
    "rule-from-slo",
    "observe-to-automatic",
    "kubernetes-rights",
    "pagerduty-and-slack",
    "on-call",
    "respond",
    "learn",
    "replicas",
    "upgrade-and-backup",
    "threat-model",
    "comparison",
    "write-an-action",
)
"""In the order in which a newcomer needs them."""


def read_guides() -> Mapping[str, Guide]:
    """Every guide that is shipped, by its name and in their order."""
    folder = files("daemon.web") / "guides"
    texts = {name: (folder / f"{name}.md").read_text(encoding="utf-8") for name in GUIDES}
    return {name: read_guide(name, text, GUIDES) for name, text in texts.items()}


class HelpPages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._read: Mapping[str, Guide] = {}

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get(HELP, self.index), web.get(HELP + "/{name}", self.guide)]

    async def _guides(self) -> Mapping[str, Guide]:
        """All of them, read when somebody asks for the first time, and not by the event loop."""
        if not self._read:
            self._read = await asyncio.to_thread(read_guides)
        return self._read

    async def index(self, request: web.Request) -> web.Response:
        """Which guides there are, each with what it is for."""
        identity = await self._frame.visitor(request)
        context = {"heading": "Help", "guides": (await self._guides()).values()}
        return await self._frame.page(request, identity, "help.html", context)

    async def guide(self, request: web.Request) -> web.Response:
        """One guide."""
        identity = await self._frame.visitor(request)
        found = (await self._guides()).get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        context = {"heading": found.title, "guide": found}
        return await self._frame.page(request, identity, "guide.html", context)
