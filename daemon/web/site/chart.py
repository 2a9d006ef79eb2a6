"""The chart of an incident as SVG, for a wide screen or a phone, in light and in dark.

Drawn by Matplotlib without its global state, so that it may run in a thread. The colours are
names in the SVG's own style sheet, which follows the reader's light or dark.
"""

from __future__ import annotations

import io
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from daemon.core.reporting.chart import ChartMark, Curve, MarkKind
from daemon.core.values.units import percent, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each stands for a colour of the style sheet below; the drawing itself never shows them.
_LINE, _TEXT, _GRID, _BASE, _LIMIT = "#010101", "#010102", "#010103", "#010104", "#010105"
_CHANGE, _ACTION, _GOOD, _BAD, _BACK = "#010106", "#010107", "#010108", "#010109", "#01010a"
_COLOURS = {  # placeholder: (name, light, dark)
    _LINE: ("line", "#0b57d0", "#a8c7fa"),
    _TEXT: ("text", "#3c3c44", "#c9c9d2"),
    _GRID: ("grid", "#dadae2", "#3a3a43"),
    _BASE: ("base", "#4d6b57", "#9bc4a8"),
    _LIMIT: ("limit", "#9a5b00", "#f0b860"),
    _CHANGE: ("change", "#7a3ea8", "#d5a8ff"),
    _ACTION: ("action", "#0a6a6a", "#7fd6d6"),
    _GOOD: ("good", "#1a6b35", "#86d39e"),
    _BAD: ("bad", "#b3261e", "#ff9d94"),
    _BACK: ("back", "#ffffff", "#1c1c21"),
}
_MARKS: dict[MarkKind, tuple[str, str]] = {
    "onset": (_BAD, "-"),
    "change": (_CHANGE, "--"),
    "action": (_ACTION, "-"),
    "finished": (_ACTION, ":"),
    "recovered": (_GOOD, "-"),
    "relapsed": (_BAD, "--"),
}
WIDE, NARROW = (8.6, 3.0), (4.2, 3.1)
"""Width and height in inches of 72 px."""
NO_MEASUREMENT = "no measurement in this time"
FROM_JOURNAL = "the metrics do not answer: only what was measured before"
GAP = 4
"""A hole of more than so many usual steps between samples is shown as one."""


