"""From an alert's expression to the condition under which it fires for one group of labels.

An alert fires while its expression has a series. `value > x` has one while the greatest value is
above `x`, so that is measured, with the alert's own level and side. What else the expression asks
for (`and`, `unless`) is a condition of its own where it is the same for all of the group's series,
and else stands inside the query: then the greatest is sought among those series alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.promql import (
    COMPARISONS,
    SETS,
    Narrow,
    RecordedTrees,
    constant,
    function,
    operator,
    without_parens,
)
from daemon.core.rules.query_templates import matcher_operator
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.shapes.condition import (
    BOUND_OF,
    Condition,
    Leaf,
    holds_beside,
    joined,
    number_text,
)
from daemon.onboarding.shapes.narrowing import (
    Guard,
    Layer,
    Relabel,
    alone,
    closed,
    held,
    safe,
    scalar,
)

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
_SAME_SERIES = frozenset(
    {
        *("abs", "ceil", "floor", "round", "exp", "ln", "log2", "log10", "sqrt", "sgn"),
        *("sort", "sort_desc", "clamp", "clamp_min", "clamp_max", "timestamp"),
    }
)
"""Functions that have a series for each of their argument's."""
_EXTREME = {"max": ">", "min": "<"}
_ABSENCE = frozenset({"absent", "absent_over_time"})
_RELABELLED = frozenset({"label_replace", "label_join"})
_MAY_NEVER_HAVE_BEEN = frozenset(
    {
        *("code", "status", "status_code", "grpc_code", "result", "outcome", "error"),
        *("reason", "phase", "state", "level", "severity"),
    }
)
"""Labels whose values have a series only while, or after, something was so."""
_DEEPEST = 8
NO_METRIC = "it looks at no metric"
"""Why an expression of numbers and times alone is not measured."""


class NoCondition(ValueError):
    """The expression cannot be told as a condition on measured numbers; the text says why."""


