"""When the trouble began, and until when what was measured counts as normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median, quantiles

from daemon.core.changes.suspects import Change, candidates
from daemon.core.measurement.noise import Noise, counts_noise, local_dispersion
from daemon.core.measurement.onset_interval import (
    CountsFamily,
    OnsetInterval,
    Stretch,
    ValuesFamily,
    either,
    locate,
    stretches,
)
from daemon.core.measurement.query_result import disjoint
from daemon.core.measurement.value_shift import ValueScale
from daemon.core.rules.query_templates import WINDOW
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin, change_point, run_above

MIN_BASELINE_SAMPLES = 8
_EVIDENCE = 5.0
"""A rise of a value must be so much likelier (in logarithms) than none to have an onset."""
_BEFORE, _AFTER = 30, 12
"""So many of the shortest windows before the likely onset, and after it, tell of its moment."""
_AT_THE_EDGE = 2
"""So many bins before the likely onset may hold a part of it, which is no noise."""
_RARE = 20
"""After so many bins without a failure the first one is none of the usual."""
_VALUES_BEFORE, _VALUES_AFTER = 80, 48
"""The same in samples of a value."""


@dataclass(frozen=True)
class Onset:
    """When it began: the estimate, its uncertainty either way, and where the baseline ends.

    `interval`: all that is known of the moment; None where no onset can be seen.
    """

    at: datetime | None
    within: timedelta
    baseline_until: datetime
    interval: OnsetInterval | None = None


def counts_onset(
    spec: ProblemSpec, history: Sequence[Bin], now: datetime, changes: Sequence[Change]
) -> Onset:
    """When the counts turned worse; `history` is as for `assess_counts`."""
    width = spec.windows[0]
    separate = disjoint(history, width)
    split = change_point(separate, local_dispersion(separate)) if separate else None
    if split is None:
        # No visible onset: what lies before the longest window is the baseline.
        return Onset(None, width, now - spec.windows[-1])
    before = separate[split.begin : split.index]
    rough = separate[split.index].end
    begin = _seen_from(before, _BEFORE * width.total_seconds(), width)
    interval = _located(spec, history, begin, rough, counts_noise(before[:-_AT_THE_EDGE]))
    if interval is None:
        return Onset(None, width, now - spec.windows[-1])
    return _found(spec, interval, changes)


def faint_onset(
    spec: ProblemSpec, history: Sequence[Bin], now: datetime, onset: Onset, noise: Noise
) -> Onset:
    """When counts that are surely worse turned so, though no single moment stands out."""
    seconds = spec.windows[-1].total_seconds()
    begin = now.timestamp() - 2 * seconds - _BEFORE * spec.windows[0].total_seconds()
    interval = _located(spec, history, begin, now.timestamp(), noise)
    if interval is None:
        return onset
    return replace(_found(spec, interval, ()), baseline_until=onset.baseline_until)


def _seen_from(bins: Sequence[Bin], seconds: float, width: timedelta) -> float:
    """The end of the bin from which on so many seconds were seen; gaps do not count."""
    seen = 0.0
    for current in reversed(bins):
        seen += width.total_seconds() if current.begin is None else current.end - current.begin
        if seen >= seconds:
            return current.end
    return bins[0].end


def _located(
    spec: ProblemSpec, history: Sequence[Bin], begin: float, rough: float, noise: Noise
) -> OnsetInterval | None:
    seconds = spec.windows[0].total_seconds()
    near = [b for b in history if begin <= b.end <= rough + _AFTER * seconds]
    known = _known(near)
    measured = stretches(known, seconds)
    found = locate(measured, CountsFamily(measured, 1 + noise.extra), _first_failures(near))
    if found is None:
        return None
    found = found.told_apart(measured[-1].end)
    for before, after in pairwise(measured):
        long = after.begin - before.end > 2 * seconds
        if long and before.end < found.latest and found.earliest < after.begin:
            # Nothing was seen in between: what was changed there may have come before or after.
            found = found.not_before(before.end)
    # Where a window does not say when its scrapes were, a part of the step between windows is
    # as near as it can be known.
    return found.widened(seconds / 8) if known[-1].begin is None else found


def _known(bins: Sequence[Bin]) -> list[Bin]:
    """The bins that tell what was counted in them. One in which a counter appeared does not; nor
    the next, for no counter is extrapolated below zero; without another, that one must do."""
    held = [b for b in bins if b.total > 0]
    after_birth = [b.born or one.born for one, b in pairwise(bins)]
    hidden = {b.end for b, born in zip(bins[1:-1], after_birth[:-1], strict=True) if born}
    hidden |= {b.end for b in bins if b.born}
    known = [b for b in held if b.end not in hidden]
    # Where counters appear all the time, what they hide is a part of what is usual.
    return known if 2 * len(known) > len(held) else held


def _first_failures(bins: Sequence[Bin]) -> float | None:
    """By when it had begun, as the first failures of all tell by their counter, where these are
    too rare to be usual; Unix seconds."""
    for index, current in enumerate(bins):
        if current.bad:
            return None
        if current.born:
            return current.end if index > _RARE else None
    return None


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
    near = history[max(0, begin - _VALUES_BEFORE) : begin + _VALUES_AFTER]
    scale = ValueScale.of([value for _, value in near], sign)
    variance = scale.variance([value for at, value in near if at < history[begin][0]])
    # How a window's value climbs while the trouble enters it is not known: a mean climbs evenly,
    # a high quantile at once.
    lengths = {0.0, width.total_seconds() if f"${WINDOW}" in (spec.value or "") else 0.0}
    tried = []
    for length in sorted(lengths):
        measured = [Stretch(at - length, at, scale.place(value), 1.0) for at, value in near]
        tried.append(locate(measured, ValuesFamily(measured, variance)))
    known = [i for i in tried if i is not None and i.evidence > _EVIDENCE]
    if not known:
        return Onset(None, width, now - spec.windows[-1])
    found = _found(spec, either(known), changes)
    until = found.baseline_until.timestamp()
    if sum(moment <= until for moment, _ in history) < MIN_BASELINE_SAMPLES:
        # So vague a moment would leave nothing to compare with.
        return Onset(None, width, now - spec.windows[-1])
    return found


def _found(spec: ProblemSpec, interval: OnsetInterval, changes: Sequence[Change]) -> Onset:
    at = datetime.fromtimestamp(interval.middle, UTC)
    earliest = datetime.fromtimestamp(interval.earliest, UTC)
    either_way = max(interval.middle - interval.earliest, interval.latest - interval.middle)
    within = timedelta(seconds=math.ceil(either_way))
    # A change deep in the look-back would leave no baseline; it is judged as a suspect all the
    # same, but what came after it counts as normal.
    near = [c.at for c in candidates(changes, at, within) if c.at >= at - spec.baseline / 2]
    return Onset(at, within, min([earliest, *near]), interval)
