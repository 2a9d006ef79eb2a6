"""The chart of an incident as SVG, for a wide screen or a phone, in light and in dark.

Written by hand: a handful of lines needs no library that draws. The same curve gives the same
bytes. The colours are names in the SVG's own style sheet, which follows the reader's light or
dark. All text is other people's, and escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from daemon.core.reporting.chart import ChartMark, Curve, MarkKind
from daemon.core.values.units import percent, quantity
from daemon.web.site.chart_scale import level_range, level_ticks, time_ticks
from daemon.web.site.svg import dot, line, rect, safe, svg_number, text

COLOURS = {  # name: (light, dark)
    "line": ("#0b57d0", "#a8c7fa"),
    "text": ("#3c3c44", "#c9c9d2"),
    "grid": ("#dadae2", "#3a3a43"),
    "base": ("#4d6b57", "#9bc4a8"),
    "limit": ("#9a5b00", "#f0b860"),
    "change": ("#7a3ea8", "#d5a8ff"),
    "action": ("#0a6a6a", "#7fd6d6"),
    "good": ("#1a6b35", "#86d39e"),
    "bad": ("#b3261e", "#ff9d94"),
    "back": ("#ffffff", "#1c1c21"),
}
_SOLID, _DASHED, _DOTTED = "", "5 2.2", "1.4 2.2"
_MARKS: dict[MarkKind, tuple[str, str]] = {
    "onset": ("bad", _SOLID),
    "change": ("change", _DASHED),
    "action": ("action", _SOLID),
    "finished": ("action", _DOTTED),
    "recovered": ("good", _SOLID),
    "relapsed": ("bad", _DASHED),
}
WIDE, NARROW = (619.2, 216.0), (302.4, 180.0)
"""Width and height in points of 1/72 inch; so is everything below."""
NO_MEASUREMENT = "no measurement in this time"
FROM_JOURNAL = "the metrics do not answer: only what was measured before"
GAP = 4
"""A hole of more than so many usual steps between samples is shown as one."""
FEW = 12
"""Fewer samples than this are shown as dots on their line."""
EDGE = 5.0
_BASELINE, _THRESHOLD = "baseline", "threshold"
_ROW = 12.0
"""The height of a line of text."""
_LETTER = 0.58
"""A letter's usual width, as a part of the size of its type."""


def svg(curve: Curve, *, narrow: bool) -> bytes:
    """The chart, in UTF-8. Takes a millisecond or two."""
    return "".join(_Drawing(curve, narrow).parts()).encode()


def described(curve: Curve) -> str:
    """The chart in words, for whoever does not see it."""
    levels = [level for _, level in curve.samples if math.isfinite(level)]
    if not levels:
        return f"No measurement of {curve.symptom} in this time."
    show = percent if curve.kind == "counts" else quantity
    parts = [
        f"{_title(curve)}: now {show(levels[-1])}, between {show(min(levels))} "
        f"and {show(max(levels))}"
    ]
    parts += [
        f"{name} {show(level)}" if name in {_BASELINE, _THRESHOLD} else f"{_THRESHOLD} {name}"
        for level, _, _, name in _limits(curve)
    ]
    parts += [f"{mark.text} at {mark.at:%H:%M:%S}" for mark in curve.marks]
    return "; ".join(parts) + "."


def _title(curve: Curve) -> str:
    return f"{curve.symptom} from {curve.begin:%H:%M} to {curve.end:%H:%M} UTC"


def _limits(curve: Curve) -> list[tuple[float, str, str, str]]:
    """What is known of baseline and thresholds: level, colour, dashes, name."""
    known = [(curve.baseline, "base", _DASHED, _BASELINE)]
    known += [(one.level, "limit", _DOTTED, one.words or _THRESHOLD) for one in curve.thresholds]
    return [
        (level, colour, dashes, name)
        for level, colour, dashes, name in known
        if level is not None and math.isfinite(level)
    ]


@dataclass(frozen=True)
class _Name:
    """The name of a mark, in a row above the plot; row 0 is the lowest."""

    mark: ChartMark
    x: float
    row: int
    anchor: Literal["start", "end"]


