"""What a series of a case is at any moment: counts as a rate over time, values as steps.

Times are seconds since the case began; before it all was as it begins, and it goes on as it ends.
A service is scraped every so many seconds, and of it no more is known than scrapes show: the
increase over a window is worked out from them as Prometheus does it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from daemon.core.cases.notation import NoSample, Point

Seen = Literal["seen", "missed", "absent"]
"""Of a stretch of time: scrapes succeeded; none did; or there was no such series."""
_EDGE = 1.1
"""Prometheus extrapolates to the window's edge if a scrape is within so many intervals of it."""


@dataclass(frozen=True)
class CurvePiece:
    """From `begin` on, until the next: the value (of counts: the rate in events a second)."""

    begin: float
    value: float
    seen: Seen = "seen"


def rate_pieces(points: Sequence[Point], interval: float, unit: float) -> list[CurvePiece]:
    """Of rates, each of which holds for one interval; a missed one is as the one before it, only
    that nobody saw it. `unit`: seconds that the rates are over."""
    found: list[CurvePiece] = []
    last = next((point for point in points if isinstance(point, float)), 0.0)
    for number, point in enumerate(points):
        if isinstance(point, float):
            last = point
        found.append(CurvePiece(number * interval, last / unit, _seen(point)))
    return _merged(found)


def counter_pieces(points: Sequence[Point], interval: float) -> list[CurvePiece]:
    """Of a counter's values: between two of them it grows evenly; where it falls it was reset. It
    goes on growing as it did last."""
    found: list[CurvePiece] = []
    known = [(n, point) for n, point in enumerate(points) if isinstance(point, float)]
    slopes = {
        first: (n2 - first, (v2 if v2 < v1 else v2 - v1) / ((n2 - first) * interval))
        for (first, v1), (n2, v2) in pairwise(known)
    }
    slope = next((slope for _, slope in slopes.values()), 0.0)
    for number, point in enumerate(points):
        if number in slopes:
            slope = slopes[number][1]
        rate = 0.0 if point is NoSample.STALE else slope
        found.append(CurvePiece(number * interval, rate, _seen(point)))
    return _merged(found)


def value_pieces(points: Sequence[Point], interval: float) -> list[CurvePiece]:
    """Of values, each of which holds for one interval."""
    return _merged(
        [
            CurvePiece(n * interval, point if isinstance(point, float) else math.nan, _seen(point))
            for n, point in enumerate(points)
        ]
    )


def share_pieces(shares: Sequence[CurvePiece], total: Sequence[CurvePiece]) -> list[CurvePiece]:
    """Rates that are a share of others: both are steps, and so is their product."""
    moments = sorted({one.begin for one in (*shares, *total)})
    found = []
    for begin in moments:
        share, whole = _at(shares, begin), _at(total, begin)
        seen = share.seen if share.seen != "seen" else whole.seen
        found.append(CurvePiece(begin, share.value * whole.value, seen))
    return _merged(found)


def continued(
    before: Sequence[CurvePiece], at: float, after: Sequence[CurvePiece]
) -> list[CurvePiece]:
    """What was until `at`, and from then on what is told from its own second 0 on."""
    later = [CurvePiece(at + one.begin, one.value, one.seen) for one in after]
    return [*(one for one in before if one.begin < at), *later]


def since(pieces: Sequence[CurvePiece], at: float) -> list[CurvePiece]:
    """What is from `at` on, told from a second 0 of its own on."""
    first = [replace(_at(pieces, at), begin=0.0)] if pieces else []
    return [*first, *(replace(one, begin=one.begin - at) for one in pieces if one.begin > at)]


class Scrapes:
    """When the service is scraped: at each multiple of `every` seconds, unless `missed` then."""

    def __init__(self, every: float, missed: Callable[[float], bool]) -> None:
        self.every = every
        self.missed = missed

    def newest(self, now: float) -> float:
        """The moment of the last scrape that was due by then."""
        return math.floor(now / self.every + 1e-9) * self.every


class ScrapedCurve:
    """One series, as scrapes show it."""

    def __init__(self, pieces: Sequence[CurvePiece], scrapes: Scrapes) -> None:
        self._pieces = pieces
        self._scrapes = scrapes
        self._begins = [one.begin for one in pieces]
        self._always_seen = all(one.seen == "seen" for one in pieces)
        self._sums = [0.0]
        for one, following in pairwise(pieces):
            area = one.value * (following.begin - one.begin)
            self._sums.append(self._sums[-1] + (0.0 if math.isnan(area) else area))

    def newest(self, now: float, back: float = math.inf) -> float | None:
        """The moment of the newest sample by then; None if there is none within `back` seconds,
        or the series has ended."""
        at = self._scrapes.newest(now)
        while now - at < back:
            seen = self._seen(at)
            if seen != "missed":
                return at if seen == "seen" else None
            if at <= self._begins[0]:
                return None
            at -= self._scrapes.every
        return None

    def value(self, now: float) -> float | None:
        """The value at the newest scrape; None if it saw none."""
        at = self._scrapes.newest(now)
        return self._piece(at).value if self._seen(at) == "seen" else None

    def increase(self, now: float, width: float) -> float | None:
        """How much was counted in the `width` seconds before, extrapolated from the scrapes in
        them as Prometheus does; None if fewer than two are."""
        every = self._scrapes.every
        last = self._scrapes.newest(now)
        first = self._scrapes.newest(now - width) + every
        count = round((last - first) / every) + 1
        if not self._always_seen or self._scrapes.missed(last) or self._scrapes.missed(first):
            due = [first + n * every for n in range(count)]
            scraped = [at for at in due if self._seen(at) == "seen"]
            if not scraped:
                return None
            first, last, count = scraped[0], scraped[-1], len(scraped)
        if count < 2:
            return None
        covered = last - first
        average = covered / (count - 1)
        before, behind = first - (now - width), now - last
        before = before if before < _EDGE * average else average / 2
        behind = behind if behind < _EDGE * average else average / 2
        return (self._sum(last) - self._sum(first)) * (covered + before + behind) / covered

    def _seen(self, at: float) -> Seen:
        if self._scrapes.missed(at):
            return "missed"
        return "seen" if self._always_seen else self._piece(at).seen

    def _piece(self, at: float) -> CurvePiece:
        return self._pieces[max(bisect_right(self._begins, at) - 1, 0)]

    def _sum(self, at: float) -> float:
        """All that was counted since the beginning; below zero before it."""
        index = max(bisect_right(self._begins, at) - 1, 0)
        one = self._pieces[index]
        return self._sums[index] + one.value * (at - one.begin)


def _seen(point: Point) -> Seen:
    if isinstance(point, float):
        return "seen"
    return "missed" if point is NoSample.MISSING else "absent"


def _at(pieces: Sequence[CurvePiece], at: float) -> CurvePiece:
    earlier = [one for one in pieces if one.begin <= at]
    return earlier[-1] if earlier else pieces[0]


def _merged(pieces: Sequence[CurvePiece]) -> list[CurvePiece]:
    """Without those that say what the one before them says."""
    found = list(pieces[:1])
    for one in pieces[1:]:
        before = found[-1]
        if (one.value, one.seen) != (before.value, before.seen):
            found.append(one)
    return found
