"""Conditions as a rule's `threshold` says them: one number with its bounds, or several joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from daemon.core.rules.threshold_spec import BOUNDS

BOUND_OF: Mapping[str, str] = {
    ">": "above",
    ">=": "at_least",
    "<": "below",
    "<=": "at_most",
    "==": "equals",
    "!=": "differs_from",
}
"""What PromQL's comparisons are called in a rule."""


@dataclass(frozen=True)
class Leaf:
    """One number: the query template that answers it, and its bounds as (name, level) each.

    `may_be_empty`: the query has no answer while nothing is wrong, so it gets one that is within
    no bound. `states`: it is no quantity of the service's, but how many series are in a state;
    `whole`: it is how many series a whole expression is true of."""

    asked: str
    bounds: tuple[tuple[str, float], ...]
    may_be_empty: bool = False
    states: bool = False
    whole: bool = False

    @property
    def query(self) -> str:
        """The query, with what it answers where there is nothing."""
        if not self.may_be_empty:
            return self.asked
        return f"{self.asked} or vector({promql_number(_harmless(*self.bounds[0]))})"

    @property
    def document(self) -> dict[str, Any]:
        """It, as an entry of `all` or `any`."""
        return {"value": self.query, **dict(self.bounds)}


@dataclass(frozen=True)
class Joined:
    """Conditions of which `all` must hold, or `any`."""

    how: Literal["all", "any"]
    parts: tuple[FiringCondition, ...]

    @property
    def document(self) -> dict[str, Any]:
        """It, as the rule writes it."""
        return {self.how: [part.document for part in self.parts]}


FiringCondition = Leaf | Joined


def joined(how: Literal["all", "any"], *parts: FiringCondition) -> FiringCondition:
    """The parts joined, each once; what is joined in the same way already is taken apart."""
    flat: dict[FiringCondition, None] = {}
    for part in parts:
        same = isinstance(part, Joined) and part.how == how
        flat |= dict.fromkeys(part.parts if same else (part,))  # type: ignore[union-attr]
    found = tuple(flat)
    return found[0] if len(found) == 1 else Joined(how, found)


def leaves(condition: FiringCondition) -> Iterator[Leaf]:
    """Its leaves, in the order in which they are written."""
    if isinstance(condition, Leaf):
        yield condition
        return
    for part in condition.parts:
        yield from leaves(part)


def _harmless(bound: str, level: float) -> float:
    """A number that is not within the bound: 0 if that is not, else the next plain one."""
    near = (0.0, level, level + 1, level - 1)
    return next(number for number in near if not BOUNDS[bound][0](number, level))


def promql_number(value: float) -> str:
    """A number as PromQL reads it, to the last digit."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)


def weakest(conditions: Sequence[FiringCondition]) -> tuple[Leaf, tuple[float, ...]] | None:
    """Of conditions that differ in their level alone, the one that holds whenever any of them
    does, and by which share its level is passed where each of them holds; None of any others."""
    found = [condition for condition in conditions if isinstance(condition, Leaf)]
    same = {(leaf.asked, tuple(name for name, _ in leaf.bounds)) for leaf in found}
    if not found or len(found) < len(conditions) or len(same) > 1:
        return None
    (name, _), *others = found[0].bounds
    if others or name in {"equals", "differs_from"}:
        return (found[0], (0.0,)) if len(found) == 1 else None
    upward = name in {"above", "at_least"}
    levels = [leaf.bounds[0][1] for leaf in found]
    least = min(levels) if upward else max(levels)
    unit = abs(least) or 1.0
    return found[levels.index(least)], tuple(abs(level - least) / unit for level in levels)
