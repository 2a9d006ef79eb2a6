"""When the trouble began: every moment at which it may have, weighed by what was measured.

Two shapes are tried for each moment: the level jumps, or it climbs evenly for a while (`CLIMBS`).
Their likelihoods, with a flat prior for the moment, give the interval in which the onset lies. A
stretch of which nothing is known tells no moments apart, so a gap widens the interval by itself;
noise beyond that of counting widens it too. Source: the Bayesian change point with unknown
levels, where the levels are taken at their likeliest (profile likelihood).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol

from daemon.core.values.significance import Bin

CLIMBS = (0.0, 30.0, 120.0, 300.0, 900.0, 2400.0)
"""For how many seconds the level may climb after the onset; 0 is a jump."""
_JUMP = 0.95
"""How likely a jump is beforehand; the climbs share the rest."""
_PRIORS = {
    climb: math.log(_JUMP if not climb else (1 - _JUMP) / (len(CLIMBS) - 1)) for climb in CLIMBS
}
_MOST = 1 - 1e-9
"""No level is higher: at 1 a single good event would be impossible."""
_CLOCK = 1.0
"""Seconds to which the clocks of scrapes and of changes are believed."""
_OUTER = 0.005
"""The part of the probability that lies on either side of the interval."""
_COARSE, _FINE = 60, 120
"""How many moments are tried, over all and then where it may have been."""
_FIRST_PART = 20
"""A climb is not seen in this part of it: what it does not move is not after it either."""
_FIRST_SEEN = 10
"""Nor in this part of what was seen of it."""
_MOST_PARTS = 16
"""In so many parts a climb is followed at most: many scrapes of a slow one say what few would."""
_UNLIKELY = 12.0
"""Moments this much less likely (in logarithms) than the likeliest are not looked at closely."""


@dataclass(frozen=True)
class OnsetInterval:
    """Between which moments it began, in Unix seconds.

    It lies before `earliest`, and after `latest`, with half a percent each; before `quartile` with
    a quarter, before `middle` with a half. `evidence`: how much likelier (in logarithms) a rise is
    than none. `climb`: for how many seconds the level rose, the mean of all that is likely.
    """

    earliest: float
    quartile: float
    middle: float
    latest: float
    evidence: float = math.inf
    climb: float = 0.0

    def not_before(self, moment: float) -> OnsetInterval:
        """The interval if nothing tells the moments apart from that one on."""
        return replace(self, quartile=min(self.quartile, max(moment, self.earliest)))

    def told_apart(self, until: float) -> OnsetInterval:
        """The interval of what can be told from it: the first part of a slow climb cannot. A climb
        that was seen up to `until` is known to be slow by what was seen, not by what may come: a
        change is not believed to have come first for that."""
        late = self.climb / _FIRST_PART
        known = min(late, max(until - self.middle, 0.0) / _FIRST_SEEN)
        return replace(self, quartile=self.quartile + known, latest=self.latest + late)

    def widened(self, seconds: float) -> OnsetInterval:
        """The interval if its moments are not known better than that."""
        earliest, latest = self.earliest - seconds, self.latest + seconds
        return replace(self, earliest=earliest, quartile=self.quartile - seconds, latest=latest)


@dataclass(frozen=True)
class Stretch:
    """What was measured from `begin` to `end` (Unix seconds): `amount` out of `size` is bad.

    For counts these are bad events and events, for a value it and 1. `weight` is less than 1 where
    neighbouring stretches share what they measured.
    """

    begin: float
    end: float
    amount: float
    size: float
    weight: float = 1.0


@dataclass(frozen=True)
class _Moment:
    """A possible onset: its log-likelihood, how long the level climbs if it was then, and the
    log-likelihood by the climbs that were tried."""

    at: float
    weight: float
    climb: float
    shapes: Sequence[float]


class Family(Protocol):
    """How measured amounts scatter about their level; stretches go by their index."""

    amounts: list[float]
    sizes: list[float]
    """What was measured before each stretch, weighed: in all 0 before the first."""

    def base(self, last: int) -> float:
        """The likeliest level of all before `last`."""
        ...

    def likelihood(
        self, parts: Iterable[tuple[int, int, float]], base: float, rise: float
    ) -> float:
        """The log-likelihood of all these (first, last, part) together, whose level is `base` and
        that part of the rise, but for what does not depend on the level. All in one call, for it is
        asked for some hundred thousand of them."""
        ...


class CountsFamily:
    """Binomial counts. `dispersion`: their variance over that of pure chance, 1 or more."""

    def __init__(self, measured: Sequence[Stretch], dispersion: float) -> None:
        self._dispersion = dispersion
        self.amounts = list(accumulate((s.weight * s.amount for s in measured), initial=0.0))
        self.sizes = list(accumulate((s.weight * s.size for s in measured), initial=0.0))

    def base(self, last: int) -> float:
        # Half an event more: a level of exactly zero would forbid what is only rare.
        return (self.amounts[last] + 0.5) / (self.sizes[last] + 1)

    def likelihood(
        self, parts: Iterable[tuple[int, int, float]], base: float, rise: float
    ) -> float:
        amounts, sizes, log, log1p = self.amounts, self.sizes, math.log, math.log1p
        found = 0.0
        for first, last, part in parts:
            bad, level = amounts[last] - amounts[first], base + rise * part
            share = 1e-9 if level < 1e-9 else min(level, _MOST)
            found += bad * log(share) + (sizes[last] - sizes[first] - bad) * log1p(-share)
        return found / self._dispersion


class ValuesFamily:
    """Values with that variance about their level."""

    def __init__(self, measured: Sequence[Stretch], variance: float) -> None:
        self._variance = variance
        self.amounts = list(accumulate((s.weight * s.amount for s in measured), initial=0.0))
        self._squares = list(accumulate((s.weight * s.amount**2 for s in measured), initial=0.0))
        self.sizes = list(accumulate((s.weight for s in measured), initial=0.0))

    def base(self, last: int) -> float:
        return self.amounts[last] / self.sizes[last]

    def likelihood(
        self, parts: Iterable[tuple[int, int, float]], base: float, rise: float
    ) -> float:
        sums, weights, every = self.amounts, self.sizes, self._squares
        found = 0.0
        for first, last, part in parts:
            amount, size = sums[last] - sums[first], weights[last] - weights[first]
            level = base + rise * part
            found += every[last] - every[first] - 2 * level * amount + level * level * size
        return -0.5 * found / self._variance


def stretches(bins: Sequence[Bin], width: float) -> list[Stretch]:
    """Bins as stretches; one that does not say when it began is `width` seconds long."""
    found: list[Stretch] = []
    for current in bins:
        begin = current.end - width if current.begin is None else current.begin
        apart = current.end - found[-1].end if found else math.inf
        weight = min(1.0, apart / (current.end - begin))
        found.append(Stretch(begin, current.end, current.bad, current.total, weight))
    return found


def locate(
    measured: Sequence[Stretch], family: Family, by: float | None = None
) -> OnsetInterval | None:
    """In which interval the level began to rise; None if there are too few stretches to tell.

    `measured`: oldest first, from a good regime up to now. `by`: it had begun by then (Unix
    seconds).
    """
    if len(measured) < 2:
        return None
    begin, end = measured[0].end, measured[-1].end
    if by is not None and begin < by:
        end = min(end, by)
    step = (end - begin) / _COARSE
    rough = _weigh(measured, family, begin, end, _COARSE, CLIMBS)
    most = max(moment.weight for moment in rough)
    near = [moment.at for moment in rough if moment.weight > most - _UNLIKELY]
    first, last = max(begin, near[0] - step), min(end, near[-1] + step)
    # So coarse a grid may miss the moment of a jump, so that is always looked at closely.
    likely = [
        climb
        for number, climb in enumerate(CLIMBS)
        if not climb or max(moment.shapes[number] for moment in rough) > most - _UNLIKELY
    ]
    fine = _weigh(measured, family, first, last, _FINE, likely)
    unchanged = _level(family, len(measured), family.base(len(measured)))
    return _interval(fine, max(moment.weight for moment in fine) - unchanged)


def either(intervals: Sequence[OnsetInterval]) -> OnsetInterval:
    """The interval if it is not known which of these models holds; the first one's middle."""
    return OnsetInterval(
        min(i.earliest for i in intervals),
        min(i.quartile for i in intervals),
        intervals[0].middle,
        max(i.latest for i in intervals),
        min(i.evidence for i in intervals),
        max(i.climb for i in intervals),
    )


