"""Why little or nothing is measured: traffic that fell, scrapes too far apart, a value beyond the
largest bucket."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

from daemon.core.changes.change import Change
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import Sample
from daemon.core.values.formats import number_text
from daemon.core.values.units import clock_time, format_duration, printable, quantity

_GONE = 0.1
"""Traffic that fell to this part of what it was, or under it, is gone."""
SHORTLY = timedelta(minutes=5)
"""A change so long before the fall is named with it."""
MIN_SAMPLES = 8
"""Of fewer samples nothing usual can be told."""
MIN_WINDOWS = 4
"""Of fewer windows nobody can tell how far apart the scrapes are."""
ENOUGH_SCRAPES = 4
"""So many scrapes a window should hold."""


@dataclass(frozen=True)
class TrafficFall:
    """Traffic, in events a second, fell between two moments; `after` None: nothing is there now.

    For a value nobody counts events: `before` is None.
    """

    before: float | None
    after: float | None
    since: datetime
    until: datetime


def traffic_fall(
    history: Sequence[Sample], width: timedelta, now: datetime, *, counts: bool
) -> TrafficFall | None:
    """Whether what was there is gone; None if it is not, or if too little was there before.

    `history`: (Unix time, value) oldest first; for `counts` the events in a window of `width` each.
    The moments are as near together as the samples lie.
    """
    if len(history) < MIN_SAMPLES:
        return None
    spacing = min(later - sooner for (sooner, _), (later, _) in pairwise(history))
    ended = now.timestamp() - history[-1][0] > 1.5 * spacing
    if not counts:
        return _fall(None, None, history[-1][0], spacing) if ended else None
    usual, last = median(value for _, value in history), history[-1][1]
    if usual <= 0 or not (ended or last <= _GONE * usual):
        return None
    # A window that shows half of the usual began half of its width before the fall.
    half = max(at for at, value in history if 2 * value >= usual)
    seconds = width.total_seconds()
    # It shows at the next scrape only, and what is gone is extrapolated for a while.
    within = 2 * spacing
    return _fall(usual / seconds, None if ended else last / seconds, half - seconds / 2, within)


def _fall(before: float | None, after: float | None, since: float, within: float) -> TrafficFall:
    moment = datetime.fromtimestamp(since, UTC)
    return TrafficFall(before, after, moment, moment + timedelta(seconds=within))


def fall_text(fall: TrafficFall, changes: Sequence[Change], symptom: str) -> str:
    """One sentence: what fell, and the change that it came shortly after, if there is one."""
    if fall.before is None:
        what = f"{symptom} has no samples any more"
    else:
        after = "nothing" if fall.after is None else quantity(fall.after)
        what = f"traffic fell from {quantity(fall.before)}/s to {after}"
    near = [c for c in changes if fall.since - SHORTLY <= c.at <= fall.until]
    if not near:
        return f"{what} at about {clock_time(fall.until)}"
    change = max(near, key=lambda c: (c.at, c.subject, c.item))
    span = timedelta(seconds=math.ceil((fall.until - change.at).total_seconds()))
    name = printable(f"{change.target or change.subject} → {change.item}")
    return f"{what} within {format_duration(span)} of {name}"


def scrapes_apart(held: Sequence[Sample], window: timedelta) -> timedelta | None:
    """How far apart the scrapes are, in whole seconds, where most windows hold fewer than two of
    them; else None.

    `held`: (end, scrapes) of the windows that hold any, oldest first, which do not overlap. Where
    samples begin or end a window holds fewer, however often is scraped, so few windows say nothing.
    """
    if len(held) < MIN_WINDOWS or 2 * sum(count >= 2 for _, count in held) >= len(held):
        return None
    seconds = held[-1][0] - held[0][0] + window.total_seconds()
    return timedelta(seconds=round(seconds / sum(count for _, count in held)))


def too_few_scrapes(interval: timedelta, window: timedelta) -> str:
    """Why a window holds too few scrapes to measure by; empty if it holds two at least."""
    if window >= 2 * interval:
        return ""
    held = "one sample" if window >= interval else "no sample at times"
    return (
        f"scraped every {format_duration(interval)}: a window of {format_duration(window)} holds "
        f"{held}; use windows of {format_duration(ENOUGH_SCRAPES * interval)} or more"
    )


def unbounded(values: Sequence[float], symptom: str) -> Unmeasurable | None:
    """Why a value cannot be judged that is infinite wherever it is known; None if it is finite."""
    if any(math.isfinite(value) for value in values) or not any(map(math.isinf, values)):
        return None
    last = next(value for value in reversed(values) if math.isinf(value))
    text = f"{symptom} is {number_text(last)}, which is no number to compare"
    return Unmeasurable("query_error", "not_a_number", text)
