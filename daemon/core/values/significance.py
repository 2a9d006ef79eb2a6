"""The statistics of a before-and-after comparison, in plain arithmetic.

Sources: Wilson (1927) for one proportion; Newcombe (1998, method 10) for the difference of two.
Counts may be fractional, for Prometheus extrapolates `increase()`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import NormalDist

Z99 = NormalDist().inv_cdf(0.995)
"""The two-sided 99 % quantile of the normal distribution."""

CHANGE_EVIDENCE = 10.0
"""Log-likelihood ratio from which a change point counts as one (below 1 in 1,000 histories by
chance, measured)."""
SPLIT_EVIDENCE = 3.5
"""A split this much less likely than the best one may still be the true one."""
NEARLY = 0.25
"""A regime counts as good up to this part of the way from the best one to the present."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 99 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Split:
    """The index of the first bin of a new regime, most likely between `first` and `last`.

    `begin` is the first bin of the good regimes before it.
    """

    begin: int
    index: int
    first: int
    last: int


@dataclass(frozen=True)
class Bin:
    """Counts of one stretch of time that ends at `end` (Unix seconds).

    `begin`: where it begins, if that is known better than by the width of the query's window.
    `born`: a counter of bad events appeared in it, and what that one had counted is not known.
    """

    end: float
    bad: float
    total: float
    begin: float | None = None
    born: bool = False


def wilson(bad: float, total: float, z: float = Z99) -> Interval:
    """The share bad/total with its Wilson score interval. Needs total > 0."""
    share = bad / total
    if total < 1e-9:  # no part of an event says anything, and its square is no number
        return Interval(share, 0.0, 1.0)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    centre = share + z * z / (2 * total)
    scale = 1 + z * z / total
    return Interval(share, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def difference(
    bad: float, total: float, base_bad: float, base_total: float, z: float = Z99
) -> Interval:
    """How much greater bad/total is than base_bad/base_total, with Newcombe's interval."""
    now, base = wilson(bad, total, z), wilson(base_bad, base_total, z)
    gap = now.estimate - base.estimate
    below = math.hypot(now.estimate - now.low, base.high - base.estimate)
    above = math.hypot(now.high - now.estimate, base.estimate - base.low)
    return Interval(gap, gap - below, gap + above)


def change_point(bins: Sequence[Bin], dispersion: float = 1.0) -> Split | None:
    """Where the present, worse regime begins; None if the present is no worse than the past.

    `dispersion`: the variance of neighbouring bins over that of pure chance.

    The history is parted into regimes (binary segmentation by the binomial log-likelihood
    ratio). The present one reaches back to the last that was as good as the best, or nearly: an
    earlier incident that is over is not part of it.
    """
    parts = regimes(bins, dispersion)
    counts = [counted(part) for part in parts]
    best = min(counts, key=lambda count: count[0] / count[1] if count[1] > 0 else 1.0)
    first = len(parts)
    while first > 0 and _clearly_worse(counts[first - 1], best, counts[-1]):
        first -= 1
    if first in {0, len(parts)}:
        return None
    good = first - 1
    while good > 0 and not _clearly_worse(counts[good - 1], best, counts[-1]):
        good -= 1  # a bin that the onset cuts in two may be a regime of its own
    last = first
    while last < len(parts) - 1 and len(parts[last]) == 1:
        last += 1  # so may one after it, which alone would not stand out from lesser trouble
    begin = sum(len(part) for part in parts[:good])
    end = sum(len(part) for part in parts[: last + 1])
    gains = _gains(bins[begin:end], dispersion)
    greatest = max(gains)
    near = [i for i, gain in enumerate(gains, begin + 1) if gain > greatest - SPLIT_EVIDENCE]
    return Split(begin, begin + 1 + gains.index(greatest), near[0], near[-1])


def regimes(bins: Sequence[Bin], dispersion: float = 1.0) -> list[Sequence[Bin]]:
    """The bins parted where their share of bad events surely changes, oldest first."""
    return [bins[a:b] for a, b in pairwise([0, *_edges(bins, 0, dispersion), len(bins)])]


def counted(bins: Sequence[Bin]) -> tuple[float, float]:
    """(bad, total) of all the bins together."""
    return sum(b.bad for b in bins), sum(b.total for b in bins)


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


def _edges(bins: Sequence[Bin], offset: int, dispersion: float) -> list[int]:
    """The indexes at which the share of bad events changes, in order."""
    gains = _gains(bins, dispersion)
    best = max(gains, default=0.0)
    if best <= CHANGE_EVIDENCE:
        return []
    split = gains.index(best) + 1
    return [
        *_edges(bins[:split], offset, dispersion),
        offset + split,
        *_edges(bins[split:], offset + split, dispersion),
    ]


def _gains(bins: Sequence[Bin], dispersion: float) -> list[float]:
    """How much better two shares explain the bins than one, for each split from 1 on."""
    bads = list(accumulate(b.bad for b in bins))
    totals = list(accumulate(b.total for b in bins))
    if not bins:
        return []
    whole = _log_likelihood(bads[-1], totals[-1])
    return [
        (_log_likelihood(bad, total) + _log_likelihood(bads[-1] - bad, totals[-1] - total) - whole)
        / dispersion
        for bad, total in zip(bads[:-1], totals[:-1], strict=True)
    ]


def _clearly_worse(
    regime: tuple[float, float], best: tuple[float, float], present: tuple[float, float]
) -> bool:
    if min(regime[1], best[1], present[1]) <= 0:
        return False
    gap = difference(*regime, *best)
    return gap.low > 0 and gap.estimate > NEARLY * (present[0] / present[1] - best[0] / best[1])


def _log_likelihood(bad: float, total: float) -> float:
    if bad <= 0 or total <= 0 or bad >= total:
        return 0.0
    share = bad / total
    return bad * math.log(share) + (total - bad) * math.log1p(-share)
