"""The chart of a finding: what it is about beside all the rest, as SVG like the incident's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Literal

from daemon.core.incident.dossier import DiagnosisFinding, FindingCurve
from daemon.core.values.units import percent, quantity
from daemon.web.site.chart import COLOURS, EDGE
from daemon.web.site.chart_scale import level_range, level_ticks, time_ticks
from daemon.web.site.svg import line, rect, safe, svg_number, text

WIDTH, HEIGHT = 480.0, 150.0
"""In points of 1/72 inch."""
_TYPE = 9.0
_LEFT = 46.0
_ROW = 12.0


def finding_svg(finding: DiagnosisFinding, curve: FindingCurve) -> bytes:
    """The chart in UTF-8; the same finding gives the same bytes."""
    return "".join(_parts(finding, curve)).encode()


def finding_in_words(finding: DiagnosisFinding, curve: FindingCurve) -> str:
    """The chart for whoever does not see it."""
    show = percent if curve.unit == "share" else quantity
    parts = []
    for name, values in ((finding.subject or "it", curve.own), ("the rest", curve.rest)):
        known = [value for value in values if value is not None]
        if known:
            parts.append(
                f"{name}: from {show(known[0])} to {show(known[-1])}, least {show(min(known))}"
            )
    return "; ".join(parts) or "no measurement"


def _parts(finding: DiagnosisFinding, curve: FindingCurve) -> Iterator[str]:
    light = "".join(f"--{name}:{colour};" for name, (colour, _) in COLOURS.items())
    dark = "".join(f"--{name}:{colour};" for name, (_, colour) in COLOURS.items())
    wide, high = svg_number(WIDTH), svg_number(HEIGHT)
    yield (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}pt" height="{high}pt" '
        f'viewBox="0 0 {wide} {high}" role="img" aria-labelledby="desc" fill="none">'
        f'<desc id="desc">{safe(finding_in_words(finding, curve))}</desc>'
        f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"text{{font-family:system-ui,sans-serif}}</style>\n"
    )
    top, bottom, right = EDGE + _ROW, HEIGHT - EDGE - _ROW, WIDTH - EDGE - 16
    yield rect(_LEFT, top, right - _LEFT, bottom - top, "back")
    kind: Literal["counts", "value"] = "counts" if curve.unit == "share" else "value"
    known = [v for v in (*curve.own, *curve.rest) if v is not None]
    low, high_level = level_range(known, kind)
    count = max(len(curve.own), len(curve.rest), 2)
    end = curve.begin + timedelta(seconds=curve.step * (count - 1))
    start, span = curve.begin.timestamp(), curve.step * (count - 1)

    def x(at: float) -> float:
        return _LEFT + (at - start) / span * (right - _LEFT)

    def y(level: float) -> float:
        return bottom - (level - low) / (high_level - low) * (bottom - top)

    for tick in level_ticks(low, high_level, kind):
        yield line(_LEFT, y(tick.at), right, y(tick.at), "grid", 0.8)
        yield text(_LEFT - 4, y(tick.at) + 3, tick.label, _TYPE, anchor="end")
    for tick in time_ticks(curve.begin, end, 6):
        yield line(x(tick.at), top, x(tick.at), bottom, "grid", 0.8)
        yield text(x(tick.at), bottom + _ROW, tick.label, _TYPE, anchor="middle")

    def points(values: Sequence[float | None]) -> list[tuple[float, float] | None]:
        return [
            None if value is None else (x(start + curve.step * number), y(value))
            for number, value in enumerate(values)
        ]

    yield _curve(points(curve.rest), "line")
    yield _curve(points(curve.own), "bad")
    yield text(_LEFT, EDGE + 6, (finding.subject or "it")[:60], _TYPE, "bad")
    if curve.rest:
        yield text(right, EDGE + 6, "the rest", _TYPE, "line", "end")
    yield "</svg>\n"


def _curve(points: Sequence[tuple[float, float] | None], colour: str) -> str:
    """A line, parted where nothing was measured."""
    path, pen = "", "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        path += f"{pen}{svg_number(point[0])} {svg_number(point[1])}"
        path, pen = (f"{path}h0", "L") if pen == "M" else (path, "L")
    if not path:
        return ""
    return (
        f'<path d="{path}" style="stroke:var(--{colour})" stroke-width="2" '
        'stroke-linejoin="round" stroke-linecap="round"/>\n'
    )