def svg(curve: Curve, *, narrow: bool) -> bytes:
    """The chart. Takes a tenth of a second or two; call it in a thread."""
    # Half a second of importing, which only a chart pays.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    look: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "stopgap",
        "font.family": "sans-serif",
        "font.size": 9.5 if narrow else 10,
        "text.parse_math": False,  # a dollar in a release's name is a dollar
    }
    with rc_context(look):
        figure = Figure(figsize=NARROW if narrow else WIDE, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        _draw(axes, curve, narrow)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": _title(curve)})
    return _themed(out.getvalue()).encode()


def described(curve: Curve) -> str:
    """The chart in words, for whoever does not see it."""
    if not curve.samples:
        return f"No measurement of {curve.symptom} in this time."
    show = percent if curve.kind == "counts" else quantity
    levels = [level for _, level in curve.samples]
    parts = [
        f"{_title(curve)}: now {show(levels[-1])}, between {show(min(levels))} "
        f"and {show(max(levels))}"
    ]
    if curve.baseline is not None:
        parts.append(f"baseline {show(curve.baseline)}")
    if curve.threshold is not None:
        parts.append(f"threshold {show(curve.threshold)}")
    parts += [f"{mark.text} at {mark.at:%H:%M:%S}" for mark in curve.marks]
    return "; ".join(parts) + "."


def _title(curve: Curve) -> str:
    return f"{curve.symptom} from {curve.begin:%H:%M} to {curve.end:%H:%M} UTC"


def _draw(axes: Axes, curve: Curve, narrow: bool) -> None:
    axes.set_facecolor(_BACK)
    axes.set_xlim(_days(curve.begin), _days(curve.end))
    times, levels = _with_gaps(curve)
    axes.plot(times, levels, color=_LINE, linewidth=2, marker="", zorder=3)
    if len(curve.samples) < 12:
        axes.plot(times, levels, color=_LINE, linestyle="", marker="o", markersize=4, zorder=3)
    for value, colour, dashes, label in (
        (curve.baseline, _BASE, "--", "baseline"),
        (curve.threshold, _LIMIT, ":", "threshold"),
    ):
        if value is not None:
            axes.axhline(
                value, label=label, color=colour, linestyle=dashes, linewidth=1.4, zorder=2
            )
    for mark in curve.marks:
        colour, style = _MARKS[mark.kind]
        axes.axvline(_days(mark.at), color=colour, linestyle=style, linewidth=1.3, zorder=2)
    _name_marks(axes, curve, narrow)
    _scale(axes, curve, narrow)
    if not curve.samples:
        axes.yaxis.set_major_formatter("")
        axes.text(
            0.5, 0.5, NO_MEASUREMENT, transform=axes.transAxes, ha="center", color=_TEXT, wrap=True
        )
    elif curve.trouble:
        axes.set_xlabel(FROM_JOURNAL, color=_TEXT, fontsize="small")


def _days(moment: datetime) -> float:
    """The moment as Matplotlib counts it."""
    from matplotlib.dates import date2num

    return float(date2num(moment))  # type: ignore[no-untyped-call]


def _with_gaps(curve: Curve) -> tuple[list[float], list[float]]:
    """Times as Matplotlib counts them and levels, parted where nothing was measured."""
    times: list[float] = []
    levels: list[float] = []
    seconds = [at.timestamp() for at, _ in curve.samples]
    steps = sorted(b - a for a, b in pairwise(seconds))
    usual = steps[len(steps) // 2] if steps else 0.0
    for index, (at, level) in enumerate(curve.samples):
        if (
            curve.source == "prometheus"
            and index
            and seconds[index] - seconds[index - 1] > (GAP * usual)
        ):
            times.append(_days(at))
            levels.append(float("nan"))
        times.append(_days(at))
        levels.append(level)
    return times, levels


def _name_marks(axes: Axes, curve: Curve, narrow: bool) -> None:
    """Their names in rows above the plot, so that neighbours do not cover each other."""
    span = (curve.end - curve.begin).total_seconds() or 1.0
    width = 0.24 if narrow else 0.12
    ends: list[float] = []
    placed: list[tuple[ChartMark, int, float]] = []
    for mark in curve.marks:
        place = (mark.at - curve.begin).total_seconds() / span
        row = next((n for n, end in enumerate(ends) if end <= place), len(ends))
        reach = place + max(width, len(mark.text) * (0.022 if narrow else 0.0105))
        ends[row : row + 1] = [reach]
        placed.append((mark, row, place))
    for mark, row, place in placed:
        right = place > 0.8
        axes.annotate(
            mark.text,
            xy=(place, 1.0),
            xycoords="axes fraction",
            xytext=(-3 if right else 2, 4 + 12 * row),
            textcoords="offset points",
            ha="right" if right else "left",
            color=_MARKS[mark.kind][0],
            fontsize="small",
            annotation_clip=False,
        )


def _scale(axes: Axes, curve: Curve, narrow: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    locator = AutoDateLocator(minticks=3, maxticks=5 if narrow else 9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    form = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(form)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(_share if curve.kind == "counts" else _amount))
    axes.margins(y=0.12)
    axes.grid(True, color=_GRID, linewidth=0.8)
    axes.tick_params(colors=_TEXT, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(loc="lower left", frameon=True, fontsize="small", labelcolor=_TEXT)
        legend.get_frame().set_facecolor(_BACK)
        legend.get_frame().set_edgecolor("none")
        legend.get_frame().set_alpha(0.85)


def _share(level: float, _: int | None = None) -> str:
    """A share beside its line of the grid; there is none above all."""
    return f"{level:.1%}" if level <= 1 else ""


def _amount(level: float, _: int | None = None) -> str:
    return quantity(level)


def _themed(drawing: str) -> str:
    """The drawing with names for its colours, and the style sheet that gives them."""
    for placeholder, (name, _, _) in _COLOURS.items():
        drawing = drawing.replace(placeholder, f"var(--{name})")
    light = "".join(f"--{name}:{colour};" for name, colour, _ in _COLOURS.values())
    dark = "".join(f"--{name}:{colour};" for name, _, colour in _COLOURS.values())
    style = (
        f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        "text{font-family:system-ui,sans-serif !important}</style>"
    )
    head, tag, rest = drawing.partition("<defs>")
    return head + style + tag + rest
