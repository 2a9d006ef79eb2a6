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
from daemon.core.rules.promql_dialect.nodes import syntax_tree
from daemon.core.rules.query_templates import ABSENCE
from daemon.core.rules.threshold_spec import BOUNDS
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.shapes.condition import (
    BOUND_OF,
    FiringCondition,
    Leaf,
    joined,
    promql_number,
)
from daemon.onboarding.shapes.narrowing import (
    Relabel,
    SetGuard,
    Wrapping,
    alone,
    closed,
    held_to,
    narrows_safely,
    scalar,
)
from daemon.onboarding.shapes.syntax import (
    FLIPPED,
    LevelBound,
    bound_of,
    filters,
    grouping_text,
    is_bool,
    is_total,
    matching_text,
    retyped,
)

_OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
_SAME_SERIES = frozenset(
    {
        *("abs", "ceil", "floor", "round", "exp", "ln", "log2", "log10", "sqrt", "sgn"),
        *("sort", "sort_desc", "clamp", "clamp_min", "clamp_max", "timestamp"),
    }
)
"""Functions that have a series for each of their argument's."""
_EXTREME = {"max": ">", "min": "<"}
_RELABELLED = frozenset({"label_replace", "label_join"})
_MAY_NEVER_HAVE_BEEN = frozenset(
    {
        *("code", "status", "status_code", "grpc_code", "result", "outcome", "error"),
        *("reason", "phase", "state", "level", "severity"),
    }
)
"""Labels whose values have a series only while, or after, something was so."""
_OF_OBJECTS = ("kube_", "container_")
"""How the names of metrics begin that tell of Kubernetes's objects: theirs end with them."""
_DEEPEST = 8
NO_METRIC = "it looks at no metric"
"""Why an expression of numbers and times alone is not measured."""


class NoCondition(ValueError):
    """The expression cannot be told as a condition on measured numbers; the text says why."""


