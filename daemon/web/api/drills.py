"""Drills: which there are, to hold one, to stop it, and how it went."""

from __future__ import annotations

from pydantic import Field

from daemon.core.drills.desk import DrillDesk, DrillOverview, DrillRefused, UnknownDrill
from daemon.core.drills.report import DrillRun, report_markdown
from daemon.core.drills.score import DrillReport
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "drills"
_NAME = 60


class DrillPath(Frozen):
    """Which drill, by its name."""

    drill: str = Field(max_length=_NAME)


class RunPath(Frozen):
    """Which run of a drill, by its id."""

    run: str = Field(max_length=_NAME)


class DrillBegun(Frozen):
    """The run that has begun, and who is in it."""

    run: str
    drill: str
    blue: tuple[str, ...]
    observers: tuple[str, ...]


class RunReport(Frozen):
    """How a run went, or goes; and all runs of the drill, oldest first. `percent` of what was
    expected was met. `script` is empty for whoever may not see it while the drill goes on."""

    report: DrillReport
    percent: int
    trend: tuple[DrillRun, ...]
    script: tuple[str, ...]


class DrillStopped(Frozen):
    """The run that was stopped."""

    run: str


def desk_of(context: WebContext) -> DrillDesk:
    """Who knows of drills. Raises HttpProblem if this daemon holds none."""
    if context.drills is None:
        raise HttpProblem(404, "No drills", "this daemon holds no drills")
    return context.drills


class DrillOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        one = "/api/v1/drill-runs/{run}"
        return [
            ApiOperation("GET", "/api/v1/drills", self.listed, "viewer", _TAG, errors=(404,)),
            ApiOperation(
                "POST",
                "/api/v1/drills/{drill}/run",
                self.start,
                "responder",
                _TAG,
                status=201,
                errors=(404, 409),
            ),
            ApiOperation("GET", one, self.report, "viewer", _TAG, errors=(404,)),
            ApiOperation(
                "GET",
                f"{one}/report",
                self.markdown,
                "viewer",
                _TAG,
                media="text/markdown",
                errors=(404,),
            ),
            ApiOperation("POST", f"{one}/abort", self.abort, "responder", _TAG, errors=(404, 409)),
        ]

    async def listed(self, call: Call[None, None, None]) -> DrillOverview:
        """List the drills, those under way, and what the calendar has."""
        return await desk_of(self._context).overview()

    async def start(self, call: Call[DrillPath, None, None]) -> DrillBegun:
        """Hold a drill now: a real incident, over the metrics of its scenario.

        Nobody is called but its blue team, and nothing real is touched but the staging target that
        it names, if it does.
        """
        try:
            mark = await desk_of(self._context).start(call.at.drill, call.person)
        except UnknownDrill as error:
            raise HttpProblem(404, "No such drill", str(error)) from None
        except DrillRefused as error:
            raise HttpProblem(409, "Not now", str(error)) from None
        return DrillBegun(
            run=mark.run, drill=mark.scenario, blue=mark.blue, observers=mark.observers
        )

    async def report(self, call: Call[RunPath, None, None]) -> RunReport:
        """How a run went, or goes, against what was expected of it."""
        desk = desk_of(self._context)
        report = await self._read(call.at.run)
        return RunReport(
            report=report,
            percent=report.percent,
            trend=tuple(await desk.trend(report.drill)),
            script=tuple(await desk.script(report.run, call.person)),
        )

    async def markdown(self, call: Call[RunPath, None, None]) -> str:
        """The report of a run as people read it."""
        report = await self._read(call.at.run)
        return report_markdown(report, await desk_of(self._context).trend(report.drill))

    async def abort(self, call: Call[RunPath, None, None]) -> DrillStopped:
        """Stop a drill at once; its incidents close, and its blue team hears of it."""
        try:
            await desk_of(self._context).abort(call.at.run, call.person)
        except DrillRefused as error:
            raise HttpProblem(409, "It does not go on", str(error)) from None
        return DrillStopped(run=call.at.run)

    async def _read(self, run: str) -> DrillReport:
        try:
            return await desk_of(self._context).report(run)
        except UnknownDrill as error:
            raise HttpProblem(404, "No such run", str(error)) from None