class _Drawing:
    """One curve on one size of paper: the plot's place on it first, then what is drawn."""

    def __init__(self, curve: Curve, narrow: bool) -> None:
        self._curve = curve
        self._width, self._height = NARROW if narrow else WIDE
        self._type = 9.5 if narrow else 10.0
        self._small = self._type * 0.833
        self._samples = [
            (at.timestamp(), level) for at, level in curve.samples if curve.begin <= at <= curve.end
        ]
        self._marks = [mark for mark in curve.marks if curve.begin <= mark.at <= curve.end]
        self._finite = [level for _, level in self._samples if math.isfinite(level)]
        self._limits = _limits(curve)
        known = [*self._finite, *(level for level, *_ in self._limits)]
        self._low, self._high = level_range(known, curve.kind)
        self._levels = level_ticks(self._low, self._high, curve.kind)
        self._times = time_ticks(curve.begin, curve.end, 5 if narrow else 9)
        self._start = curve.begin.timestamp()
        self._span = (curve.end - curve.begin).total_seconds() or 1.0
        labels = [self._reach(tick.label, self._type) for tick in self._levels if self._finite]
        half = self._reach("00:00", self._type) / 2
        self._left = EDGE + max([half, *labels]) + 4
        self._right = self._width - EDGE - half
        self._bottom = self._height - EDGE - _ROW * (2.2 if self._silent else 1.2)
        self._names = self._named()
        rows = max((name.row + 1 for name in self._names), default=0)
        self._top = EDGE + _ROW * rows + 2

    def parts(self) -> Iterator[str]:
        """The document, from its head to its end."""
        yield self._head()
        wide, high = self._right - self._left, self._bottom - self._top
        yield rect(self._left, self._top, wide, high, "back")
        yield from self._grid()
        for level, colour, dashes, _ in self._limits:
            yield self._across(self._y(level), colour, 1.4, dashes)
        for mark in self._marks:
            colour, dashes = _MARKS[mark.kind]
            x = self._x(mark.at.timestamp())
            yield line(x, self._top, x, self._bottom, colour, 1.3, dashes)
        yield from self._line()
        yield from self._legend()
        yield from self._mark_names()
        middle = (self._left + self._right) / 2
        if not self._finite:
            y = (self._top + self._bottom) / 2
            yield text(middle, y, NO_MEASUREMENT, self._type, anchor="middle")
        elif self._silent:
            y = self._height - EDGE - 2
            yield text(middle, y, FROM_JOURNAL, self._small, anchor="middle")
        yield "</svg>\n"

    @property
    def _silent(self) -> bool:
        return bool(self._curve.trouble and self._finite)

    def _head(self) -> str:
        light = "".join(f"--{name}:{colour};" for name, (colour, _) in COLOURS.items())
        dark = "".join(f"--{name}:{colour};" for name, (_, colour) in COLOURS.items())
        wide, high = svg_number(self._width), svg_number(self._height)
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}pt" height="{high}pt" '
            f'viewBox="0 0 {wide} {high}" '
            'role="img" aria-labelledby="title desc" fill="none">'
            f'<title id="title">{safe(_title(self._curve))}</title>'
            f'<desc id="desc">{safe(described(self._curve))}</desc>'
            f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
            f"text{{font-family:system-ui,sans-serif}}</style>\n"
        )

    def _grid(self) -> Iterator[str]:
        for tick in self._levels:
            y = self._y(tick.at)
            yield self._across(y, "grid", 0.8)
            if self._finite:  # no scale of nothing
                y += self._type * 0.35
                yield text(self._left - 4, y, tick.label, self._type, anchor="end")
        for tick in self._times:
            x = self._x(tick.at)
            yield line(x, self._top, x, self._bottom, "grid", 0.8)
            yield text(x, self._bottom + _ROW, tick.label, self._type, anchor="middle")

    def _line(self) -> Iterator[str]:
        """The curve, parted where nothing was measured; a sample alone is a dot."""
        runs = [
            [(self._x(at), self._y(level)) for at, level in run]
            for run in _runs(self._samples, by_steps=self._curve.source == "prometheus")
        ]
        if not runs:
            return
        path = "".join(
            f"M{svg_number(run[0][0])} {svg_number(run[0][1])}"
            + ("".join(f"L{svg_number(x)} {svg_number(y)}" for x, y in run[1:]) or "h0")
            for run in runs
        )
        yield (
            f'<path id="curve" d="{path}" style="stroke:var(--line)" stroke-width="2" '
            'stroke-linejoin="round" stroke-linecap="round"/>\n'
        )
        if len(self._samples) < FEW:
            for x, y in (point for run in runs for point in run):
                yield dot(x, y, 2.5, "line")

    def _legend(self) -> Iterator[str]:
        """In the lower left corner, where the time before the trouble is; or in the upper one, if
        the curve is nearer to the lower."""
        if not self._limits:
            return
        wide = 32 + max(self._reach(name, self._small) for *_, name in self._limits)
        high = _ROW * len(self._limits) + 4
        x = self._left + EDGE
        covered = [
            self._y(v) for at, v in self._samples if math.isfinite(v) and self._x(at) < x + wide
        ]
        low_free = self._bottom - max(covered, default=self._top)
        high_free = min(covered, default=self._bottom) - self._top
        lower = low_free >= min(high + EDGE, high_free)
        y = self._bottom - EDGE - high if lower else self._top + EDGE
        yield rect(x, y, wide, high, "back", opacity=0.85)
        for row, (_, colour, dashes, name) in enumerate(self._limits):
            middle = y + 2 + _ROW * (row + 0.5)
            yield line(x + 4, middle, x + 22, middle, colour, 1.4, dashes)
            yield text(x + 27, middle + self._small * 0.35, name, self._small)

    def _named(self) -> list[_Name]:
        """Where the names of the marks stand so that none covers another, the first lowest. A name
        for which half of the height leaves no row is left to the words of the description."""
        most = int((self._height / 2 - EDGE) / _ROW)
        rows: list[list[tuple[float, float]]] = [[] for _ in range(most)]
        names: list[_Name] = []
        for mark in self._marks:
            at, reach = self._x(mark.at.timestamp()), self._reach(mark.text, self._small)
            leftward = at + 2 + reach > self._width
            begin, end = (at - 3 - reach, at - 3) if leftward else (at + 2, at + 2 + reach)
            for row, taken in enumerate(rows):
                if all(end + 4 <= other or begin >= over + 4 for other, over in taken):
                    taken.append((begin, end))
                    name = (
                        _Name(mark, end, row, "end")
                        if leftward
                        else _Name(mark, begin, row, "start")
                    )
                    names.append(name)
                    break
        return names

    def _mark_names(self) -> Iterator[str]:
        for name in self._names:
            y = self._top - 4 - _ROW * name.row
            colour, _ = _MARKS[name.mark.kind]
            yield text(name.x, y, name.mark.text, self._small, colour, name.anchor)

    def _x(self, at: float) -> float:
        return self._left + (at - self._start) / self._span * (self._right - self._left)

    def _y(self, level: float) -> float:
        part = (level - self._low) / (self._high - self._low)
        return self._bottom - min(max(part, 0.0), 1.0) * (self._bottom - self._top)

    def _reach(self, text: str, size: float) -> float:
        """How wide the text is, about."""
        return len(text) * size * _LETTER

    def _across(self, y: float, colour: str, width: float, dashes: str = "") -> str:
        return line(self._left, y, self._right, y, colour, width, dashes)


def _runs(
    samples: Sequence[tuple[float, float]], *, by_steps: bool
) -> list[list[tuple[float, float]]]:
    """The samples in pieces: parted by what is no number and, `by_steps`, by long holes."""
    steps = sorted(b - a for (a, _), (b, _) in pairwise(samples))
    usual = steps[len(steps) // 2] if steps else 0.0
    runs: list[list[tuple[float, float]]] = []
    last: float | None = None
    for at, level in samples:
        if not math.isfinite(level):
            last = None
            continue
        if last is None or (by_steps and at - last > GAP * usual):
            runs.append([])
        runs[-1].append((at, level))
        last = at
    return runs
