"""The statistics of a before-and-after comparison, in plain arithmetic.

Sources: Wilson (1927) for one proportion; Newcombe (1998, method 10) for the difference of two;
Hodges and Lehmann (1963) with the Mann–Whitney interval for a shift of samples. Counts may be
fractional, for Prometheus extrapolates `increase()`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

Z99 = 2.5758293035489004
"""The two-sided 99 % quantile of the normal distribution."""

CHANGE_EVIDENCE = 10.0
"""Log-likelihood ratio from which a change point counts as one (about 1 in 20,000 by chance)."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 99 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Bin:
    """Counts of one stretch of time that ends at `end` (Unix seconds)."""

    end: float
    bad: float
    total: float


def wilson(bad: float, total: float, z: float = Z99) -> Interval:
    """The share bad/total with its Wilson score interval. Needs total > 0."""
    share = bad / total
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    centre = share + z * z / (2 * total)
    scale = 1 + z * z / total
    return Interval(share, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def difference(bad: float, total: float, base_bad: float, base_total: float) -> Interval:
    """How much greater bad/total is than base_bad/base_total, with Newcombe's interval."""
    now, base = wilson(bad, total), wilson(base_bad, base_total)
    gap = now.estimate - base.estimate
    below = math.hypot(now.estimate - now.low, base.high - base.estimate)
    above = math.hypot(now.high - now.estimate, base.estimate - base.low)
    return Interval(gap, gap - below, gap + above)


def shift(now: Sequence[float], base: Sequence[float], z: float = Z99) -> Interval:
    """How far `now` lies above `base`: the Hodges–Lehmann estimate and its interval.

    With too few samples for 99 % the interval is infinite. Both must hold a sample; of long
    inputs an even thinning to 300 samples is used, which changes the estimate very little.
    """
    now, base = _thinned(now), _thinned(base)
    gaps = sorted(n - b for n in now for b in base)
    n, m = len(now), len(base)
    rank = math.floor(n * m / 2 - z * math.sqrt(n * m * (n + m + 1) / 12))
    if rank < 1:
        return Interval(median(gaps), -math.inf, math.inf)
    return Interval(median(gaps), gaps[rank - 1], gaps[-rank])


def change_point(bins: Sequence[Bin]) -> int | None:
    """The index of the first bin of the present, worse regime; None if there is no such change.

    The split with the greatest binomial log-likelihood ratio, among those where the share of
    bad events is greater afterwards.
    """
    bads = list(accumulate((b.bad for b in bins), initial=0.0))
    totals = list(accumulate((b.total for b in bins), initial=0.0))
    whole = _log_likelihood(bads[-1], totals[-1])
    best, best_gain = None, CHANGE_EVIDENCE
    for split in range(1, len(bins)):
        before_bad, before = bads[split], totals[split]
        after_bad, after = bads[-1] - before_bad, totals[-1] - before
        if before <= 0 or after <= 0 or after_bad / after <= before_bad / before:
            continue
        gain = _log_likelihood(before_bad, before) + _log_likelihood(after_bad, after) - whole
        if gain > best_gain:
            best, best_gain = split, gain
    return best


def run_above(samples: Sequence[float], threshold: float) -> int | None:
    """Where the run of samples over the threshold begins that lasts until now; None if none.

    A single sample below it does not break the run.
    """
    begin = None
    misses = 0
    for index in range(len(samples) - 1, -1, -1):
        if samples[index] > threshold:
            begin, misses = index, 0
        else:
            misses += 1
            if misses == 2 or begin is None:
                break
    return begin


def _thinned(samples: Sequence[float], most: int = 300) -> Sequence[float]:
    if len(samples) <= most:
        return samples
    return [samples[i * len(samples) // most] for i in range(most)]


def _log_likelihood(bad: float, total: float) -> float:
    if bad <= 0 or total <= 0 or bad >= total:
        return 0.0
    share = bad / total
    return bad * math.log(share) + (total - bad) * math.log1p(-share)