@dataclass(frozen=True)
class Reader:
    """Reads the expressions of one alert; `recordings` are what its names may stand for, `nowhere`
    the labels that no series has, by which nothing is told apart."""

    recordings: RecordingRules
    nowhere: frozenset[str] = frozenset()

    @property
    def _trees(self) -> RecordedTrees:
        return self.recordings.trees

    def fires(self, node: Any, narrow: Narrow, layers: tuple[Layer, ...] = ()) -> Condition:
        """The condition under which the node has a series with these labels.

        `layers` are what stands around it, the outermost first. Raises ValueError.
        """
        node = without_parens(node)
        op = operator(node)
        if op in SETS:
            return self._set(node, narrow, layers)
        if op in COMPARISONS:
            return self._compared(node, narrow, layers)
        if op:
            return self._computed(node, narrow, layers)
        if isinstance(node, p.UnaryExpr):
            return self.fires(node.expr, narrow, layers)
        if isinstance(node, p.AggregateExpr):
            return self._aggregated(node, narrow, layers)
        if isinstance(node, p.Call):
            return self._called(node, narrow, layers)
        behind = self.recordings.behind(node)
        if behind is not None and len(layers) < _DEEPEST and _filters(behind[0]):
            return self.fires(behind[0], {**narrow, **behind[1]}, layers)
        return self.present(node, narrow, layers)

    def present(self, node: Any, narrow: Narrow, layers: Sequence[Layer] = ()) -> Leaf:
        """That the node has a series: how many it has. Raises ValueError."""
        _need_metric(node)
        return _many(held(node, layers, narrow), whole=_filters(node))

    def _absent(self, node: Any, narrow: Narrow) -> Leaf:
        return _none(promql.spelled(node, narrow))

    # ── what has series ──────────────────────────────────────────────────────────────────────

    def _set(self, node: Any, narrow: Narrow, layers: tuple[Layer, ...]) -> Condition:
        op = operator(node)
        if op == "or":
            if layers and node.modifier is not None and node.modifier.matching is not None:
                return self.present(node, narrow, layers)
            return joined(
                "any",
                self.fires(node.lhs, narrow, layers),
                self.fires(node.rhs, narrow, layers),
            )
        return self._guarded(node, narrow, layers, partial(self.fires, node.lhs))

    def _guarded(
        self,
        node: Any,
        narrow: Narrow,
        layers: tuple[Layer, ...],
        left: Callable[[Narrow, tuple[Layer, ...]], Condition],
    ) -> Condition:
        """`and`/`unless`, with how its left side is read."""
        op, right = operator(node), promql.sides(node, narrow)[1]
        if not layers and self._same_for_all(node, narrow):
            wanted = self.fires if op == "and" else self._absent
            return joined("all", left(narrow, ()), wanted(node.rhs, right))
        return left(narrow, (*layers, _guard(op, node, node.rhs, right)))

    def _same_for_all(self, node: Any, narrow: Narrow) -> bool:
        """Whether what stands to the right is the same for all of the group's series."""
        if not any(isinstance(found, p.VectorSelector) for found in promql.every(node.rhs)):
            return False
        matching = node.modifier.matching if node.modifier is not None else None
        told = narrow.keys() | self.nowhere
        if matching is not None and matching.type == p.LabelModifierType.Include:
            return set(matching.labels) <= told
        kept = [promql.retained_labels(side, self._trees) for side in (node.lhs, node.rhs)]
        ignored = set() if matching is None else set(matching.labels)
        matched = [None if labels is None else set(labels) - ignored for labels in kept]
        return matched[0] is not None and matched[0] == matched[1] and matched[0] <= told

    def _computed(self, node: Any, narrow: Narrow, layers: tuple[Layer, ...]) -> Condition:
        """Arithmetic alone: it has a series where both sides have one."""
        if scalar(node.rhs):
            return self.fires(node.lhs, narrow, layers)
        if scalar(node.lhs):
            return self.fires(node.rhs, narrow, layers)
        modifier = node.modifier
        of_right = modifier is not None and modifier.card == p.VectorMatchCardinality.OneToMany
        many, one = (node.rhs, node.lhs) if of_right else (node.lhs, node.rhs)
        left, right = promql.sides(node, narrow)
        held_many, held_one = (right, left) if of_right else (left, right)
        if layers or narrow.keys() - held_many.keys() - held_one.keys():
            return self.present(node, narrow, layers)
        return self.fires(many, held_many, (*layers, _guard("and", node, one, held_one)))

    def _aggregated(self, node: Any, narrow: Narrow, layers: tuple[Layer, ...]) -> Condition:
        """An aggregation has a series where what it aggregates has one."""
        inner = without_parens(node.expr)
        bound = _bound(inner) if operator(inner) in COMPARISONS and not _is_bool(inner) else None
        if bound is not None and _EXTREME.get(str(node.op)) == bound.op[0]:
            # max(x > 5) is max(x) > 5
            outside = p.parse(f"{node.op}{_by(node)} ({promql.written(bound.value)})")
            return self._level(outside, bound.op, bound.level, narrow, layers)
        if str(node.op) in {"topk", "bottomk", "limitk", "limit_ratio", "count_values"} or layers:
            return self.present(node, narrow, layers)
        return self.fires(inner, promql.passed_on(node, narrow))

    def _called(self, node: Any, narrow: Narrow, layers: tuple[Layer, ...]) -> Condition:
        name = function(node)
        if name in _SAME_SERIES and node.args:
            return self.fires(node.args[0], narrow, layers)
        if name in _RELABELLED:
            texts = [promql.written(argument) for argument in node.args[1:]]
            layer = Relabel(name, ", ".join(texts), str(node.args[1].val))
            return self.fires(node.args[0], narrow, (*layers, layer))
        if name in _ABSENCE and not layers:
            return Leaf(f"max({promql.spelled(node)})", (("at_least", 1.0),), True, states=True)
        return self.present(node, narrow, layers)

    # ── what is compared ─────────────────────────────────────────────────────────────────────

    def _compared(self, node: Any, narrow: Narrow, layers: tuple[Layer, ...]) -> Condition:
        op = operator(node)
        if _is_bool(node):
            return self.present(node, narrow, layers)  # 0 is a series, too
        left, right = constant(node.lhs), constant(node.rhs)
        if left is not None and right is not None:
            raise NoCondition("it compares two numbers")
        if right is not None:
            return self._level(node.lhs, op, right, narrow, layers)
        if left is not None:
            return self._level(node.rhs, FLIPPED[op], left, narrow, layers)
        return self._against_each_other(node, narrow, layers)

    def _level(
        self, value: Any, op: str, level: float, narrow: Narrow, layers: tuple[Layer, ...]
    ) -> Condition:
        value = without_parens(value)
        if not math.isfinite(level):
            raise NoCondition("its level is no finite number")
        inner = operator(value)
        if inner in COMPARISONS and _is_bool(value):
            return self._truth(value, op, level, narrow, layers)
        if inner in COMPARISONS and (bound := _bound(value)) is not None:
            return self._band(bound, _Bound(bound.value, op, level), narrow, layers)
        if inner in {"and", "unless"}:
            left = partial(self._level, value.lhs, op, level)
            return self._guarded(value, narrow, layers, left)
        return self._leaf(_Bound(value, op, level), narrow, layers)

    def _leaf(self, bound: _Bound, narrow: Narrow, layers: tuple[Layer, ...]) -> Leaf:
        node, name = bound.value, BOUND_OF[bound.op]
        _need_metric(node)
        if any(isinstance(layer, Relabel) for layer in layers):
            return self._relabelled(bound, narrow, layers)
        text = held(node, layers, narrow)
        one = alone(node, layers, narrow.keys() | self.nowhere, self._trees)
        level = bound.level
        if bound.op == "==" and not one:
            return _many(f"{closed(text)} == {number_text(level)}")
        if bound.op == "!=" and not one:
            around = text if level == 0 else f"{closed(text)} - {number_text(level)}"
            text, name, level = f"abs({around})", "above", 0.0
        query = (
            text
            if one and _is_total(node) and not layers
            else f"{'min' if bound.op[0] == '<' else 'max'}({text})"
        )
        return Leaf(query, ((name, level),), bool(layers) or _may_be_empty(node, name))

    def _relabelled(self, bound: _Bound, narrow: Narrow, layers: tuple[Layer, ...]) -> Leaf:
        """Series that are relabelled may get one name, and only those are that the alert has."""
        compared = p.parse(
            f"{closed(promql.written(bound.value))} {bound.op} {number_text(bound.level)}"
        )
        text = held(compared, layers, narrow)
        if bound.op in {"==", "!="}:
            return _many(text)
        query = f"{'min' if bound.op[0] == '<' else 'max'}({text})"
        return Leaf(query, ((BOUND_OF[bound.op], bound.level),), may_be_empty=True)

    def _band(
        self, first: _Bound, second: _Bound, narrow: Narrow, layers: tuple[Layer, ...]
    ) -> Condition:
        """Two bounds of one value; the first is what the alert is about."""
        if any(isinstance(layer, Relabel) for layer in layers):
            inner = f"{closed(promql.written(first.value))} {second.op} {number_text(second.level)}"
            return self._relabelled(replace(first, value=p.parse(inner)), narrow, layers)
        lower = [bound for bound in (first, second) if bound.op[0] == ">"]
        upper = [bound for bound in (first, second) if bound.op[0] == "<"]
        one = alone(first.value, layers, narrow.keys() | self.nowhere, self._trees)
        if one and len(lower) == len(upper) == 1:
            leaf = self._leaf(first, narrow, layers)
            return replace(leaf, bounds=(*leaf.bounds, (BOUND_OF[second.op], second.level)))
        text = closed(held(first.value, layers, narrow))
        text = f"{text} {second.op} {number_text(second.level)}"
        if first.op in {"==", "!="}:
            return _many(f"({text}) {first.op} {number_text(first.level)}")
        query = f"{'min' if first.op[0] == '<' else 'max'}({text})"
        return Leaf(query, ((BOUND_OF[first.op], first.level),), may_be_empty=True)

    def _truth(
        self, compared: Any, op: str, level: float, narrow: Narrow, layers: tuple[Layer, ...]
    ) -> Condition:
        """`(x > bool 5) == 1`: x above 5; `== 0`: it is not."""
        fires = [value for value in (0.0, 1.0) if holds_beside(BOUND_OF[op], value, level)]
        bound = _bound(compared)
        if len(fires) != 1 or bound is None:
            return self._leaf(_Bound(compared, op, level), narrow, layers)
        if fires == [0.0]:
            bound = replace(bound, op=_OPPOSITE[bound.op])
        return self._level(bound.value, bound.op, bound.level, narrow, layers)

    def _against_each_other(
        self, node: Any, narrow: Narrow, layers: tuple[Layer, ...]
    ) -> Condition:
        """`x > y` of two metrics: how far x is above y."""
        op = operator(node)
        if any(isinstance(layer, Relabel) for layer in layers):
            return _many(held(node, layers, narrow))
        difference = _retyped(node, "-")
        text = held(difference, layers, narrow)
        if op == "==":
            return _many(f"{closed(text)} == 0")
        empty = bool(layers) or _filters(node.lhs) or _filters(node.rhs)
        if op == "!=":
            return Leaf(f"max(abs({text}))", (("above", 0.0),), empty)
        text = f"{'min' if op[0] == '<' else 'max'}({text})"
        return Leaf(text, ((BOUND_OF[op], 0.0),), empty)


