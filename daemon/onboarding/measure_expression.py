"""From an alert's expression to a problem that can be measured.

`sum(rate(bad)) / sum(rate(total)) > x`, in whatever spelling, becomes two counts; `value > x`
becomes a value; of any other expression the series are counted for which it holds. What cannot
be read at all is counted by Prometheus's own series `ALERTS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.label_names import reference
from daemon.core.rules.promql import (
    COMPARISONS,
    Narrow,
    constant,
    function,
    operator,
    without_parens,
)
from daemon.core.rules.query_templates import quote
from daemon.onboarding.recording_rules import RecordingRules

MeasureKind = Literal["counts", "value", "condition", "unreadable"]

_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_RATES = frozenset({"rate", "irate", "increase"})
_NO_COUNT = re.compile(r"_(?:sum|seconds_total|bytes_total|nanoseconds_total|joules_total)$")
DEEPEST = 8
"""So many recording rules in one another are followed."""


@dataclass(frozen=True)
class MeasureDraft:
    """How an alert's problem is measured. `limit` is the alert's own threshold: for counts a
    share that fails, for a value in its unit. `notes` say what a person should know."""

    kind: MeasureKind
    queries: Mapping[str, str]
    direction: Literal["lower_is_better", "higher_is_better"] = "lower_is_better"
    limit: float | None = None
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


def selector_labels(query: str, recordings: RecordingRules) -> tuple[str, ...] | None:
    """The labels that an alert with this expression has; None if that cannot be told from it."""
    try:
        labels = promql.retained_labels(promql.parsed(query), recordings.trees)
    except ValueError:
        return None
    return None if labels is None else tuple(name for name in labels if name != "le")


def ranges_of(query: str) -> list[timedelta]:
    """The ranges of its range selectors, the shortest first."""
    try:
        tree = promql.parsed(query)
    except ValueError:
        return []
    return sorted(n.range for n in promql.every(tree) if isinstance(n, p.MatrixSelector))


def measure(
    name: str, query: str, group_by: Collection[str], recordings: RecordingRules
) -> MeasureDraft:
    """How to measure what this alert is about, best way first."""
    narrow = {label: reference(label) for label in group_by}
    try:
        tree = promql.parsed(query)
    except ValueError:
        return unreadable(name)
    bounds = _bounds(tree)
    for found, left_out in bounds:
        counts = _counts(found, narrow, recordings)
        if counts is not None:
            return _noting(counts, left_out)
    for found, left_out in bounds:
        value = _value(found, narrow)
        if value is not None:
            return _noting(value, left_out)
    try:
        return _condition(tree, narrow)
    except ValueError:
        return unreadable(name)


def unreadable(name: str) -> MeasureDraft:
    """By Prometheus's own record of what fires."""
    if "$" in name:
        matcher = f"alertname=~{quote(re.sub(r'([^A-Za-z0-9_])', _in_class, name))}"
    else:
        matcher = f"alertname={quote(name)}"
    query = f'count(ALERTS{{{matcher},alertstate="firing"}}) or vector(0)'
    note = "the expression could not be read here, so this counts the firing alerts themselves"
    return MeasureDraft("unreadable", {"value": query}, notes=(note,))


def _in_class(match: re.Match[str]) -> str:
    found = match[1]
    return rf"\{found}" if found in r"\^]-[" else f"[{found}]"


# ── the comparison ───────────────────────────────────────────────────────────────────────────