@dataclass(frozen=True)
class ConditionReader:
    """Reads the expressions of one alert; `recordings` are what its names may stand for, `nowhere`
    the labels that no series has, by which nothing is told apart."""

    recordings: RecordingRules
    nowhere: frozenset[str] = frozenset()

    @property
    def _trees(self) -> RecordedTrees:
        return self.recordings.trees

    def fires(
        self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...] = ()
    ) -> FiringCondition:
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
        if behind is not None and len(layers) < _DEEPEST and filters(behind[0]):
            return self.fires(behind[0], {**narrow, **behind[1]}, layers)
        return self.present(node, narrow, layers)

    def present(self, node: Any, narrow: Narrow, layers: Sequence[Wrapping] = ()) -> Leaf:
        """That the node has a series: how many it has. Raises ValueError."""
        _need_metric(node)
        return _many(held_to(node, layers, narrow), whole=filters(node))

    def _absent(self, node: Any, narrow: Narrow) -> Leaf:
        return _none(promql.spelled(node, narrow))

    # ── what has series ──────────────────────────────────────────────────────────────────────

    def _set(self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...]) -> FiringCondition:
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
        layers: tuple[Wrapping, ...],
        left: Callable[[Narrow, tuple[Wrapping, ...]], FiringCondition],
    ) -> FiringCondition:
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

    def _computed(self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...]) -> FiringCondition:
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

    def _aggregated(
        self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...]
    ) -> FiringCondition:
        """An aggregation has a series where what it aggregates has one."""
        inner = without_parens(node.expr)
        bound = bound_of(inner) if operator(inner) in COMPARISONS and not is_bool(inner) else None
        if bound is not None and _EXTREME.get(str(node.op)) == bound.op[0]:
            # max(x > 5) is max(x) > 5
            outside = syntax_tree(f"{node.op}{grouping_text(node)} ({promql.written(bound.value)})")
            return self._level(outside, bound.op, bound.level, narrow, layers)
        if str(node.op) in {"topk", "bottomk", "limitk", "limit_ratio", "count_values"} or layers:
            return self.present(node, narrow, layers)
        return self.fires(inner, promql.passed_on(node, narrow))

    def _called(self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...]) -> FiringCondition:
        name = function(node)
        if name in _SAME_SERIES and node.args:
            return self.fires(node.args[0], narrow, layers)
        if name in _RELABELLED:
            texts = [promql.written(argument) for argument in node.args[1:]]
            layer = Relabel(name, ", ".join(texts), str(node.args[1].val))
            return self.fires(node.args[0], narrow, (*layers, layer))
        if name in ABSENCE and not layers:
            return Leaf(f"max({promql.spelled(node)})", (("at_least", 1.0),), True, states=True)
        return self.present(node, narrow, layers)

    # ── what is compared ─────────────────────────────────────────────────────────────────────

    def _compared(self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...]) -> FiringCondition:
        op = operator(node)
        if is_bool(node):
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
        self, value: Any, op: str, level: float, narrow: Narrow, layers: tuple[Wrapping, ...]
    ) -> FiringCondition:
        value = without_parens(value)
        if not math.isfinite(level):
            raise NoCondition("its level is no finite number")
        inner = operator(value)
        if inner in COMPARISONS and is_bool(value):
            return self._truth(value, op, level, narrow, layers)
        if inner in COMPARISONS and (bound := bound_of(value)) is not None:
            both = (bound, LevelBound(bound.value, op, level))
            first, second = reversed(both) if _runs_out(value) and op[0] == "<" else both
            return self._band(first, second, narrow, layers)
        if inner in {"and", "unless"}:
            left = partial(self._level, value.lhs, op, level)
            return self._guarded(value, narrow, layers, left)
        return self._leaf(LevelBound(value, op, level), narrow, layers)

    def _leaf(self, bound: LevelBound, narrow: Narrow, layers: tuple[Wrapping, ...]) -> Leaf:
        node, name = bound.value, BOUND_OF[bound.op]
        _need_metric(node)
        if any(isinstance(layer, Relabel) for layer in layers):
            return self._relabelled(bound, narrow, layers)
        text = held_to(node, layers, narrow)
        one = alone(node, layers, narrow.keys() | self.nowhere, self._trees)
        level = bound.level
        if bound.op == "==" and not one:
            return _many(f"{closed(text)} == {promql_number(level)}")
        if bound.op == "!=" and not one:
            around = text if level == 0 else f"{closed(text)} - {promql_number(level)}"
            text, name, level = f"abs({around})", "above", 0.0
        query = (
            text
            if one and is_total(node) and not layers
            else f"{'min' if bound.op[0] == '<' else 'max'}({text})"
        )
        return Leaf(query, ((name, level),), bool(layers) or _may_be_empty(node, name))

    def _relabelled(self, bound: LevelBound, narrow: Narrow, layers: tuple[Wrapping, ...]) -> Leaf:
        """Series that are relabelled may get one name, and only those are that the alert has."""
        compared = syntax_tree(
            f"{closed(promql.written(bound.value))} {bound.op} {promql_number(bound.level)}"
        )
        text = held_to(compared, layers, narrow)
        if bound.op in {"==", "!="}:
            return _many(text)
        query = f"{'min' if bound.op[0] == '<' else 'max'}({text})"
        return Leaf(query, ((BOUND_OF[bound.op], bound.level),), may_be_empty=True)

    def _band(
        self, first: LevelBound, second: LevelBound, narrow: Narrow, layers: tuple[Wrapping, ...]
    ) -> FiringCondition:
        """Two bounds of one value; the first is what the alert is about."""
        if any(isinstance(layer, Relabel) for layer in layers):
            inner = (
                f"{closed(promql.written(first.value))} {second.op} {promql_number(second.level)}"
            )
            return self._relabelled(replace(first, value=syntax_tree(inner)), narrow, layers)
        lower = [bound for bound in (first, second) if bound.op[0] == ">"]
        upper = [bound for bound in (first, second) if bound.op[0] == "<"]
        one = alone(first.value, layers, narrow.keys() | self.nowhere, self._trees)
        if one and len(lower) == len(upper) == 1:
            leaf = self._leaf(first, narrow, layers)
            return replace(leaf, bounds=(*leaf.bounds, (BOUND_OF[second.op], second.level)))
        text = closed(held_to(first.value, layers, narrow))
        text = f"{text} {second.op} {promql_number(second.level)}"
        if first.op in {"==", "!="}:
            return _many(f"({text}) {first.op} {promql_number(first.level)}")
        query = f"{'min' if first.op[0] == '<' else 'max'}({text})"
        return Leaf(query, ((BOUND_OF[first.op], first.level),), may_be_empty=True)

    def _truth(
        self, compared: Any, op: str, level: float, narrow: Narrow, layers: tuple[Wrapping, ...]
    ) -> FiringCondition:
        """`(x > bool 5) == 1`: x above 5; `== 0`: it is not."""
        fires = [value for value in (0.0, 1.0) if BOUNDS[BOUND_OF[op]][0](value, level)]
        bound = bound_of(compared)
        if len(fires) != 1 or bound is None:
            return self._leaf(LevelBound(compared, op, level), narrow, layers)
        if fires == [0.0]:
            bound = replace(bound, op=_OPPOSITE[bound.op])
        return self._level(bound.value, bound.op, bound.level, narrow, layers)

    def _against_each_other(
        self, node: Any, narrow: Narrow, layers: tuple[Wrapping, ...]
    ) -> FiringCondition:
        """`x > y` of two metrics: how far x is above y."""
        op = operator(node)
        if any(isinstance(layer, Relabel) for layer in layers):
            return _many(held_to(node, layers, narrow))
        difference = retyped(node, "-")
        text = held_to(difference, layers, narrow)
        if op == "==":
            return _many(f"{closed(text)} == 0")
        empty = bool(layers) or filters(node.lhs) or filters(node.rhs)
        if op == "!=":
            return Leaf(f"max(abs({text}))", (("above", 0.0),), empty)
        text = f"{'min' if op[0] == '<' else 'max'}({text})"
        return Leaf(text, ((BOUND_OF[op], 0.0),), empty)


