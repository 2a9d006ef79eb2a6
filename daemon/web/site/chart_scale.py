"""Where the lines of a chart's grid are, and what stands beside them: steps of 1, 2 and 5 for
levels, and of whole seconds, minutes, hours and days for times."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

MARGIN = 0.12
"""How much of the range of the levels stays free above and below them."""
MOST_LEVELS = 6
"""The lines of the grid cut the range of the levels into so many parts at most."""
_DAY = 86_400
_SECONDS_APART = (1, 2, 5, 10, 15, 30)
_MINUTES_APART = (60, 120, 300, 600, 900, 1800)
_HOURS_APART = (3600, 7200, 10_800, 21_600, 43_200)
_APART = (*_SECONDS_APART, *_MINUTES_APART, *_HOURS_APART)
"""Seconds between two times; each divides a day, so that midnight has a line of its own."""
_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"))
_FARTHEST = 1e300
"""Levels are reckoned with up to here, and as zero below its inverse: beyond, their range or a
part of it is more, or less, than a float holds."""
_SAME = 1e-6
"""A range that is a smaller part of its levels than this is that of a constant."""
_FEWEST, _MOST = 1e-6, 1e15
"""Levels nearer to zero, or farther from it, are written with an exponent."""


@dataclass(frozen=True)
class Tick:
    """A line of the grid and its label."""

    at: float
    label: str


def level_range(levels: Iterable[float], kind: Literal["counts", "value"]) -> tuple[float, float]:
    """The lowest and highest level that the plot has room for; (0, 1) if there are no levels."""
    known = [_within_floats(level) for level in levels]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    size = max(abs(low), abs(high))
    if high - low <= size * _SAME:  # a constant lies in the middle
        around = size * 0.05 or (0.05 if kind == "counts" else 1.0)
        return low - around, high + around
    room = (high - low) * MARGIN
    return low - room, high + room


def level_ticks(low: float, high: float, kind: Literal["counts", "value"]) -> list[Tick]:
    """The levels with a line, lowest first. There is no share above all: its line has no label."""
    step = _nice_step((high - low) / MOST_LEVELS)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    levels = [number * step for number in range(first, last + 1)]
    label = _share_label if kind == "counts" else _amount_label
    return [Tick(level, label(level, step)) for level in levels]


def time_ticks(begin: datetime, end: datetime, most: int) -> list[Tick]:
    """The times with a line, in Unix seconds, at most `most`. Midnight is labelled by its date."""
    start, stop = begin.timestamp(), end.timestamp()
    apart = _time_step(stop - start, most)
    first, last = math.ceil(start / apart), math.floor(stop / apart)
    return [
        Tick(number * apart, _time_label(number * apart, apart))
        for number in range(first, last + 1)
    ][:most]


def _within_floats(level: float) -> float:
    near = min(max(level, -_FARTHEST), _FARTHEST)
    return near if abs(near) >= 1 / _FARTHEST else 0.0


def _nice_step(least: float) -> float:
    """The smallest of …, 0.1, 0.2, 0.5, 1, 2, 5, … that is not below."""
    power = math.floor(math.log10(least))
    base = 10.0**power
    return next((n * base for n in (1, 2, 5) if n * base >= least * (1 - 1e-9)), 10 * base)


def _time_step(seconds: float, most: int) -> int:
    for apart in _APART:
        if seconds / apart <= most:
            return apart
    return math.ceil(_nice_step(max(1.0, seconds / most / _DAY))) * _DAY


def _time_label(at: float, apart: int) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    if at % _DAY == 0:
        return f"{moment.day} {moment:%b}"
    return f"{moment:%H:%M:%S}" if apart < 60 else f"{moment:%H:%M}"


def _share_label(level: float, step: float) -> str:
    if step >= 1:
        return f"{level * 100:.8g}%" if level <= 1 else ""
    if step < _FEWEST:
        return f"{level * 100:.8g}%"
    return f"{level:.{_decimals(step * 100, least=1)}%}" if level <= 1 + step * 1e-9 else ""


def _amount_label(level: float, step: float) -> str:
    """As many decimals as tell it from its neighbours: 0.2 · 12 · 1,240 · 8M."""
    size = abs(level)
    if size < step * 1e-9:
        return "0"
    if not _FEWEST <= step <= _MOST:
        return f"{level:.8g}"
    for unit, sign in _LARGE:
        if step * 10 >= unit:
            return f"{level / unit:,.{_decimals(step / unit)}f}{sign}"
    return f"{level:,.{_decimals(step)}f}"


def _decimals(step: float, least: int = 0) -> int:
    return max(least, -math.floor(math.log10(step) + 1e-9))