def _weigh(
    measured: Sequence[Stretch],
    family: Family,
    begin: float,
    end: float,
    moments: int,
    climbs: Sequence[float],
) -> list[_Moment]:
    """Evenly spaced moments, weighed over these climbs."""
    ends = [s.end for s in measured]
    begins = [s.begin for s in measured]
    step = (end - begin) / moments
    found = []
    # Of all moments between the same two stretches: what was before, and a jump.
    befores: dict[int, tuple[float, float]] = {}
    jumps: dict[int, float] = {}
    for number in range(moments):
        onset = begin + (number + 0.5) * step
        first = max(bisect_right(ends, onset), 1)
        if first not in befores:
            level = family.base(first)
            befores[first] = level, _level(family, first, level)
        (base, before), shapes = befores[first], []
        # Of all climbs that are not over yet: where the top is does not matter to the slope.
        climbing: float | None = None
        for climb in climbs:
            # From there on the level has risen as far as it does.
            full = max(bisect_left(begins, onset + climb, first), first)
            if full == first:
                if first not in jumps:
                    jumps[first] = _fit(family, (), first, len(measured), base)
                fit = jumps[first]
            elif onset + climb >= ends[-1]:
                if climbing is None:
                    rising = _parts(begins, ends, first, full, onset, climb)
                    climbing = _fit(family, rising, full, len(measured), base)
                fit = climbing
            else:
                rising = _parts(begins, ends, first, full, onset, climb)
                fit = _fit(family, rising, full, len(measured), base)
            shapes.append(before + _PRIORS[climb] + fit)
        most = max(shapes)
        parts = [math.exp(shape - most) for shape in shapes]
        climb = sum(p * c for p, c in zip(parts, climbs, strict=True)) / sum(parts)
        found.append(_Moment(onset, most + math.log(sum(parts)), climb, shapes))
    return found


