"""The events of a problem parted by one label, before the onset and after it.

All counts are (bad, total) of disjoint stretches of time. What the parts do not cover is the
remainder, so that shares are always shares of the whole service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from daemon.core.values.significance import Bin, counted

MIN_JUDGED = 30
"""A value with fewer events than this is not judged, and before the onset counts as new."""
_MIN_FREEDOM = 30
"""Fewer degrees of freedom than this say nothing about overdispersion."""

_AS_GOOD_AS = 1e-6
"""Of sums that were put together from floating point numbers."""


@dataclass(frozen=True)
class ValueCounts:
    """What was counted with one value of the label, bin by bin."""

    value: str
    before: Sequence[Bin]
    now: Sequence[Bin]

    @cached_property
    def then(self) -> tuple[float, float]:
        """(bad, total) before the onset."""
        return counted(self.before)

    @cached_property
    def after(self) -> tuple[float, float]:
        """(bad, total) after the onset."""
        return counted(self.now)

    @property
    def new(self) -> bool:
        """Whether too little is known of it from before the onset."""
        return self.then[1] < MIN_JUDGED


@dataclass(frozen=True)
class Breakdown:
    """One label with the counts of its values; `remainder`: what has none of these.

    `failures_only`: the label is set by the failure itself (the status code), so that there is no
    total to each value.
    """

    label: str
    parts: Sequence[ValueCounts]
    remainder: ValueCounts = field(default_factory=lambda: ValueCounts("", (), ()))
    failures_only: bool = False

    @cached_property
    def then(self) -> tuple[float, float]:
        """(bad, total) of the whole service before the onset."""
        return _summed(part.then for part in self._all)

    @cached_property
    def after(self) -> tuple[float, float]:
        """(bad, total) of the whole service after the onset."""
        return _summed(part.after for part in self._all)

    @property
    def usual(self) -> float:
        """The share of failures before the onset."""
        bad, total = self.then
        return bad / total if total > 0 else 0.0

    @cached_property
    def judged(self) -> Sequence[ValueCounts]:
        """The values with enough events now to be judged."""
        return [part for part in self.parts if part.after[1] >= MIN_JUDGED]

    @property
    def comparable(self) -> bool:
        """Whether there is more than one value, so that one can be compared with the others."""
        known = [part for part in self._all if part.after[1] > 0 or part.then[1] > 0]
        return len(known) > 1

    @property
    def tells_failures(self) -> bool:
        """Whether the label is another word for failing, as `outcome` is beside `status`: before
        the onset, too, all events of some values failed, and none of any other's did."""
        counts = [(part.then, part.after) for part in self._all if part.then[1] + part.after[1] > 0]
        failing = [(then, after) for then, after in counts if then[0] + after[0] > 0]
        pure = all(
            bad >= total * (1 - _AS_GOOD_AS) for pair in failing for bad, total in pair if total > 0
        )
        known = any(then[0] > 0 for then, _ in failing)
        return pure and known and len(failing) < len(counts)

    def expected(self, part: ValueCounts) -> float:
        """The share of its events that would fail as ever; for a new value, as usual."""
        bad, total = part.then
        return self.usual if part.new else bad / total

    def added(self, part: ValueCounts) -> float:
        """How many more of its events fail than would as ever; below zero if fewer."""
        bad, total = part.after
        return bad - total * self.expected(part)

    @cached_property
    def added_in_all(self) -> float:
        """The failures that were added at all values."""
        return sum(self.added(part) for part in self._all)

    @property
    def _all(self) -> Iterable[ValueCounts]:
        return (*self.parts, self.remainder)


def dispersion(breakdowns: Sequence[Breakdown]) -> float:
    """The variance of the counts of single values over that of pure chance, 1 or more: Pearson's
    χ² over its degrees of freedom, each value around its own share, before and after apart."""
    found = [1.0]
    for stretch in ("before", "now"):
        chi, freedom = 0.0, 0
        for breakdown in breakdowns:
            for part in breakdown.parts:
                bins: Sequence[Bin] = getattr(part, stretch)
                squares, count = _pearson(bins)
                chi, freedom = chi + squares, freedom + count
        if freedom >= _MIN_FREEDOM:
            found.append(chi / freedom)
    return max(found)


def _pearson(bins: Sequence[Bin]) -> tuple[float, int]:
    """(χ², degrees of freedom) of bins around their common share."""
    bad, total = counted(bins)
    busy = [b for b in bins if b.total > 0]
    if not 0 < bad < total or len(busy) < 2:
        return 0.0, 0
    share = bad / total
    squares = sum((b.bad - b.total * share) ** 2 / b.total for b in busy)
    return squares / (share * (1 - share)), len(busy) - 1


def _summed(counts: Iterable[tuple[float, float]]) -> tuple[float, float]:
    bad = total = 0.0
    for b, t in counts:
        bad, total = bad + b, total + t
    return bad, total
