"""What was there when, as samples show it, and which of it was live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import inf, isfinite

from daemon.core.measurement.samples import QueryAnswer

Presence = Mapping[float, frozenset[str]]
"""What was there at each moment that has data, the oldest first; Unix seconds."""


@dataclass(frozen=True)
class Coming:
    """`item` became what is live, first seen so at `at`; `after`: the last moment it was not."""

    item: str
    previous: str
    after: float
    at: float


def presence(answer: QueryAnswer, label: str) -> Presence:
    """Which values of the label had a count over zero, at each moment that has any sample."""
    found: dict[float, set[str]] = {}
    for series in answer.series:
        name = series.labels.get(label, "")
        for at, value in series.samples:
            if name and isfinite(value):
                there = found.setdefault(round(at, 3), set())
                if value > 0:
                    there.add(name)
    return {at: frozenset(found[at]) for at in sorted(found)}


def comings_of(
    points: Presence,
    patience: timedelta,
    born: Mapping[str, float] | None = None,
    start: float | None = None,
) -> list[Coming]:
    """Each time that another item became live, oldest first.

    Live is what appeared last. If it vanishes while others stay, it was taken back; with
    `patience`, only once it is gone for so long. What is there at the first moment came nobody
    knows when, unless it was `born` after `start`. Where nothing has data, nothing happened.
    """
    walk = _Walk(patience.total_seconds())
    for at, there in points.items():
        if walk.at is None:
            walk.begin(at, there, born or {}, start)
        else:
            walk.go(at, there, born or {})
    return walk.found


class _Walk:
    """Along the grid: what is there, in the order of appearing, and which of it is live."""

    def __init__(self, patience: float) -> None:
        self.found: list[Coming] = []
        self.at: float | None = None
        self._patience = patience
        self._live = ""
        self._order: list[str] = []
        self._seen: dict[str, float] = {}
        self._missing: tuple[float, float] | None = None

    def begin(
        self, at: float, there: frozenset[str], born: Mapping[str, float], start: float | None
    ) -> None:
        """The first moment with data."""
        self._order = sorted(there, key=lambda item: (born.get(item, 0.0), item))
        self._seen = dict.fromkeys(there, at)
        if len(there) == 1 or (there and there <= born.keys()):
            self._live = self._order[-1]
            birth = born.get(self._live)
            if start is not None and birth is not None and start < birth <= at:
                self.found.append(Coming(self._live, "", birth, at))
        self.at = at

    def go(self, at: float, there: frozenset[str], born: Mapping[str, float]) -> None:
        """The next moment with data."""
        before = at if self.at is None else self.at
        was_there = {item for item, seen in self._seen.items() if seen == before}
        fresh = sorted(there - was_there, key=lambda item: (born.get(item, 0.0), item))
        for item in fresh:
            flickers = at - self._seen.get(item, -inf) <= self._patience
            if item == self._live or (flickers and self._live in there):
                continue
            self._order = [*(one for one in self._order if one != item), item]
            self._become(item, before, at)
        self._seen |= dict.fromkeys(there, at)
        self._take_back(before, at, there)
        self.at = at

    def _take_back(self, before: float, at: float, there: frozenset[str]) -> None:
        if not there or self._live in there:
            self._missing = None if there else self._missing
            return
        if not self._live:
            # Of several at the beginning nobody knows which came last, until one is left.
            self._live = next(iter(there)) if len(there) == 1 else ""
            return
        self._missing = self._missing or (before, at)
        if at - self._missing[1] >= self._patience:
            left = [item for item in self._order if item in there]
            self._become((left or sorted(there))[-1], *self._missing)

    def _become(self, item: str, before: float, at: float) -> None:
        self.found.append(Coming(item, self._live, before, at))
        self._live = item
        self._missing = None
