"""The figures as CSV (RFC 4180), for a spreadsheet: a line for all, each team and each rule.

Spreadsheets take a text that begins with `=`, `+`, `-` or `@` for a formula, and names are written
by people: such a text gets an apostrophe before it. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from daemon.core.reporting.figures import DurationFigure, Figures, FigureSet
from daemon.core.values.units import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TIMES = ("detect", "acknowledge", "recover")
CSV_COLUMNS = (
    "of",
    "name",
    "since",
    "until",
    "incidents",
    "unknown",
    *(f"{time}_{kind}" for time in _TIMES for kind in ("mean_seconds", "median_seconds")),
    "recovered",
    "recovered_by_daemon",
    "recovered_by_people",
    "recovered_elsewhere",
    "share_by_daemon",
    "refusals_overruled",
    "actions_undone",
    "failed_requests",
    "saved_seconds",
    "saved_requests",
    "saved_in_incidents",
    "saved_compared_with",
)
_Cell = str | float | int | None


def figures_csv(figures: Figures) -> str:
    """The whole file, its head first; the period before it has its own lines."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(CSV_COLUMNS)
    for row in _rows(figures):
        writer.writerow(_cell(cell) for cell in row)
    return written.getvalue()


def _rows(figures: Figures) -> Iterator[list[_Cell]]:
    since, until = figures.since, figures.until
    periods = (
        (since.isoformat(), until.isoformat()),
        ((since - (until - since)).isoformat(), since.isoformat()),
    )
    groups = [("all", "", figures.now, figures.before)]
    groups += [("team", one.name, one.now, one.before) for one in figures.teams]
    groups += [("rule", one.name, one.now, one.before) for one in figures.rules]
    for of, name, now, before in groups:
        for period, found in zip(periods, (now, before), strict=True):
            yield [of, name, *period, *_numbers(found)]


def _numbers(found: FigureSet) -> Iterator[_Cell]:
    saved = found.saved
    yield found.incidents
    yield found.unknown
    for time in _TIMES:
        timing: DurationFigure | None = getattr(found, time)
        yield from (None, None) if timing is None else (timing.mean, timing.median)
    yield from (found.recovered, found.by_daemon, found.by_people, found.elsewhere)
    yield from (found.share_by_daemon, found.refusals_overruled, found.undone)
    yield found.failed_requests
    yield from (
        (None, None, 0, 0)
        if saved is None
        else (saved.seconds, saved.requests, saved.incidents, saved.compared)
    )


def _cell(value: _Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if value.startswith(_FORMULA) else text
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
