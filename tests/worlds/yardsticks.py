"""Two yardsticks over the same draws: a plain threshold, and a sequential test.

Each is what others would do without the daemon. Both see what the daemon sees:
successful scrapes, and deployments once they are known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from daemon.core.values.significance import Bin
from tests.core.build import TARGET
from tests.worlds.outcome import Decided
from tests.worlds.world import EPOCH, Draw, Samples

RECENT = 1800.0
"""Seconds within which the newest deployment is blamed by the plain threshold."""
ALPHA = 0.001
"""The nominal chance of a false alarm of the sequential test."""
BASELINE = 1800.0
"""Seconds of history that it takes as usual."""
RECENT_STARTS = 900.0
"""Seconds back to which it looks for the start of the trouble; the baseline lies before."""
LIKELY = 3.5
"""A start this much less likely than the likeliest one may still be the true one."""
LEAD = 120.0
"""Seconds that a deployment takes to show, at most: it may lie so long before the interval."""
DROP = 0.01
"""The loss in share points that matters; the rule's."""
RISE = 0.5
"""The relative rise of a value that matters; the rule's."""
_BEFORE_ONSET = 120.0


def threshold_decides(draw: Draw) -> Decided:
    """When the alert arrives, the newest deployment of the last half hour is rolled back."""
    now = draw.threshold_at
    if now is None:
        return Decided("wait", why="no alert")
    recent = [c for c in draw.known(now) if now - c.at.timestamp() <= RECENT]
    if not recent:
        return Decided("ask", now, why="no deployment")
    return Decided("act", now, recent[-1])


def sequential_decides(draw: Draw) -> Decided:
    """A mixture likelihood ratio for each possible start of the trouble, at each scrape.

    The null hypothesis is that all is as in the baseline. The mean over the possible starts must
    pass 1 ÷ ALPHA. That bounds a false alarm at one look, for independent samples and a known
    baseline; over all looks the bound grows with the starts that come into view, about three-fold
    here. Then the newest deployment within the interval of the likely starts, or LEAD before it,
    is rolled back, if it is one of the service's.
    """
    moments = [
        scrape.at
        for scrape in draw.scrapes
        if scrape.up and EPOCH - _BEFORE_ONSET <= scrape.at <= draw.observed_until
    ]
    evidence = _count_evidence if draw.world.kind == "counts" else _value_evidence
    rows = _increments(draw) if draw.world.kind == "counts" else _logarithms(draw.latency)
    for now in moments:
        found = evidence([row for row in rows if row.end <= now], now)
        if found is not None:
            return _blamed(draw, found, now)
    return Decided("wait", why="no evidence")


@dataclass(frozen=True)
class StartInterval:
    """Between which moments the trouble began, most likely; Unix seconds."""

    first: float
    last: float


def _blamed(draw: Draw, began: StartInterval, now: float) -> Decided:
    fitting = [
        change
        for change in draw.known(now)
        if began.first - LEAD <= change.at.timestamp() <= began.last
    ]
    if not fitting or fitting[-1].subject != TARGET:
        return Decided("ask", now, why="no deployment within the interval")
    return Decided("act", now, fitting[-1])


def _increments(draw: Draw) -> list[Bin]:
    """(bad, total) between neighbouring successful scrapes."""
    errors = dict(zip(draw.errors.at, draw.errors.values, strict=True))
    found = []
    bad_before = total_before = 0.0
    for at, total in zip(draw.requests.at, draw.requests.values, strict=True):
        bad = errors.get(at, 0.0)
        reset = total < total_before
        found.append(
            Bin(at, bad - (0.0 if reset else bad_before), total - (0.0 if reset else total_before))
        )
        bad_before, total_before = bad, total
    return found[1:]


def _logarithms(latency: Samples) -> list[Bin]:
    """The logarithm of each sample, as `bad`; `total` is 1."""
    return [
        Bin(at, math.log(value), 1.0) for at, value in zip(latency.at, latency.values, strict=True)
    ]


def _parts(rows: Sequence[Bin], now: float) -> tuple[list[Bin], list[Bin]]:
    """The baseline, and what may hold the trouble."""
    edge = now - RECENT_STARTS
    return [r for r in rows if edge - BASELINE < r.end <= edge], [r for r in rows if r.end > edge]


def _count_evidence(rows: Sequence[Bin], now: float) -> StartInterval | None:
    """Beta-binomial: after the start the share has a flat prior, before it the baseline's."""
    baseline, recent = _parts(rows, now)
    usual_bad = 0.5 + sum(r.bad for r in baseline)
    usual_good = 0.5 + sum(r.total - r.bad for r in baseline)
    usual = usual_bad / (usual_bad + usual_good)
    ratios, shifts = [], []
    bad = good = 0.0
    for row in reversed(recent):
        bad, good = bad + row.bad, good + row.total - row.bad
        changed = _log_beta(1 + bad, 1 + good) - _log_beta(1, 1)
        same = _log_beta(usual_bad + bad, usual_good + good) - _log_beta(usual_bad, usual_good)
        ratios.append(changed - same)
        shifts.append(bad / (bad + good) - usual if bad + good else 0.0)
    return _interval(recent, ratios[::-1], [shift >= DROP for shift in reversed(shifts)])


def _value_evidence(rows: Sequence[Bin], now: float) -> StartInterval | None:
    """Normal logarithms: after the start the mean has a normal prior as wide as a doubling."""
    baseline, recent = _parts(rows, now)
    logs = [r.bad for r in baseline]
    if len(logs) < 2:
        return None
    usual, variance, prior = fmean(logs), max(pvariance(logs), 1e-6), math.log(2) ** 2
    ratios, shifts = [], []
    total = 0.0
    for count, row in enumerate(reversed(recent), 1):
        total += row.bad - usual
        spread = variance + count * prior
        ratios.append(
            0.5 * math.log(variance / spread) + prior * total**2 / (2 * variance * spread)
        )
        shifts.append(total / count)
    return _interval(recent, ratios[::-1], [s >= math.log(1 + RISE) for s in reversed(shifts)])


def _interval(
    recent: Sequence[Bin], ratios: Sequence[float], worse: Sequence[bool]
) -> StartInterval | None:
    """The likely starts, if their mean ratio is evidence enough; of those that are worse only."""
    if not any(worse):
        return None
    told = [r if w else -math.inf for r, w in zip(ratios, worse, strict=True)]
    most = max(told)
    mean = most + math.log(sum(math.exp(r - most) for r in told) / len(told))
    if mean < -math.log(ALPHA):
        return None
    likely = [index for index, ratio in enumerate(told) if ratio > most - LIKELY]
    first = recent[max(likely[0] - 1, 0)].end
    return StartInterval(first, recent[likely[-1]].end)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
