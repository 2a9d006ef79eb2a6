"""The one table of `make bench`: each row's figures side by side, its aims, and both as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

THIS = "this"
COLUMNS = (THIS, "base", "floor", "webhook")


@dataclass(frozen=True)
class Aim:
    """What this build's figure is to be, times that of `beside`; empty: by itself."""

    beside: str = ""
    least: float | None = None
    most: float | None = None

    def reached(self, figures: Mapping[str, float]) -> float | None:
        """The ratio, or the figure itself; None if there is nothing to compare with."""
        other = figures.get(self.beside) if self.beside else 1.0
        return figures[THIS] / other if other else None

    def met(self, figures: Mapping[str, float]) -> bool | None:
        """Whether it is as it is to be; None as above."""
        found = self.reached(figures)
        if found is None:
            return None
        return not (
            (self.least is not None and found < self.least)
            or (self.most is not None and found > self.most)
        )

    def __str__(self) -> str:
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return f"{bound} × {self.beside}" if self.beside else bound


@dataclass(frozen=True)
class Row:
    """One figure, of each of those beside which it is measured."""

    what: str
    unit: str
    figures: Mapping[str, float]
    aims: Sequence[Aim] = ()

    def as_json(self) -> dict[str, Any]:
        """The row for programs."""
        aims = [
            {"aim": str(aim), "reached": aim.reached(self.figures), "met": aim.met(self.figures)}
            for aim in self.aims
        ]
        return {
            "what": self.what.strip(),
            "unit": self.unit,
            "figures": dict(self.figures),
            "aims": aims,
        }


def rendered(rows: Sequence[Row], title: str) -> Table:
    """The table for people."""
    table = Table("", "unit", *COLUMNS, "aim: reached", title=title)
    for row in rows:
        figures = (_number(row.figures.get(name)) for name in COLUMNS)
        table.add_row(row.what, row.unit, *figures, "\n".join(_told(a, row) for a in row.aims))
    return table


def _told(aim: Aim, row: Row) -> str:
    found = aim.reached(row.figures)
    if found is None:
        return f"{aim}: not measured"
    return f"{aim}: {found:.2f} {'met' if aim.met(row.figures) else 'MISSED'}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
