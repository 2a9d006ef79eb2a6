"""How far a value lies above what it was, with an interval that knows how the value wanders.

Values above zero are compared by their logarithms: a latency doubles and halves, it does not rise
and fall by seconds. Samples that follow each other are alike, so the interval counts independent
looks, not samples; what cannot be told from few of them is not told (Student's t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from daemon.core.measurement.noise import NO_NOISE, values_noise
from daemon.core.values.significance import Interval

LEAST_SPREAD = 1e-3
"""A baseline that never moves is believed to move by this part of its level all the same."""
_MIN_SAMPLES = 2
"""One sample alone may be a mistake of the measurement."""


@dataclass(frozen=True)
class ValueScale:
    """Where values are compared. `sign`: 1 if a higher value is worse, −1 if a lower one is."""

    logarithmic: bool
    sign: float

    @classmethod
    def of(cls, values: Sequence[float], sign: float) -> ValueScale:
        """Logarithms, if all of these have one."""
        return cls(all(value > 0 for value in values), sign)

    def place(self, value: float) -> float:
        """Where the value stands; further up is worse."""
        return self.sign * (math.log(value) if self.logarithmic else value)

    def value(self, place: float) -> float:
        """The value that stands there."""
        place *= self.sign
        return math.exp(min(place, 700.0)) if self.logarithmic else place

    def variance(self, base: Sequence[float]) -> float:
        """The variance of these values where they are compared, never quite zero."""
        places = [self.place(value) for value in base]
        return max(values_noise(places).extra, self.least_spread(base) ** 2)

    def least_spread(self, base: Sequence[float]) -> float:
        """The least standard deviation that is believed."""
        return LEAST_SPREAD * (1.0 if self.logarithmic else abs(median(base)) or 1.0)


def shift(now: Sequence[float], base: Sequence[float], sign: float, level: float) -> Interval:
    """How much worse `level`, which stands for the samples `now`, is than the median of `base`,
    in the value's own unit, with the 99 % interval; without bounds where one sample is all."""
    usual = median(base)
    worse = sign * (level - usual)
    if len(now) < _MIN_SAMPLES or len(base) < _MIN_SAMPLES:
        return Interval(worse, -math.inf, math.inf)
    scale = ValueScale.of([*now, *base, level], sign)
    return _around(scale, base, (len(now), len(base)), level, usual)


def shift_from(now: Sequence[float], target: float, sign: float, level: float) -> Interval:
    """The same against a target, which is known exactly: how the value wanders is learned from
    `now` alone."""
    if len(now) < _MIN_SAMPLES:
        return Interval(sign * (level - target), -math.inf, math.inf)
    scale = ValueScale.of([*now, target, level], sign)
    return _around(scale, now, (len(now),), level, target)


def _around(
    scale: ValueScale, known: Sequence[float], counts: Sequence[int], level: float, usual: float
) -> Interval:
    """How much worse `level` is than `usual`. `known`: what tells how the value wanders; `counts`:
    of how many samples each is known that is not known exactly."""
    noise = values_noise([scale.place(value) for value in known])
    variance = scale.least_spread(known) ** 2
    if noise.extra > variance:
        variance = noise.extra
    else:
        noise = NO_NOISE  # what is left of a level that never moves is rounding, which wanders
    looks = sum(noise.persistence(count) / count for count in counts)
    half = noise.quantile * math.sqrt(variance * looks)
    place, sign = scale.place(level), scale.sign
    low, high = scale.value(place - half), scale.value(place + half)
    return Interval(sign * (level - usual), sign * (low - usual), sign * (high - usual))
