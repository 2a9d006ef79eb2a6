"""What was normal before the onset.

The baseline ends before the onset and before any suspect change, and leaves earlier trouble in
the look-back out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from statistics import median

from daemon.core.measurement.noise import NO_NOISE, Noise, counts_noise, local_dispersion
from daemon.core.measurement.onset import MIN_BASELINE_SAMPLES, Onset
from daemon.core.measurement.query_result import Unmeasurable, disjoint
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin, counted, difference, regimes

MINUTE = timedelta(minutes=1)
MIN_BASELINE_EVENTS = 30
"""Fewer events than this are no baseline, however low the rule sets its traffic."""


@dataclass(frozen=True)
class Baseline:
    """The level to compare with, the stretch it was measured over, and its traffic a minute.

    `looks`: how many bins it was counted in; `noise`: how these vary beyond chance. `target`: the
    rule's own, in the place of a past that is not there; then nothing else of this is known.
    """

    begin: datetime | None = None
    until: datetime | None = None
    bad: float = 0.0
    total: float = 0.0
    samples: Sequence[float] = ()
    traffic: float | None = None
    looks: int = 1
    noise: Noise = NO_NOISE
    target: float | None = None


_NO_PAST = frozenset({"no_baseline", "baseline_too_thin"})
"""The reasons for which a target is compared with instead."""


def counts_baseline(
    spec: ProblemSpec, history: Sequence[Bin], width: timedelta, onset: Onset, now: datetime
) -> Baseline:
    """What is normal for the counts, or their target. Raises Unmeasurable."""
    first = next((b.end for b in history if b.total > 0), None)
    return _or_target(spec, first, now, lambda: _counts_before(spec, history, width, onset))


def value_baseline(
    spec: ProblemSpec,
    history: Sequence[tuple[float, float]],
    sign: float,
    onset: Onset,
    now: datetime,
) -> Baseline:
    """What is normal for a value, or its target; `sign` is −1 where higher is better. Raises
    Unmeasurable."""
    first = history[0][0] if history else None
    return _or_target(spec, first, now, lambda: _value_before(spec, history, sign, onset))


def _or_target(
    spec: ProblemSpec, first: float | None, now: datetime, before: Callable[[], Baseline]
) -> Baseline:
    """The rule's target, if it has one and there is no past; `first`: Unix seconds of what was
    seen first. Raises Unmeasurable."""
    if spec.target is None:
        return before()
    if first is None or first > (now - spec.baseline / 2).timestamp():
        return Baseline(target=spec.target)
    try:
        return before()
    except Unmeasurable as trouble:
        if trouble.reason not in _NO_PAST:
            raise
        return Baseline(target=spec.target)


def _counts_before(
    spec: ProblemSpec, history: Sequence[Bin], width: timedelta, onset: Onset
) -> Baseline:
    """What is normal for the counts by their past. Raises Unmeasurable."""
    until = onset.baseline_until.timestamp()
    usable = disjoint([b for b in history if b.end <= until], width)
    busy: Sequence[Bin] = [b for b in usable if b.total > 0]
    if not busy:
        raise Unmeasurable("no_data", "no_baseline", _no_baseline(0, "bins"))
    busy = _without_earlier_trouble(spec, busy)
    noise = counts_noise(busy)
    bad, total = counted(busy)
    if total < max(MIN_BASELINE_EVENTS, spec.confirm.traffic):
        raise Unmeasurable(
            "insufficient_traffic",
            "baseline_too_thin",
            f"only {total:.0f} events before the onset: too few to say what is normal",
        )
    seconds = [width.total_seconds() if b.begin is None else b.end - b.begin for b in busy]
    return Baseline(
        begin=datetime.fromtimestamp(busy[0].end - seconds[0], UTC),
        until=onset.baseline_until,
        bad=bad,
        total=total,
        traffic=total / (sum(seconds) / 60),
        looks=len(busy),
        noise=noise,
    )


def _value_before(
    spec: ProblemSpec, history: Sequence[tuple[float, float]], sign: float, onset: Onset
) -> Baseline:
    """What is normal for a value by its past. Raises Unmeasurable."""
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
    parts = regimes(bins, local_dispersion(bins))
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
    return (
        f"{count} {what} before the onset: nothing to compare with; "
        "look at a longer `baseline`, or give a new service a `target`"
    )
