"""How much the baseline varies beyond pure chance, and for how long it stays where it went.

Failures come in bursts and latencies wander. A level that wanders by itself must go further off
before that means anything, and the fewer independent looks the baseline holds, the further.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from daemon.core.values.significance import Z99, Bin

MIN_LOOKS = 8
"""Of fewer looks nothing is said about noise."""
EXPECTED = 5.0
"""Bins are put together until they are expected to hold so many bad events: of fewer, chance
alone looks like noise."""
_MEDIAN = 0.455
"""The median of a χ² variable with one degree of freedom."""
_STUDENT = {
    1: 63.66, 2: 9.925, 3: 5.841, 4: 4.604, 5: 4.032, 6: 3.707, 7: 3.499, 8: 3.355, 10: 3.169,
    12: 3.055, 15: 2.947, 20: 2.845, 30: 2.750, 60: 2.660, 120: 2.617,
}  # fmt: skip
"""The two-sided 99 % quantile of Student's t by degrees of freedom."""


@dataclass(frozen=True)
class Noise:
    """`extra`: the variance beyond chance, as a multiple of chance's (for counts), or the whole
    variance (for values). `memory`: the correlation of one look with the next. `looks`: how many
    there were, each `size` bins or samples.
    """

    extra: float = 0.0
    memory: float = 0.0
    looks: int = 0
    size: int = 1

    def persistence(self, count: float) -> float:
        """How many times the variance of a mean of `count` looks is that of independent ones."""
        length = max(1.0, count)
        if self.memory <= 0 or length <= 1:
            return 1.0
        r = self.memory
        tail: float = r * (1 - r**length) / (length * (1 - r))
        return max(1.0, (1 + r) / (1 - r) - 2 * tail / (1 - r))

    def spread(self, bins: float) -> float:
        """By what the variance of counts over so many bins exceeds that of pure chance."""
        return 1.0 + self.extra * self.persistence(bins / self.size)

    @property
    def quantile(self) -> float:
        """What stands in the place of the normal quantile of 99 %: noise that was estimated from
        few independent looks may be greater than it seems."""
        if self.extra <= 0:
            return Z99
        return student(self.looks / self.persistence(self.looks) - 1)


NO_NOISE = Noise()
"""Nothing but chance."""


def counts_noise(bins: Sequence[Bin]) -> Noise:
    """The noise of counts around their common share."""
    bad, total = sum(b.bad for b in bins), sum(b.total for b in bins)
    if not 0 < bad < total:
        return NO_NOISE
    share = bad / total
    size = _size(bins, min(bad, total - bad))
    looks = _together(bins, size)
    if len(looks) < MIN_LOOKS:
        return NO_NOISE
    residuals = [(b - t * share) / math.sqrt(t * share * (1 - share)) for b, t in looks if t > 0]
    dispersion = sum(r * r for r in residuals) / (len(residuals) - 1)
    if dispersion < 1 + 2.5 * math.sqrt(2 / len(residuals)):
        return NO_NOISE  # chance itself varies by so much
    extra = dispersion - 1
    return Noise(extra, _memory(residuals, extra), len(residuals), size)


def values_noise(values: Sequence[float]) -> Noise:
    """The noise of values around their mean; `extra` is their variance."""
    mean = sum(values) / len(values)
    residuals = [value - mean for value in values]
    variance = sum(r * r for r in residuals) / max(1, len(values) - 1)
    return Noise(variance, _memory(residuals, variance), len(values))


def local_dispersion(bins: Sequence[Bin]) -> float:
    """The variance of neighbouring bins over that of pure chance, 1 or more; a level that moved
    between some of them does not count (von Neumann 1941, by the median)."""
    bad, total = sum(b.bad for b in bins), sum(b.total for b in bins)
    if not 0 < bad < total:
        return 1.0
    size = _size(bins, min(bad, total - bad))
    looks = [(b, t) for b, t in _together(bins, size) if t > 0]
    squares = [_squared(one, other) for one, other in pairwise(looks)]
    if len(squares) < MIN_LOOKS:
        return 1.0
    dispersion = median(squares) / _MEDIAN
    return dispersion if dispersion > 1 + 6 / math.sqrt(len(squares)) else 1.0


def _squared(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The squared difference of two shares, over what chance makes of it."""
    share = (one[0] + other[0]) / (one[1] + other[1])
    chance = share * (1 - share) * (1 / one[1] + 1 / other[1])
    return (one[0] / one[1] - other[0] / other[1]) ** 2 / chance if chance > 0 else 0.0


def student(freedom: float) -> float:
    """The two-sided 99 % quantile of Student's t; between the table's by 1 ÷ freedom."""
    known = list(_STUDENT)
    if freedom <= 1:
        return _STUDENT[1]
    if freedom >= known[-1]:
        return Z99
    above = bisect_left(known, freedom)
    low, high = known[above - 1], known[above]
    part = (1 / low - 1 / freedom) / (1 / low - 1 / high)
    return _STUDENT[low] + part * (_STUDENT[high] - _STUDENT[low])


def _memory(residuals: Sequence[float], variance: float) -> float:
    """The correlation of neighbours; chance, which has none, is left out of the variance."""
    if variance <= 0:
        return 0.0
    pairs = pairwise(residuals)
    along = sum(a * b for a, b in pairs) / len(residuals)
    memory = along / variance
    # So much correlation is there by chance.
    return min(memory, 0.97) if memory > 2 / math.sqrt(len(residuals)) else 0.0


def _size(bins: Sequence[Bin], rarer: float) -> int:
    """How many bins together are expected to hold EXPECTED of the rarer events."""
    return max(1, math.ceil(EXPECTED * len(bins) / rarer))


def _together(bins: Sequence[Bin], size: int) -> list[tuple[float, float]]:
    """(bad, total) of so many neighbouring bins each; a rest at the beginning is left out."""
    first = len(bins) % size
    return [
        (sum(b.bad for b in bins[i : i + size]), sum(b.total for b in bins[i : i + size]))
        for i in range(first, len(bins), size)
    ]