@dataclass(frozen=True)
class _Bound:
    """`value op level`."""

    value: Any
    op: str
    level: float


def _many(series: str, *, whole: bool = False) -> Leaf:
    """That there are such series."""
    return Leaf(f"count({series})", (("at_least", 1.0),), True, states=True, whole=whole)


def _none(series: str) -> Leaf:
    """That there are none. Here, 0 is what counts."""
    return Leaf(f"count({series}) or vector(0)", (("at_most", 0.0),), states=True)


def _bound(node: Any) -> _Bound | None:
    left, right = constant(node.lhs), constant(node.rhs)
    if right is not None and left is None:
        return _Bound(without_parens(node.lhs), operator(node), right)
    if left is not None and right is None:
        return _Bound(without_parens(node.rhs), FLIPPED[operator(node)], left)
    return None


def _guard(op: str, node: Any, right: Any, narrow: Narrow) -> Guard:
    held_to = {name: value for name, value in narrow.items() if safe(right, name)}
    return Guard(op, _matching(node), promql.spelled(right, held_to))


def _need_metric(node: Any) -> None:
    if not any(isinstance(found, p.VectorSelector) for found in promql.every(node)):
        raise NoCondition(NO_METRIC)


def _is_total(node: Any) -> bool:
    """Whether it has one series, without labels, whatever it aggregates."""
    node = without_parens(node)
    return (
        isinstance(node, p.AggregateExpr)
        and node.modifier is None
        and promql.retained_labels(node) == ()
    )


