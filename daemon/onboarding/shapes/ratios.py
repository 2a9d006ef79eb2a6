"""A share of events that fail, as the two counts that it is made of.

Counts tell more than their ratio: how sure it is, how many were hit, what carries it. They are
taken where they mean what the alert means: one ratio for the group, and failures that are a part
of the total, which the expression itself must show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.promql import (
    COMPARISONS,
    Narrow,
    constant,
    function,
    operator,
    without_parens,
)
from daemon.core.rules.query_templates import matcher_operator
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.shapes.narrowing import alone, keeps, narrows_safely

_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_RATES = frozenset({"rate", "irate", "increase"})
_NO_COUNT = re.compile(r"_(?:sum|seconds_total|bytes_total|nanoseconds_total|joules_total)$")
DEEPEST = 8
"""So many recording rules in one another are followed."""


@dataclass(frozen=True)
class Ratio:
    """Two counts, and the share of failures at which the alert fires."""

    bad: str
    total: str
    limit: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Bound:
    """`value op limit`, op one of > < >= <=."""

    value: Any
    op: str
    limit: float
    held: Narrow = field(default_factory=dict)

    def scaled(self, value: Any, factor: float) -> _Bound:
        """The same for `value`, which is this one's divided by `factor`."""
        turned = self.op if factor > 0 else _FLIPPED[self.op]
        return replace(self, value=value, op=turned, limit=self.limit / factor)


def ratio_of(
    tree: Any,
    narrow: Narrow,
    recordings: RecordingRules,
    nowhere: frozenset[str] = frozenset(),
) -> Ratio | None:
    """The two counts of an expression that compares their ratio with a number, and asks for
    nothing else; None for any other. `nowhere`: the labels that no series has."""
    bound = _bound(tree)
    if bound is None:
        return None
    if not alone(bound.value, (), narrow.keys() | nowhere, recordings.trees):
        return None
    if not all(
        keeps(bound.value, label) and narrows_safely(bound.value, label) for label in narrow
    ):
        return None
    found = _plain(bound, recordings)
    if operator(found.value) != "/":
        return None
    over, factor = _without_factor(found.value.lhs)
    low = (found.op in {"<", "<="}) != (factor < 0)
    threshold = found.limit / factor
    limit = round(1 - threshold if low else threshold, 9)
    if not 0 < limit < 1 or not _is_part(over, found.value.rhs, recordings):
        return None
    try:
        left, right = promql.sides(found.value, {**narrow, **found.held})
        part = _counted(over, left, recordings)
        total = _counted(found.value.rhs, right, recordings)
    except ValueError:
        return None
    if part is None or total is None or part == total:
        return None
    if not low:
        return Ratio(part, total, limit)
    # Without `vector(0)` nothing would be left when nothing succeeds any more.
    notes = ("`bad` is what is left of the total without the successes",)
    return Ratio(f"{total} - ({part} or vector(0))", total, limit, notes)


def _bound(tree: Any) -> _Bound | None:
    """The comparison with a constant that an expression is."""
    tree = without_parens(tree)
    while isinstance(tree, p.AggregateExpr) and str(tree.op) in {"max", "min"}:
        tree = without_parens(tree.expr)
    op = operator(tree)
    if op in COMPARISONS and tree.modifier is not None and tree.modifier.return_bool:
        return None
    left, right = (constant(tree.lhs), constant(tree.rhs)) if op in _FLIPPED else (None, None)
    if (left is None) == (right is None):
        return None
    if right is not None:
        return _Bound(without_parens(tree.lhs), op, right)
    return _Bound(without_parens(tree.rhs), _FLIPPED[op], left or 0.0)


def _plain(bound: _Bound, recordings: RecordingRules) -> _Bound:
    """Without factors, complements and recordings around the ratio: `100 * (1 - r) > 5` says
    `r < 0.95`."""
    depth = 0
    while depth < DEEPEST:
        value = without_parens(bound.value)
        behind = recordings.behind(value)
        if behind is not None:
            bound = replace(bound, value=behind[0], held={**bound.held, **behind[1]})
            depth += 1
            continue
        if isinstance(value, p.UnaryExpr):
            bound = bound.scaled(value.expr, -1)
            continue
        op = operator(value)
        left, right = (constant(value.lhs), constant(value.rhs)) if op else (None, None)
        if op == "*" and left:
            bound = bound.scaled(value.rhs, left)
        elif op in {"*", "/"} and right:
            bound = bound.scaled(value.lhs, right if op == "*" else 1 / right)
        elif op == "-" and left is not None:
            turned = replace(bound, value=value.rhs, op=_FLIPPED[bound.op])
            bound = replace(turned, limit=left - bound.limit)
        else:
            return replace(bound, value=value)
    return bound


def _without_factor(node: Any) -> tuple[Any, float]:
    """`100 * x` as x and 100: in `100 * x / y` the factor is the numerator's."""
    node = without_parens(node)
    if operator(node) == "*":
        left, right = constant(node.lhs), constant(node.rhs)
        if left:
            return node.rhs, left
        if right:
            return node.lhs, right
    return node, 1.0


def _counted(node: Any, narrow: Narrow, recordings: RecordingRules, depth: int = 0) -> str | None:
    """The events of the window, summed up, if the node is a rate of events; else None."""
    node = without_parens(node)
    behind = recordings.behind(node)
    if behind is not None:
        tree, held = behind
        deeper = depth < DEEPEST
        return _counted(tree, {**narrow, **held}, recordings, depth + 1) if deeper else None
    if isinstance(node, p.AggregateExpr):
        if str(node.op) != "sum":
            return None
        return _counted(node.expr, promql.passed_on(node, narrow), recordings, depth)
    if function(node) in _RATES and isinstance(node.args[0], p.MatrixSelector):
        counter = node.args[0].vector_selector
        if counter.offset or counter.at or _NO_COUNT.search(_name(counter)):
            return None
        return f"sum(increase({promql.windowed(node.args[0], narrow)}))"
    if operator(node) in {"+", "-"}:
        left, right = promql.sides(node, narrow)
        parts = (
            _counted(node.lhs, left, recordings, depth),
            _counted(node.rhs, right, recordings, depth),
        )
        return None if None in parts else f"({parts[0]} {operator(node)} {parts[1]})"
    if operator(node) == "or" and function(without_parens(node.rhs)) == "vector":
        inner = _counted(node.lhs, narrow, recordings, depth)
        return inner and f"({inner} or vector(0))"
    return None


# ── is it a part of the total? ───────────────────────────────────────────────────────────────


def _is_part(part: Any, total: Any, recordings: RecordingRules) -> bool:
    """Whether each counter of the one is among those of the other: the same metric, and nothing
    asked of it that is not asked of the part, too."""
    wholes = list(_counters(total, recordings))
    found = list(_counters(part, recordings))
    return bool(found) and all(any(one >= whole for whole in wholes) for one in found)


def _counters(node: Any, recordings: RecordingRules, depth: int = 0) -> Iterator[frozenset[Any]]:
    """What each counter under a node is selected by, its name included."""
    for found in promql.every(node):
        if not isinstance(found, p.VectorSelector):
            continue
        behind = recordings.behind(found)
        if behind is not None and depth < DEEPEST:
            yield from _counters(behind[0], recordings, depth + 1)
            continue
        asked = {(m.name, matcher_operator(m), m.value) for m in found.matchers.matchers}
        yield frozenset({*asked, ("__name__", "=", _name(found))})


def _name(selector: Any) -> str:
    return str(selector.name or promql.equalities(selector).get("__name__", ""))
