"""When the trouble began, and what was normal before it.

The baseline ends before the onset and before any suspect change, and leaves earlier trouble in
the look-back out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from statistics import median, quantiles

from daemon.core.changes.suspects import Change, candidates
from daemon.core.measurement.query_result import Unmeasurable, disjoint
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import (
    Bin,
    change_point,
    counted,
    difference,
    regimes,
    run_above,
)

MINUTE = timedelta(minutes=1)
MIN_BASELINE_EVENTS = 30
"""Fewer events than this are no baseline, however low the rule sets its traffic."""
MIN_BASELINE_SAMPLES = 8


@dataclass(frozen=True)
class Onset:
    """When it began: the estimate, its uncertainty either way, and where the baseline ends."""

    at: datetime | None
    within: timedelta
    baseline_until: datetime


@dataclass(frozen=True)
class Baseline:
    """The level to compare with, the stretch it was measured over, and its traffic a minute."""

    begin: datetime
    until: datetime
    bad: float = 0.0
    total: float = 0.0
    samples: Sequence[float] = ()
    traffic: float | None = None


def counts_onset(
    spec: ProblemSpec, history: Sequence[Bin], now: datetime, changes: Sequence[Change]
) -> Onset:
    """When the counts turned worse; `history` is as for `assess_counts`."""
    width = spec.windows[0]
    separate = disjoint(history, width)
    split = change_point(separate)
    if split is None:
        # No visible onset: what lies before the longest window is the baseline.
        return Onset(None, width, now - spec.windows[-1])
    before, after = separate[split.begin : split.index], separate[split.index :]
    base = sum(b.bad for b in before) / sum(b.total for b in before)
    worse = sum(b.bad for b in after) / sum(b.total for b in after)
    rough = datetime.fromtimestamp(after[0].end, UTC) - width
    at = rough
    for current in history:
        # The first window that holds part of the worse regime tells how much of it: the share
        # of the window after the onset is the share of the whole rise that it shows.
        if current.end <= rough.timestamp() - width.total_seconds() or not current.total:
            continue
        if worse <= base:
            break
        part = (current.bad / current.total - base) / (worse - base)
        if part >= 0.25:
            at = datetime.fromtimestamp(current.end, UTC) - min(part, 1.0) * width
            break
    earliest = separate[split.first].end - width.total_seconds() - at.timestamp()
    latest = separate[split.last].end - width.total_seconds() - at.timestamp()
    spread = timedelta(seconds=max(-earliest, latest))
    within = width / 2 if split.first == split.last else width / 2 + spread
    return _found(spec, at, within, changes)


def value_onset(
    spec: ProblemSpec,
    history: Sequence[tuple[float, float]],
    sign: float,
    now: datetime,
    changes: Sequence[Change],
) -> Onset:
    """When the value turned worse; `sign` is −1 where higher is better."""
    width = spec.windows[0]
    values = [sign * value for _, value in history]
    begin = None
    if len(values) >= MIN_BASELINE_SAMPLES:
        usual, recent = median(values), median(values[-3:])
        least, quarter = quantiles(values, n=20)[0], quantiles(values, n=4)[0]
        if recent - quarter > 3 * (quarter - least):
            usual = quarter  # far from the better quarter: the trouble may be most of the values
        if recent > usual:
            begin = run_above(values, usual + (recent - usual) / 2)
    if begin is None or begin == 0:
        return Onset(None, width, now - spec.windows[-1])
    at = datetime.fromtimestamp(history[begin][0], UTC) - width / 2
    return _found(spec, at, width, changes)


def _found(spec: ProblemSpec, at: datetime, within: timedelta, changes: Sequence[Change]) -> Onset:
    # A change deep in the look-back would leave no baseline; it is judged as a suspect all the
    # same, but what came after it counts as normal.
    near = [c.at for c in candidates(changes, at, within) if c.at >= at - spec.baseline / 2]
    return Onset(at, within, min([at - within, *near]))


def counts_baseline(
    spec: ProblemSpec, history: Sequence[Bin], width: timedelta, onset: Onset
) -> Baseline:
    """What is normal for the counts. Raises Unmeasurable."""
    until = onset.baseline_until.timestamp()
    usable = disjoint([b for b in history if b.end <= until], width)
    busy: Sequence[Bin] = [b for b in usable if b.total > 0]
    if not busy:
        raise Unmeasurable("no_data", "no_baseline", _no_baseline(0, "bins"))
    busy = _without_earlier_trouble(spec, busy)
    bad, total = counted(busy)
    if total < max(MIN_BASELINE_EVENTS, spec.confirm.traffic):
        raise Unmeasurable(
            "insufficient_traffic",
            "baseline_too_thin",
            f"only {total:.0f} events before the onset: too few to say what is normal",
        )
    begin = datetime.fromtimestamp(busy[0].end, UTC) - width
    traffic = total / (len(busy) * (width / MINUTE))
    return Baseline(begin=begin, until=onset.baseline_until, bad=bad, total=total, traffic=traffic)


def value_baseline(
    spec: ProblemSpec, history: Sequence[tuple[float, float]], sign: float, onset: Onset
) -> Baseline:
    """What is normal for a value; `sign` is −1 where higher is better. Raises Unmeasurable."""
    base = [value for at, value in history if at <= onset.baseline_until.timestamp()]
    if len(base) < MIN_BASELINE_SAMPLES:
        raise Unmeasurable("no_data", "no_baseline", _no_baseline(len(base), "samples"))
    return Baseline(
        begin=datetime.fromtimestamp(history[0][0], UTC),
        until=onset.baseline_until,
        samples=_without_earlier_run(spec, base, sign),
    )


def _without_earlier_trouble(spec: ProblemSpec, bins: Sequence[Bin]) -> Sequence[Bin]:
    """Leave out an earlier incident: regimes surely worse than the longest by the threshold.

    Whole regimes, not single bins: where failures are rare, the bins that hold one are normal.
    If that is more than half of them, the trouble is what is normal, and all are kept.
    """
    parts = regimes(bins)
    usual = counted(max(parts, key=len))
    retained: list[Bin] = []
    for part in parts:
        gap = difference(*counted(part), *usual)
        if gap.low <= 0 or gap.estimate < (spec.confirm.drop or 0.0):
            retained += part
    return retained if 2 * len(retained) > len(bins) else bins


def _without_earlier_run(spec: ProblemSpec, base: list[float], sign: float) -> list[float]:
    """The same for values: whole windows of samples worse than the median by the threshold."""
    usual = median(base)
    margin = max((spec.confirm.rise or 0.0) * abs(usual), spec.confirm.by or 0.0)
    retained: list[float] = []
    for worse, run in groupby(base, lambda value: sign * (value - usual) >= margin):
        samples = list(run)
        if not worse or len(samples) < MIN_BASELINE_SAMPLES / 2:
            retained += samples
    return retained if 2 * len(retained) > len(base) else base


def _no_baseline(count: int, what: str) -> str:
    return f"{count} {what} before the onset: nothing to compare with; look at a longer `baseline`"