def _bounds(tree: Any) -> list[tuple[_Bound, tuple[str, ...]]]:
    """The comparisons with a constant, and what else the alert asks for beside each."""
    tree = without_parens(tree)
    op = operator(tree)
    if isinstance(tree, p.AggregateExpr) and str(tree.op) in {"max", "min"}:
        return _bounds(tree.expr)
    if op in {"and", "or"}:
        sides = (tree.lhs, tree.rhs)
        found = []
        for side, other in (sides, sides[::-1]):
            operator_text = "and" if op == "and" else "or"
            note = f"left out: {operator_text} {promql.written(without_parens(other))}"
            found += [(bound, (*notes, note)) for bound, notes in _bounds(side)]
        return found
    if op == "unless":
        note = f"left out: unless {promql.written(without_parens(tree.rhs))}"
        return [(bound, (*notes, note)) for bound, notes in _bounds(tree.lhs)]
    if op not in COMPARISONS:
        return []
    left, right = constant(tree.lhs), constant(tree.rhs)
    if op not in _FLIPPED or (left is not None and right is not None):
        return []
    if left is not None:
        return [(_Bound(tree.rhs, _FLIPPED[op], left), ())]
    if right is not None:
        inner = without_parens(tree.lhs)
        if operator(inner) in COMPARISONS and not _is_bool(inner):
            left_out = f"left out: {promql.written(inner)}"
            return [
                (replace(bound, op=op, limit=right), (*notes, left_out))
                for bound, notes in _bounds(inner)
            ]
        return [(_Bound(tree.lhs, op, right), ())]
    return []


def _is_bool(node: Any) -> bool:
    return node.modifier is not None and bool(node.modifier.return_bool)


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


# ── two counts ───────────────────────────────────────────────────────────────────────────────


def _counts(bound: _Bound, narrow: Narrow, recordings: RecordingRules) -> MeasureDraft | None:
    found = _plain(bound, recordings)
    if operator(found.value) != "/":
        return None
    over, factor = _without_factor(found.value.lhs)
    low = (found.op in {"<", "<="}) != (factor < 0)
    threshold = found.limit / factor
    limit = round(1 - threshold if low else threshold, 9)
    if not 0 < limit < 1:
        return None
    try:
        left, right = promql.sides(found.value, {**narrow, **found.held})
        part = _counted(over, left, recordings)
        total = _counted(found.value.rhs, right, recordings)
    except ValueError:
        return None
    if part is None or total is None or part == total:
        return None
    notes: tuple[str, ...] = ()
    if low:
        # Without `vector(0)` nothing would be left when nothing succeeds any more.
        bad = f"{total} - ({part} or vector(0))"
        notes = ("`bad` is what is left of the total without the successes",)
    else:
        bad = part
    return MeasureDraft("counts", {"bad": bad, "total": total}, limit=limit, notes=notes)


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
        name = str(counter.name or promql.equalities(counter).get("__name__", ""))
        if _NO_COUNT.search(name):
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


# ── one value ────────────────────────────────────────────────────────────────────────────────


def _value(bound: _Bound, narrow: Narrow) -> MeasureDraft | None:
    if not bound.limit or not math.isfinite(bound.limit):
        return None  # how far from nothing is far, nobody can say
    node = without_parens(bound.value)
    if operator(node) in COMPARISONS:
        return None
    low = bound.op in {"<", "<="}
    try:
        inner = promql.spelled(node, narrow)
    except ValueError:
        return None
    alone = (
        isinstance(node, p.AggregateExpr)
        and node.modifier is None
        and promql.retained_labels(node) == ()
    )
    query = inner if alone else f"{'min' if low else 'max'}({inner})"
    return MeasureDraft(
        "value",
        {"value": query},
        direction="higher_is_better" if low else "lower_is_better",
        limit=bound.limit,
    )


def _condition(tree: Any, narrow: Narrow) -> MeasureDraft:
    query = f"count({promql.spelled(tree, narrow)}) or vector(0)"
    note = "no measured quantity could be derived, so this counts the series for which it holds"
    if not any(isinstance(node, p.VectorSelector) for node in promql.every(tree)):
        note = (
            "this alert looks at no metric and fires always (a dead man's switch): "
            "route it past Stopgap, and delete this file"
        )
    return MeasureDraft("condition", {"value": query}, notes=(f"{note}: it calls people, no more",))


def _noting(found: MeasureDraft, notes: tuple[str, ...]) -> MeasureDraft:
    return replace(found, notes=(*found.notes, *notes))
