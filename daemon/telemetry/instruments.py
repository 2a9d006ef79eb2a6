"""How the counters are made: with bounded labels, and there from the start where they can be.

A label's value comes from the code, the rules or the settings, never from an alert; where it
could come from other people's code, `Bounded` keeps its number small.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

QUICK = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Buckets of what a machine does, in seconds."""
SLOW = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)
"""Buckets of what an action does."""
HUMAN = (5, 15, 30, 60, 120, 180, 300, 450, 600, 900, 1800, 3600, 7200, 14400)
"""Buckets of what people take part in; the deadlines of the ten-minute clock are among them."""

OTHER = "other"
_WORD = re.compile(r"[a-z][a-z0-9_]{0,49}")


class Bounded:
    """Lets a limited number of plain words pass as label values; the rest is `other`."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """The value, or `other`; what is empty stays so."""
        if not value or value in self._known:
            return value
        if len(self._known) >= self._most or not _WORD.fullmatch(value):
            return OTHER
        self._known.add(value)
        return value


class Instruments:
    """Makes the instruments of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def counter(self, name: str, text: str, *labels: str, known: Iterable[str] = ()) -> Counter:
        """A counter. `known`: the values of its one label, which begin at zero: what appears
        with its first increment has no increase that Prometheus could see."""
        made = Counter(name, text, labels, registry=self.registry)
        for value in known:
            made.labels(value)
        return made

    def histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = QUICK
    ) -> Histogram:
        """A histogram of seconds."""
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
