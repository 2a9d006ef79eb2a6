"""The daemon as a whole: its rules and what they cover, how it is."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from daemon.core.reporting.observe_report import rule_tallies, tallies
from daemon.core.reporting.status_page.html import status_html
from daemon.web.api.replicas import replica_list
from daemon.web.api.system import status_page_now
from daemon.web.context import ALONE
from daemon.web.site.layout import SITE_HEADERS, Frame

COVERED = timedelta(days=30)
"""How far back alerts are looked for that had no rule."""


class SystemPages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/rules", self.rules),
            web.get("/rules/observed", self.observed),
            web.get("/system", self.system),
            web.get("/status-page", self.status_page),
        ]

    async def rules(self, request: web.Request) -> web.Response:
        """The rules in force with their approvals, and which alerts had none."""
        identity = await self._frame.visitor(request)
        overview = self._context.overview
        context = {
            "heading": "Rules",
            "rules": await overview.rule_reports(),
            "coverage": await overview.coverage(COVERED),
            "covered": COVERED.days,
            "loading": overview.loading(),
        }
        return await self._frame.page(request, identity, "rules.html", context)

    async def observed(self, request: web.Request) -> web.Response:
        """What observing rules would have done, against what people then did."""
        identity = await self._frame.visitor(request)
        decisions = await self._context.overview.observed(request.query.get("rule") or None)
        context = {
            "heading": "Observed decisions",
            "rules": rule_tallies(decisions),
            "steps": tallies(decisions),
            "decisions": decisions,
        }
        return await self._frame.page(request, identity, "observed.html", context)

    async def status_page(self, request: web.Request) -> web.Response:
        """The public status page, as it is written."""
        await self._frame.visitor(request)
        page = status_page_now(self._context)
        headers = {**SITE_HEADERS, "Content-Security-Policy": ALONE}
        shown = status_html(page)
        return web.Response(text=shown, content_type="text/html", headers=headers)

    async def system(self, request: web.Request) -> web.Response:
        """How the daemon is, and what it depends on."""
        identity = await self._frame.visitor(request)
        context = {
            "heading": "System",
            "system": await self._context.overview.system(),
            "status_page": self._context.status_page is not None,
            "ahead": self._context.freezes_ahead(),
            "replicas": await replica_list(self._context),
        }
        return await self._frame.page(request, identity, "system.html", context)
