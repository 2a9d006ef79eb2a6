"""The pages of drills: hold one, watch it, stop it, and how each went."""

from __future__ import annotations

from aiohttp import web

from daemon.core.drills.desk import DrillRefused, UnknownDrill
from daemon.web.api.drills import desk_of
from daemon.web.errors import HttpProblem
from daemon.web.site.layout import Frame, to


class DrillPages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/drills", self.listed),
            web.post("/drills/run", self.start),
            web.post("/drills/abort", self.abort),
            web.get("/drills/{run}", self.report),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """All drills, those under way, and what the calendar has."""
        identity = await self._frame.visitor(request)
        overview = await desk_of(self._context).overview()
        context = {"heading": "Drills", "overview": overview}
        return await self._frame.page(request, identity, "drills.html", context)

    async def report(self, request: web.Request) -> web.Response:
        """How one run went, or goes."""
        identity = await self._frame.visitor(request)
        desk = desk_of(self._context)
        try:
            report = await desk.report(request.match_info["run"])
        except UnknownDrill as error:
            raise HttpProblem(404, "No such run", str(error)) from None
        context = {
            "heading": f"[DRILL] {report.title}",
            "report": report,
            "trend": await desk.trend(report.drill),
            "script": await desk.script(report.run, identity.person),
        }
        return await self._frame.page(request, identity, "drill.html", context)

    async def start(self, request: web.Request) -> web.Response:
        """Hold one now."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        try:
            mark = await desk_of(self._context).start(form["drill"], identity.person)
        except (UnknownDrill, DrillRefused) as error:
            raise HttpProblem(409, "Not now", f"{error}.") from None
        return to(f"/drills/{mark.run}")

    async def abort(self, request: web.Request) -> web.Response:
        """Stop one at once."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        try:
            await desk_of(self._context).abort(form["run"], identity.person)
        except DrillRefused as error:
            raise HttpProblem(409, "It does not go on", f"{error}.") from None
        return to(f"/drills/{form['run']}")