def _is_bool(node: Any) -> bool:
    return node.modifier is not None and bool(node.modifier.return_bool)


def _matching(node: Any) -> str:
    """The labels that the two sides must share, as it is written before the right one."""
    matching = node.modifier.matching if node.modifier is not None else None
    if matching is None:
        return ""
    include = matching.type == p.LabelModifierType.Include
    return f" {'on' if include else 'ignoring'} ({', '.join(matching.labels)})"


def _by(node: Any) -> str:
    """The labels of an aggregation, as they are written before what it aggregates."""
    if node.modifier is None:
        return ""
    by = node.modifier.type == p.AggModifierType.By
    return f" {'by' if by else 'without'} ({', '.join(node.modifier.labels)})"


def _retyped(node: Any, op: str) -> Any:
    """The same with another operator."""
    left, right = (closed(promql.written(without_parens(side))) for side in (node.lhs, node.rhs))
    modifier = node.modifier
    text = _matching(node)
    if modifier is not None and modifier.card != p.VectorMatchCardinality.OneToOne:
        to_left = modifier.card == p.VectorMatchCardinality.ManyToOne
        group = "group_left" if to_left else "group_right"
        text += f" {group} ({', '.join(modifier.group_labels or ())})"
    return p.parse(f"{left} {op}{text} {right}")


def _filters(node: Any) -> bool:
    """Whether it may have no series although what it looks at has some."""
    return any(
        (operator(found) in COMPARISONS and not _is_bool(found))
        or operator(found) in {"and", "unless"}
        or function(found) in {"absent", "absent_over_time"}
        for found in promql.every(node)
    )


def _may_be_empty(node: Any, bound: str) -> bool:
    """Whether there may be no series while all is well."""
    if _filters(node):
        return True
    if bound not in {"above", "at_least"}:
        return False
    found = next((n for n in promql.every(node) if isinstance(n, p.VectorSelector)), None)
    matchers = [] if found is None else found.matchers.matchers
    named = {m.name for m in matchers if matcher_operator(m) in {"=", "=~"}}
    return bool(named & _MAY_NEVER_HAVE_BEEN)
