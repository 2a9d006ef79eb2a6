"""Whether a rule's threshold holds, at each moment at which its values were evaluated.

There are three answers: it holds, it does not, or that cannot be told. What cannot be told decides
nothing: `any` holds if one part surely does, `all` does not if one part surely does not, and
otherwise nobody knows (Kleene's three-valued logic). NaN compares false in PromQL; here it is no
number, so nothing is told by it. Infinity is one: a latency beyond the largest bucket is above.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from daemon.core.measurement.loss import scale
from daemon.core.measurement.problem import MONITORING_OUTAGE
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.rules.threshold_spec import Threshold, comparison_holds
from daemon.core.values.formats import number_text

TruthValue = bool | None
"""Whether a condition holds; None: that cannot be told."""


@dataclass(frozen=True)
class LeafSamples:
    """What the query of one leaf answered at each moment: a number, NaN, or None for nothing.

    `trouble`: why none of it is to be believed. `unseen`: nothing that the query selects had a
    sample in the whole look-back, and it answers all the same (`absent(…)`, `… or vector(0)`).
    Then it is believed where it holds, for that may be how an absence is told, and never where it
    does not: a selector with a typing error looks the same.
    """

    leaf: Threshold
    values: Sequence[float | None]
    trouble: Unmeasurable | None = None
    unseen: bool = False

    def number(self, index: int) -> float | None:
        """The number at that moment; None where there is none."""
        value = self.values[index]
        return None if value is None or math.isnan(value) else value

    def holds(self, index: int) -> TruthValue:
        """Whether the leaf holds at that moment."""
        number = self.number(index)
        if number is None or self.trouble is not None:
            return None
        held = comparison_holds(self.leaf, number)
        return None if self.unseen and not held else held

    def why_unreadable(self, index: int) -> Unmeasurable:
        """Why it cannot be told whether it holds at that moment."""
        if self.trouble is not None:
            return self.trouble
        value, query = self.values[index], self.leaf.value
        if value is None:
            return Unmeasurable("no_data", "empty_answer", f"{query} answers nothing now")
        if math.isnan(value):
            text = f"{query} answered {number_text(value)}, which is no number to compare"
            return Unmeasurable("query_error", "not_a_number", text)
        text = f"nothing that {query} selects had a sample in the look-back; look at the selector"
        return Unmeasurable("no_data", "empty_answer", text)


@dataclass(frozen=True)
class HeldSince:
    """When a condition that holds now began to: at `after` it did not yet, at `by` it did; Unix
    seconds. `after` is None where it was never seen not to hold."""

    after: float | None
    by: float


@dataclass(frozen=True)
class Judged:
    """A condition at one moment. `excess`: by how much it is passed, relative to its levels, never
    above zero where it does not hold; None where it has no amount (`equals`) or cannot be told."""

    holds: TruthValue
    excess: float | None


@dataclass(frozen=True)
class Evaluation:
    """A threshold evaluated over the look-back. `leaves` are in the order of the condition's own;
    `moments` (Unix seconds) oldest first, one for each of their values, at least one."""

    condition: Threshold
    leaves: Sequence[LeafSamples]
    moments: Sequence[float]

    @cached_property
    def judged(self) -> tuple[Judged, ...]:
        """The whole condition at each moment."""
        count = len(self.moments)
        return tuple(_judged(self.condition, iter(self.leaves), index) for index in range(count))

    @property
    def newest(self) -> TruthValue:
        """Whether it holds at the last moment."""
        return self.judged[-1].holds

    def within(self, width: timedelta, now: datetime) -> range:
        """The indexes of the moments of the last `width`; the last moment at least."""
        begin = now.timestamp() - width.total_seconds()
        count = sum(at > begin for at in self.moments)
        return range(len(self.moments) - max(count, 1), len(self.moments))

    def held(self, width: timedelta, now: datetime) -> tuple[int, int, int]:
        """(holds, does not, all) of the evaluations of the last `width`."""
        states = [self.judged[index].holds for index in self.within(width, now)]
        return states.count(True), states.count(False), len(states)

    def why_unreadable(self) -> Unmeasurable:
        """Why nobody can tell whether it holds at the last moment. A monitoring outage explains
        what is empty beside it."""
        why = [one.why_unreadable(-1) for one in self.leaves if one.holds(-1) is None]
        return next((trouble for trouble in why if trouble.reason in MONITORING_OUTAGE), why[0])

    def leading(self) -> int:
        """The leaf whose number stands for all: the first by which it holds at the last moment; if
        it does not hold, the first that can be read."""
        by = self.holding()
        readable = (number for number, one in enumerate(self.leaves) if one.holds(-1) is not None)
        return by[0] if by else next(readable, 0)

    def holding(self) -> tuple[int, ...]:
        """The leaves by which it holds at the last moment; empty if it does not."""
        return tuple(_holding(self.condition, self.leaves, 0))

    def held_since(self, width: timedelta) -> HeldSince:
        """When it began to hold for the last time; it must hold at the last moment. That it did
        not hold for less than `width` is no end: values waver about their thresholds. Nor is it
        a beginning where the first moments are all that is seen of it."""
        begin, last_false, first_false = len(self.moments) - 1, None, None
        for index in range(len(self.moments) - 1, -1, -1):
            state = self.judged[index].holds
            if state is False:
                last_false = index if last_false is None else last_false
                first_false = index
            elif state and first_false is not None:
                if self.moments[begin] - self.moments[first_false] >= width.total_seconds():
                    break
                begin, last_false, first_false = index, None, None
            elif state:
                begin = index
        after = None if last_false is None else self.moments[last_false]
        if first_false == 0 and self.moments[begin] - self.moments[0] < width.total_seconds():
            after = None
        return HeldSince(after, self.moments[begin])

    def before(self, moment: float) -> tuple[tuple[float, float], ...]:
        """(Unix seconds, number) of the leading leaf while the condition did not hold, oldest
        first: up to `moment`, and back to where it held before."""
        leaf, found = self.leaves[self.leading()], []
        for index in range(len(self.moments) - 1, -1, -1):
            if self.moments[index] > moment:
                continue
            if self.judged[index].holds:
                break
            number = leaf.number(index)
            if number is not None and math.isfinite(number):
                found.append((self.moments[index], number))
        return tuple(reversed(found))


def excess(leaf: Threshold, number: float) -> float | None:
    """By how much a leaf's bounds are passed, relative to each (a bound of zero counts as 1): of a
    band the lesser, below zero outside. None if the number is what it is to be equal to."""
    found: list[float] = []
    for name, bound in leaf.bounds:
        distance = (number - bound) / scale(bound)
        if name in {"above", "at_least"}:
            found.append(distance)
        elif name in {"below", "at_most"}:
            found.append(-distance)
        elif name == "differs_from":
            found.append(abs(distance))
        elif distance:
            found.append(-abs(distance))
    return min(found, default=None)


def _judged(condition: Threshold, leaves: Iterator[LeafSamples], index: int) -> Judged:
    if not condition.parts:
        one = next(leaves)
        holds, number = one.holds(index), one.number(index)
        return Judged(holds, None if holds is None or number is None else excess(one.leaf, number))
    parts = [_judged(part, leaves, index) for part in condition.parts]  # each takes its own leaves
    states = [part.holds for part in parts]
    decided = condition.either is not None
    unknown = None in states
    holds = decided if decided in states else None if unknown else not decided
    return Judged(holds, _joined_excess(condition, parts, holds))


def _joined_excess(
    condition: Threshold, parts: Sequence[Judged], holds: TruthValue
) -> float | None:
    """Of `all` the least, of `any` the greatest of those that hold."""
    if condition.either is None:
        return min((p.excess for p in parts if p.excess is not None), default=None)
    if holds:
        return max(p.excess or 0.0 for p in parts if p.holds)
    return max((p.excess for p in parts if p.excess is not None), default=None)


def _holding(condition: Threshold, leaves: Sequence[LeafSamples], first: int) -> Iterator[int]:
    """The numbers of the leaves by which it holds; `first` is that of its first leaf."""
    if not condition.parts:
        if leaves[first].holds(-1):
            yield first
        return
    found: list[list[int]] = []
    for part in condition.parts:
        found.append(list(_holding(part, leaves, first)))
        first += len(part.leaves())
    if condition.either is not None or all(found):
        yield from (number for numbers in found for number in numbers)