def _level(family: Family, last: int, level: float) -> float:
    """The log-likelihood of that one level for all before `last`."""
    return family.likelihood([(0, last, 0.0)], level, 0.0)


def _fit(
    family: Family, rising: Sequence[tuple[int, int, float]], full: int, last: int, base: float
) -> float:
    """The log-likelihood of what came after the onset, with the rise that fits it: the stretches
    (first, last, part) have that part of it, and those from `full` on all of it."""
    amounts, sizes = family.amounts, family.sizes
    excess = expected = 0.0
    parts = [*rising, (full, last, 1.0)]
    for begin, end, part in parts:
        size = sizes[end] - sizes[begin]
        excess += part * (amounts[end] - amounts[begin] - size * base)
        expected += part * part * size
    rise = max(excess / expected, 0.0) if expected > 0 else 0.0
    return family.likelihood(parts, base, rise)


def _parts(
    begins: Sequence[float],
    ends: Sequence[float],
    first: int,
    full: int,
    onset: float,
    climb: float,
) -> list[tuple[int, int, float]]:
    """The stretches from `first` to `full`, of which each ends after the onset and begins before
    the climb is over, some together: (first, last, their mean level, from 0 at the onset to 1 after
    the climb). It is worked out some thousand times for each measurement, so in one loop."""
    each = -(-(full - first) // _MOST_PARTS)
    half, twice, found = climb / 2, 2 * climb, []
    for start in range(first, full, each):
        stop = min(start + each, full)
        begin, end = begins[start], ends[stop - 1]
        since, before = end - onset, begin - onset
        if end <= begin:  # a value at one moment
            found.append((start, stop, 1.0 if since >= climb else since / climb))
            continue
        # The level summed up over the time since the onset, to the end and to the beginning.
        risen = since * since / twice if since < climb else since - half
        if before > 0:
            risen -= before * before / twice
        found.append((start, stop, risen / (end - begin)))
    return found


def _interval(weighed: Sequence[_Moment], evidence: float) -> OnsetInterval:
    most = max(moment.weight for moment in weighed)
    likely = [math.exp(moment.weight - most) for moment in weighed]
    parts = list(accumulate(likely))
    half = (weighed[1].at - weighed[0].at) / 2

    def quantile(share: float) -> float:
        index = bisect_right(parts, share * parts[-1])
        before = parts[index - 1] if index else 0.0
        part = (share * parts[-1] - before) / (parts[index] - before)
        return weighed[index].at - half + 2 * half * part

    earliest, latest = quantile(_OUTER) - _CLOCK, quantile(1 - _OUTER) + _CLOCK
    climb = sum(p * moment.climb for p, moment in zip(likely, weighed, strict=True)) / parts[-1]
    return OnsetInterval(earliest, quantile(0.25), quantile(0.5), latest, evidence, climb)