def _many(series: str, *, whole: bool = False) -> Leaf:
    """That there are such series."""
    return Leaf(f"count({series})", (("at_least", 1.0),), True, states=True, whole=whole)


def _none(series: str) -> Leaf:
    """That there are none. Here, 0 is what counts."""
    return Leaf(f"count({series}) or vector(0)", (("at_most", 0.0),), states=True)


def _guard(op: str, node: Any, right: Any, narrow: Narrow) -> SetGuard:
    pushed = {name: value for name, value in narrow.items() if narrows_safely(right, name)}
    return SetGuard(op, matching_text(node), promql.spelled(right, pushed))


def _runs_out(node: Any) -> bool:
    """Whether it is how much time is left: then `3 <= x < 20` is about the 20 days."""
    return any(
        operator(found) == "-" and function(without_parens(found.rhs)) == "time"
        for found in promql.every(node)
    )


def _need_metric(node: Any) -> None:
    if not any(isinstance(found, p.VectorSelector) for found in promql.every(node)):
        raise NoCondition(NO_METRIC)


def _may_be_empty(node: Any, bound: str) -> bool:
    """Whether there may be no series while all is well."""
    if filters(node):
        return True
    if bound not in {"above", "at_least"}:
        return False
    found = next((n for n in promql.every(node) if isinstance(n, p.VectorSelector)), None)
    if found is None:
        return False
    asked = {m.name for m in found.matchers.matchers}
    of_objects = str(found.name or "").startswith(_OF_OBJECTS)
    return of_objects or not _MAY_NEVER_HAVE_BEEN.isdisjoint(asked)
