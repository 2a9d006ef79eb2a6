"""The symptom over time, with what happened marked on it: the figures of a chart, not its look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.incident.state import Incident
from daemon.core.measurement.loss import level_at
from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.measurement.samples import Sample
from daemon.core.measurement.threshold_assessment import leading_leaf
from daemon.core.rules.rule import ProblemSpec
from daemon.core.rules.threshold_spec import bound_words
from daemon.core.values.units import printable

LEAD = timedelta(minutes=15)
"""How much of the time before the trouble is shown, at the least."""
AFTER = timedelta(minutes=5)
"""How much of the time after the closing is shown."""
MOST_MARKS = 12
"""More marks than this would hide the curve."""

MarkKind = Literal["onset", "change", "action", "finished", "recovered", "relapsed"]


@dataclass(frozen=True)
class ChartMark:
    """Something that happened at a moment."""

    at: datetime
    kind: MarkKind
    text: str


@dataclass(frozen=True)
class ChartThreshold:
    """A level from which on the problem counts as confirmed. `words`: how the rule says it ("above
    90"); empty where it was worked out from the baseline."""

    level: float
    words: str = ""


@dataclass(frozen=True)
class Curve:
    """What a chart shows. For counts the levels are success shares (0…1), else the metric's unit.

    `thresholds`: where the problem counts as confirmed; a band has two. `source` tells whether
    Prometheus was asked, or only the journal's own measurements are there; `trouble` says why.
    """

    symptom: str
    kind: Literal["counts", "value"]
    begin: datetime
    end: datetime
    samples: tuple[tuple[datetime, float], ...] = ()
    baseline: float | None = None
    thresholds: tuple[ChartThreshold, ...] = ()
    marks: tuple[ChartMark, ...] = ()
    source: Literal["prometheus", "journal"] = "journal"
    trouble: str = ""

    @property
    def threshold(self) -> float | None:
        """The level of the first threshold."""
        return self.thresholds[0].level if self.thresholds else None

    def measured(self, samples: Sequence[Sample]) -> Curve:
        """The same with samples of Prometheus, (Unix seconds, level), from the first of them on."""
        points = tuple((datetime.fromtimestamp(at, UTC), level) for at, level in samples)
        begin = max(self.begin, points[0][0]) if points else self.begin
        marks = tuple(mark for mark in self.marks if mark.at >= begin)
        return replace(self, samples=points, source="prometheus", begin=begin, marks=marks)


def sketch(incident: Incident, spec: ProblemSpec, entries: Sequence[Entry], now: datetime) -> Curve:
    """The curve as far as the journal knows it."""
    problem = incident.confirmed or incident.problem
    began = min(incident.opened_at, (problem.onset if problem else None) or incident.opened_at)
    end = min(now, incident.closed_at + AFTER) if incident.closed_at else now
    lead = max(LEAD, min((end - began) / 4, spec.baseline))
    begin = began - lead
    baseline = problem.baseline if problem else None
    return Curve(
        symptom=spec.symptom,
        kind="counts" if spec.kind == "counts" else "value",
        begin=begin,
        end=max(end, incident.opened_at),
        samples=tuple(journaled_levels(entries)),
        baseline=baseline,
        thresholds=tuple(_thresholds(spec, problem)),
        marks=tuple(chart_marks(incident, problem, begin)),
    )


def threshold(spec: ProblemSpec, baseline: float) -> float:
    """The level from which on the problem counts as confirmed by its baseline."""
    return level_at(spec, baseline, spec.confirm.loss(baseline))


def _thresholds(spec: ProblemSpec, problem: Problem | None) -> Iterator[ChartThreshold]:
    if spec.kind == "threshold":
        for name, level in leading_leaf(spec, problem).bounds:
            yield ChartThreshold(level, bound_words(name, level))
    elif problem is not None and problem.baseline is not None:
        yield ChartThreshold(threshold(spec, problem.baseline))


def journaled_levels(entries: Sequence[Entry]) -> list[tuple[datetime, float]]:
    """What the daemon itself has measured, oldest first."""
    found = {}
    for entry in entries:
        match entry.event:
            case e.ProblemDefined(problem=problem) if problem.level is not None:
                found[problem.at] = problem.level
            case (
                e.RecoveryMeasured(reading=reading)
                | e.EvidenceTaken(reading=RecoveryReading() as reading)
            ) if reading.level is not None:
                found[reading.at] = reading.level
            case _:
                pass
    return sorted(found.items())


def chart_marks(
    incident: Incident, problem: Problem | None, begin: datetime | None
) -> list[ChartMark]:
    """What happened, the oldest first, from `begin` on (None: all of it)."""
    marks = []
    if problem is not None and problem.onset is not None:
        marks.append(ChartMark(problem.onset, "onset", "onset"))
    if incident.suspicion is not None:
        weighed = incident.suspicion.candidates
        changes = {c.change.at: c.change for c in weighed if not c.acquitted}
        if incident.suspicion.change is not None:
            changes[incident.suspicion.change.at] = incident.suspicion.change
        marks += [ChartMark(at, "change", printable(c.item)[:24]) for at, c in changes.items()]
    for number, step in sorted(incident.steps.items()):
        if step.started_at is not None:
            marks.append(ChartMark(step.started_at, "action", f"step {number}"))
        if step.finished_at is not None and step.acted:
            marks.append(ChartMark(step.finished_at, "finished", f"step {number} done"))
    if incident.relapsed_at is not None:
        marks.append(ChartMark(incident.relapsed_at, "relapsed", "relapse"))
    if incident.recovered_at is not None:
        marks.append(ChartMark(incident.recovered_at, "recovered", "recovered"))
    shown = [mark for mark in marks if begin is None or mark.at >= begin]
    return sorted(shown, key=lambda mark: mark.at)[:MOST_MARKS]
