"""The report of a drill as people read it, and how the runs of one scenario compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.core.drills.score import DrillReport
from daemon.core.values.units import Frozen, Moment, clock_time, format_duration, printable


class DrillRun(Frozen):
    """One run in a list. `ending` is `running` while it goes on."""

    run: str
    drill: str
    title: str
    began_at: Moment
    ending: str
    points: int
    out_of: int
    by: str

    @property
    def score(self) -> str:
        """How much of what was expected was met: `5/6`."""
        return f"{self.points}/{self.out_of}"


def run_of(report: DrillReport) -> DrillRun:
    """The run that a report is about, for a list."""
    return DrillRun(
        run=report.run,
        drill=report.drill,
        title=report.title,
        began_at=report.began_at,
        ending=report.ending or "running",
        points=report.points,
        out_of=report.out_of,
        by=report.by,
    )


def report_markdown(report: DrillReport, trend: Sequence[DrillRun]) -> str:
    """The whole report. `trend`: the runs of the scenario, this one among them, oldest first."""
    return "\n".join([*_heading(report), *_score(report), *_incidents(report), *_trend(trend)])


def _heading(report: DrillReport) -> Iterator[str]:
    yield f"# [DRILL] {printable(report.title)}: {report.points} of {report.out_of}"
    yield ""
    if report.why:
        yield printable(report.why)
        yield ""
    ended = report.ending or "it goes on"
    yield f"- Run: {report.run} of `{report.drill}`, started by {printable(report.by)}"
    yield f"- Began: {report.began_at:%Y-%m-%d} {clock_time(report.began_at)}"
    if report.ended_at is not None:
        lasted = format_duration(report.ended_at - report.began_at)
        yield f"- Ended: {ended} after {lasted}: {printable(report.ended_text)}"
    else:
        yield f"- {ended}"
    yield f"- Blue team: {', '.join(report.blue) or 'nobody'}"
    if report.observers:
        yield f"- Observers: {', '.join(report.observers)}"
    yield ""


def _score(report: DrillReport) -> Iterator[str]:
    yield "## Score"
    yield ""
    yield "| | Expected | What came of it |"
    yield "|---|---|---|"
    missed = "not yet" if report.ending is None else "MISSED"
    for one in report.criteria:
        yield f"| {'met' if one.met else missed} | {_cell(one.wanted)} | {_cell(one.got)} |"
    yield ""


def _incidents(report: DrillReport) -> Iterator[str]:
    yield "## Incidents"
    yield ""
    if not report.incidents:
        yield "None opened."
    for one in report.incidents:
        commander = f", commanded by {one.commander}" if one.commander else ""
        yield f"- `{one.incident}` {printable(one.title)}{commander}"
    yield ""


def _trend(trend: Sequence[DrillRun]) -> Iterator[str]:
    yield "## All runs of this scenario"
    yield ""
    yield "| When | Score | How it ended | Run |"
    yield "|---|---|---|---|"
    for run in trend:
        yield f"| {run.began_at:%Y-%m-%d %H:%M} | {run.score} | {run.ending} | `{run.run}` |"
    yield ""


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|")
