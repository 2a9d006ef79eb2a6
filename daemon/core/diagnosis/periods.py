"""Which time is compared with which: the impaired one with the baseline, in bins of one window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.core.diagnosis.breakdown import Breakdown, ValueCounts
from daemon.core.diagnosis.levels import ValueLevels
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin

MOST_BEFORE, MOST_AFTER = 60, 30
"""Bins."""
NO_VALUE = ""
"""The value of a series that lacks the label."""


@dataclass(frozen=True)
class Periods:
    """The onset lies in [onset_from, onset_until]; `first` and `end` are those of the bins' ends,
    one each `width`. The baseline ends at `baseline_until`."""

    first: datetime
    baseline_until: datetime
    onset_from: datetime
    onset_until: datetime
    end: datetime
    width: timedelta

    def is_before(self, end: float) -> bool:
        """Whether a bin that ends then (Unix seconds) is of the baseline."""
        return end <= self.baseline_until.timestamp() + 1e-3

    def is_after(self, end: float) -> bool:
        """Whether a bin that ends then is of the impaired time; the last one is in any case."""
        begin = end - self.width.total_seconds()
        last = self.end.timestamp()
        return end > last - 1e-3 or begin >= self.onset_from.timestamp() - 1e-3


def periods(incident: Incident, spec: ProblemSpec, now: datetime) -> Periods | None:
    """The periods of a confirmed incident; None for another.

    The impaired time ends with the last measurement that showed it, and before a step acted: what
    is failing after that is failing by the step's doing, too. After a relapse it is that of the
    relapse, for the one before was looked at, or was something else.
    """
    problem = incident.confirmed
    if problem is None:
        return None
    width = spec.windows[0]
    onset_from, onset_until = _onset(incident, problem, spec)
    impaired = [at for at, state in incident.recent if state == "impaired"]
    end = max(onset_until, min(now, max([problem.at, *impaired])))
    steps = incident.steps.values()
    begun = [s.started_at for s in steps if s.acted and s.started_at and s.started_at >= onset_from]
    acted = min(begun, default=end)
    if acted >= onset_until + width:
        end = min(end, acted)
    end = min(end, onset_until + MOST_AFTER * width)
    until = min(problem.baseline_until or onset_from, onset_from)
    begin = problem.baseline_from or until - spec.baseline
    if onset_from - until > MOST_BEFORE * width:  # so long ago that it was another time
        until = onset_from
        begin = _well_since(incident, onset_from) or until - spec.baseline
    begin = max(begin, until - MOST_BEFORE * width)
    count = max(1, int((end - begin) / width) - 1)
    return Periods(end - count * width, until, onset_from, onset_until, end, width)


def _onset(incident: Incident, problem: Problem, spec: ProblemSpec) -> tuple[datetime, datetime]:
    """Between which moments it began; of a relapse, between the measurements that tell."""
    relapsed_at = incident.relapsed_at
    if relapsed_at is not None:
        known = [(at, state) for at, state in incident.recent if at <= relapsed_at]
        well = max((at for at, state in known if state == "healthy"), default=None)
        ill = [at for at, state in known if state == "impaired" and (well is None or at > well)]
        until = min(ill, default=relapsed_at)
        return (well or until) - spec.windows[0], until
    onset_from, onset_until = problem.onset_bounds
    if onset_from is None or onset_until is None:
        onset_from = onset_until = problem.at - spec.windows[-1]
    return onset_from, onset_until


def _well_since(incident: Incident, until: datetime) -> datetime | None:
    """Since when it was measured as not impaired without a break, before that moment."""
    since: datetime | None = None
    for at, state in reversed(incident.recent):
        if at > until:
            continue
        if state == "impaired":
            break
        since = at
    return since


def breakdown_of(
    label: str,
    bad: Mapping[str, Mapping[float, float]],
    total: Mapping[str, Mapping[float, float]],
    span: Periods,
    *,
    failures_only: bool = False,
) -> Breakdown:
    """The counts of each value by the time of the sample, as a breakdown."""
    counts = bad if failures_only else total
    parts = [
        _value(value, bad.get(value, {}), counts[value], span)
        for value in sorted(counts)
        if value != NO_VALUE
    ]
    rest = _value(NO_VALUE, bad.get(NO_VALUE, {}), counts.get(NO_VALUE, {}), span)
    found = Breakdown(label, parts, rest, failures_only)
    return replace(found, failures_only=True) if found.tells_failures else found


def unplaced(
    bad: Mapping[str, Mapping[float, float]], total: Mapping[str, Mapping[float, float]]
) -> float:
    """The part of the failures (0…1) that are counted at values which `total` has not: what counts
    failures and what counts all events name the same things otherwise."""

    def failures(values: Iterable[str]) -> float:
        counts = (count for value in values for count in bad[value].values())
        return sum(count for count in counts if math.isfinite(count) and count > 0)

    whole = failures(bad)
    return failures(bad.keys() - total.keys()) / whole if whole > 0 else 0.0


def levels_of(answer: QueryAnswer, label: str, span: Periods) -> list[ValueLevels]:
    """The levels of each value of the label, before the onset and after it."""
    found = []
    for series in answer.series:
        known = [(at, level) for at, level in series.samples if math.isfinite(level)]
        before = [level for at, level in known if span.is_before(at)]
        after = [level for at, level in known if span.is_after(at)]
        if label in series.labels:
            found.append(ValueLevels(series.labels[label], before, after))
    return found


def _value(
    value: str, bad: Mapping[float, float], total: Mapping[float, float], span: Periods
) -> ValueCounts:
    bins = [
        Bin(at, min(max(0.0, bad.get(at, 0.0)), count), count)
        for at, count in sorted(total.items())
        if math.isfinite(count) and count >= 0 and math.isfinite(bad.get(at, 0.0))
    ]
    return ValueCounts(
        value,
        [b for b in bins if span.is_before(b.end)],
        [b for b in bins if span.is_after(b.end)],
    )
