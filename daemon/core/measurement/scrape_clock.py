"""When Prometheus scrapes: how often, and at which moments.

A window of a query is cut at the scrapes, not where it says. Who knows these can ask for windows
that hold one scrape's increase each, and know from when to when it was counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

USUAL_INTERVALS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 12.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""Seconds between scrapes that people set."""
COUNTED_OVER = timedelta(minutes=5)
"""Over how long samples are counted to find the interval."""
LEAST_STEP = 5.0
"""Seconds; closer looks than that cost more than they tell."""
_TOGETHER = 1.5
"""Targets scraped within so many seconds are scraped at one moment."""

_SHARP = 0.02
"""So many intervals before a scrape an evaluation still counts as at it."""


@dataclass(frozen=True)
class ScrapeClock:
    """`interval` seconds lie between scrapes; the newest was at `newest` (Unix seconds).

    `spread`: the targets are scraped at moments so many seconds apart, 0 if at the same.
    `extrapolated`: what increases within a window is extrapolated from its first and its last
    scrape to all of it; if not, it is counted from the last scrape before the window.
    """

    interval: float
    newest: float
    spread: float = 0.0
    extrapolated: bool = True

    @property
    def step(self) -> float:
        """The length of the stretches to look at: whole scrapes, and not too many. Seconds."""
        return self.interval * max(1, -(-LEAST_STEP // self.interval))

    @property
    def window(self) -> float:
        """The window that holds the increase of exactly one step. Seconds."""
        return self.step + self.interval if self.extrapolated else self.step

    @property
    def part(self) -> float:
        """How much of what is told of that window was seen in one step."""
        return self.step / self.window

    def grid(self, now: float, span: float) -> tuple[float, float]:
        """(first, last) moment to evaluate at, a step apart: each between two scrapes."""
        # In the middle between two scrapes, none slips over an edge because it came a little late.
        after = min(max(now - self.newest, 0.05 * self.interval), self.interval / 2)
        last = self.newest + after
        return last - (span // self.step) * self.step, last

    def scraped(self, evaluated: float) -> float:
        """The last scrape that an evaluation at that moment sees. Unix seconds.

        Servers that move a range to multiples of its step evaluate elsewhere than they were asked
        to, so that this counts, and not the grid.
        """
        before = math.ceil((self.newest - evaluated) / self.interval - _SHARP)
        return self.newest - max(0, before) * self.interval

    def stretch(self, evaluated: float) -> tuple[float, float]:
        """(begin, end) of what the evaluation at that moment counted. Unix seconds."""
        end = self.scraped(evaluated)
        return end - self.step - self.spread, end


def read_scrapes(
    counted: Sequence[float],
    newest: float | None,
    oldest: float | None,
    *,
    extrapolated: bool = True,
) -> ScrapeClock | None:
    """The clock, from how many samples series had within COUNTED_OVER at several moments, and
    from when the newest and the oldest of the last samples of all series were. None if the
    samples do not come at a usual pace.
    """
    if newest is None or oldest is None or not counted:
        return None
    # Where scrapes failed there are fewer; the interval is what the fullest stretch shows.
    count, seconds = max(counted), COUNTED_OVER.total_seconds()
    if count < 2:
        return None
    longest = seconds / (count - 1)
    fitting = [i for i in USUAL_INTERVALS if i <= longest]
    if not fitting:
        return None
    # If none has so many samples, a few were lost everywhere.
    exact = [i for i in fitting if i >= seconds / (count + 1)]
    interval = min(exact, key=lambda i: abs(i - seconds / count)) if exact else fitting[-1]
    apart = newest - oldest
    spread = 0.0 if apart <= _TOGETHER else min(apart, interval)
    return ScrapeClock(interval, newest, spread, extrapolated)
