"""Which other series moved at the onset.

Each is asked whether its level is surely another after the onset than before it (by the variance
and memory of its own baseline, Student's t), and whether a step fits it best just there. The more
series are looked at, the more move by chance: Benjamini and Hochberg (1995) hold the share of
those among the ones that are told below a hundredth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median

from daemon.core.measurement.noise import values_noise
from daemon.core.measurement.samples import Sample
from daemon.core.measurement.value_shift import LEAST_SPREAD

FALSE_DISCOVERIES = 0.01
"""The share of series that moved by chance among those that are told."""
MIN_BEFORE, MIN_AFTER = 8, 3
"""Of fewer samples nothing is said."""
_LEAST_SHIFT = 0.1
"""A level that moved by less than this part of itself is not told."""
_FIT = 0.3
"""The step must explain at least this part of the variance."""


@dataclass(frozen=True)
class Moved:
    """A series that moved: its level before and after, and how well a step there fits it (0…1).

    `p`: the probability that it moved so far by chance, before any correction.
    """

    name: str
    query: str
    before: float
    after: float
    fit: float
    p: float


@dataclass(frozen=True)
class SeriesMoves:
    """The series that moved, the best fit first, of so many that could be looked at."""

    moved: tuple[Moved, ...]
    candidates: int


@dataclass(frozen=True)
class SeriesCandidate:
    """One series with its samples, oldest first. `name` is for people."""

    name: str
    query: str
    samples: Sequence[Sample]


def moves(candidates: Sequence[SeriesCandidate], begin: float, end: float) -> SeriesMoves:
    """Which of them moved when the trouble began, between `begin` and `end` (Unix seconds)."""
    found = [one for one in (_move(c, begin, end) for c in candidates) if one is not None]
    ordered = sorted((one for one, _ in found), key=lambda m: m.p)
    allowed = [
        rank
        for rank, one in enumerate(ordered, 1)
        if one.p <= FALSE_DISCOVERIES * rank / len(ordered)
    ]
    last = max(allowed, default=0)
    there = {id(one) for one, fits in found if fits}
    told = [m for m in ordered[:last] if id(m) in there]
    return SeriesMoves(tuple(sorted(told, key=lambda m: -m.fit)), len(found))


def _move(candidate: SeriesCandidate, begin: float, end: float) -> tuple[Moved, bool] | None:
    """How it moved, and whether that is worth telling; None if too little is known of it."""
    samples = [(at, value) for at, value in candidate.samples if math.isfinite(value)]
    before = [value for at, value in samples if at <= begin]
    after = [value for at, value in samples if at > end]
    if len(before) < MIN_BEFORE or len(after) < MIN_AFTER:
        return None
    usual, now = median(before), median(after)
    fit, at = _best_step([value for _, value in samples])
    low, high = _neighbours(samples, begin, end)
    moved = Moved(candidate.name, candidate.query, usual, now, fit, chance_of_shift(before, after))
    large = abs(now - usual) >= _LEAST_SHIFT * max(abs(usual), abs(now))
    return moved, large and fit >= _FIT and low <= at <= high


def _neighbours(samples: Sequence[Sample], begin: float, end: float) -> tuple[int, int]:
    """The indexes of the samples at which a step of then may show: one to either side."""
    first = sum(1 for at, _ in samples if at <= begin)
    last = sum(1 for at, _ in samples if at <= end)
    return first - 1, last + 1


def chance_of_shift(before: Sequence[float], after: Sequence[float]) -> float:
    """The two-sided probability of so great a difference of the means by chance."""
    noise = values_noise(before)
    floor = (LEAST_SPREAD * (abs(median(before)) or 1.0)) ** 2
    variance = max(noise.extra, floor)
    looks = noise.persistence(len(after)) / len(after) + noise.persistence(len(before)) / len(
        before
    )
    t = abs(fmean(after) - fmean(before)) / math.sqrt(variance * looks)
    freedom = max(1.0, len(before) / noise.persistence(len(before)) - 1)
    # Wallace (1959): the normal deviate that is as likely as this t.
    normal = math.sqrt(freedom * math.log1p(t * t / freedom)) * (
        (8 * freedom + 1) / (8 * freedom + 3)
    )
    return 2 * NormalDist().cdf(-normal)


def _best_step(values: Sequence[float]) -> tuple[float, int]:
    """(the part of the variance that the best single step explains, where it is)."""
    whole, count = sum(values), len(values)
    mean = whole / count
    total = sum((value - mean) ** 2 for value in values)
    if total <= 0:
        return 0.0, 0
    left, best, where = 0.0, 0.0, 0
    for index, value in enumerate(values[:-1], 1):
        left += value
        gain = (left - index * mean) ** 2 * count / (index * (count - index))
        if gain > best:
            best, where = gain, index
    return best / total, where
