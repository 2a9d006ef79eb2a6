"""What is learned from incidents, on pages: open follow-ups, figures, the review as one file."""

from __future__ import annotations

import re
from datetime import timedelta

from aiohttp import web

from daemon.core.reporting.figures import HOW_SAVED, USUAL_PERIOD
from daemon.core.reporting.figures_csv import figures_csv
from daemon.core.reporting.review.html import html_page
from daemon.core.reporting.review.sections import review_document
from daemon.reporting.figures import read_figures
from daemon.reporting.follow_ups import read_follow_ups
from daemon.web.context import ALONE
from daemon.web.site.layout import SITE_HEADERS, Frame

PERIODS = (7, 30, 90, 365)
"""The days that the page of figures offers."""
_DAYS = re.compile(r"[1-9][0-9]{0,2}")


class LearningPages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/follow-ups", self.follow_ups),
            web.get("/figures", self.figures),
            web.get("/figures.csv", self.figures_file),
            web.get("/incidents/{id}/review", self.review),
        ]

    async def follow_ups(self, request: web.Request) -> web.Response:
        """Everything that is still to be done, what is overdue first; `?owner=` and `?team=`."""
        identity = await self._frame.visitor(request)
        owner, team = request.query.get("owner", ""), request.query.get("team", "")
        repository, today = self._context.repository, self._context.today()
        found = await read_follow_ups(repository, today, owner=owner, team=team)
        context = {
            "heading": "Follow-ups",
            "overdue": [one for one in found if one.overdue],
            "coming": [one for one in found if not one.overdue],
            "owner": owner,
            "team": team,
            "people": sorted(self._context.roster().people),
        }
        return await self._frame.page(request, identity, "follow_ups.html", context)

    async def figures(self, request: web.Request) -> web.Response:
        """How the team and the daemon do over `?days=`, and over the days before."""
        identity = await self._frame.visitor(request)
        days = _days(request)
        now = self._context.repository.clock()
        context = {
            "heading": "Figures",
            "figures": await read_figures(self._context.repository, timedelta(days=days), now),
            "days": days,
            "periods": PERIODS,
            "how": HOW_SAVED,
        }
        return await self._frame.page(request, identity, "figures.html", context)

    async def figures_file(self, request: web.Request) -> web.Response:
        """The same for a spreadsheet."""
        await self._frame.visitor(request)
        days, now = _days(request), self._context.repository.clock()
        found = await read_figures(self._context.repository, timedelta(days=days), now)
        name = f'attachment; filename="stopgap-figures-{days}d.csv"'
        headers = {**SITE_HEADERS, "Content-Disposition": name}
        return web.Response(text=figures_csv(found), content_type="text/csv", headers=headers)

    async def review(self, request: web.Request) -> web.Response:
        """The review as one file that stands alone."""
        await self._frame.visitor(request)
        review = await self._context.review(request.match_info["id"])
        page = html_page(review_document(review), await self._context.figure(review))
        headers = {**SITE_HEADERS, "Content-Security-Policy": ALONE}
        return web.Response(text=page, content_type="text/html", headers=headers)


def _days(request: web.Request) -> int:
    """The period that is asked for; the usual one for what cannot be read."""
    given = request.query.get("days", "")
    return int(given) if _DAYS.fullmatch(given) else USUAL_PERIOD.days
