"""Holding an expression to the labels of one group, so that its answer is that group's alone.

Where the labels come from the series, the selectors are held to them. Where they are made on the
way (`label_replace`), or where fewer series would change the answer (`topk`), the answer is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.label_names import label_text
from daemon.core.rules.promql import (
    Narrow,
    RecordedTrees,
    constant,
    function,
    operator,
    without_parens,
)
from daemon.core.rules.promql_dialect.nodes import syntax_tree
from daemon.core.rules.query_templates import quote

_CHOOSES = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_SPLITS = frozenset({"count_values"})
_MADE = frozenset({"label_replace", "label_join"})
_NO_LABELS = frozenset({"vector", "scalar", "time"})
_LAST = ("histogram_quantile", "histogram_fraction", "quantile_over_time")


@dataclass(frozen=True)
class SetGuard:
    """`and`/`unless` with its matching (" on (a)") and a template of what stands to its right."""

    op: str
    matching: str
    right: str


@dataclass(frozen=True)
class Relabel:
    """`label_replace` or `label_join` around an expression; `made` is the label that it writes."""

    call: str
    arguments: str
    made: str


Wrapping = SetGuard | Relabel


def held_to(node: Any, layers: Sequence[Wrapping], narrow: Narrow) -> str:
    """The template of the node within its layers (the outermost first), held to the labels.

    Raises ValueError as `promql.spelled` does.
    """
    made = {layer.made for layer in layers if isinstance(layer, Relabel)}
    pushed = {n: v for n, v in narrow.items() if n not in made and narrows_safely(node, n)}
    text = promql.spelled(node, pushed)
    for layer in reversed(layers):
        if isinstance(layer, Relabel):
            text = f"{layer.call}({text}, {layer.arguments})"
        else:
            text = f"{closed(text)} {layer.op}{layer.matching} {closed(layer.right)}"
    left = [n for n in narrow if n not in pushed or not keeps(node, n)]
    return f"{closed(text)} {_only(left, narrow)}" if left else text


def closed(text: str) -> str:
    """A template in parentheses, unless it is a call, a selector or a number."""
    open_ended = isinstance(syntax_tree(text), p.BinaryExpr | p.UnaryExpr)
    return f"({text})" if open_ended else text


def _only(labels: Sequence[str], narrow: Narrow) -> str:
    """What takes out of an answer the series with other values of these labels."""
    one = "vector(1)"
    for name in labels:
        one = f'label_replace({one}, {quote(name)}, "{narrow[name]}", "", "")'
    return f"and on ({', '.join(map(label_text, labels))}) {one}"


def narrows_safely(node: Any, label: str) -> bool:
    """Whether fewer series, those with the label's value, leave the answers that have it as they
    are: not where the greatest of all are chosen."""
    for found in promql.every(node):
        if isinstance(found, p.AggregateExpr) and str(found.op) in _CHOOSES:
            by = found.modifier
            if by is None or by.type != p.AggModifierType.By or label not in by.labels:
                return False
    return True


def keeps(node: Any, label: str) -> bool:
    """Whether the answer has the label's value alone once the selectors are held to it."""
    node = without_parens(node)
    if isinstance(node, p.AggregateExpr):
        return _kept_by_aggregation(node, label)
    if isinstance(node, p.BinaryExpr):
        return _kept_by_binary(node, label)
    if isinstance(node, p.Call):
        name = function(node)
        if name in {"absent", "absent_over_time"}:
            return True  # it has what its selector asks for
        if name in _NO_LABELS or not node.args:
            return False
        if name in _MADE and str(node.args[1].val) == label:
            return False
        return keeps(node.args[-1] if name in _LAST else node.args[0], label)
    if isinstance(node, p.VectorSelector):
        return True
    inner = getattr(node, "vector_selector", None) or getattr(node, "expr", None)
    return inner is not None and keeps(inner, label)


def can_have(node: Any, label: str) -> bool:
    """Whether the answer may have the label: neither is it dropped on the way, nor, if it is, made
    anew."""
    made = (
        str(found.args[1].val)
        for found in promql.every(node)
        if function(found) in _MADE and isinstance(found.args[1], p.StringLiteral)
    )
    return keeps(node, label) or label in made


def _kept_by_aggregation(node: Any, label: str) -> bool:
    if str(node.op) in _CHOOSES:
        return keeps(node.expr, label)
    if node.modifier is None:
        return False
    inside = node.modifier.type == p.AggModifierType.By
    return (label in node.modifier.labels) == inside and keeps(node.expr, label)


def _kept_by_binary(node: Any, label: str) -> bool:
    op = operator(node)
    if scalar(node.lhs) or scalar(node.rhs):
        return keeps(node.rhs if scalar(node.lhs) else node.lhs, label)
    left, right = promql.sides(node, {label: ""})
    of_left = bool(left) and keeps(node.lhs, label)
    if op in {"and", "unless"}:
        return keeps(node.lhs, label)
    if op == "or":
        return of_left and keeps(node.rhs, label)
    if not left and not right:
        return False
    return of_left or (bool(right) and keeps(node.rhs, label))


def scalar(node: Any) -> bool:
    """Whether an expression is a number and no vector."""
    node = without_parens(node)
    if isinstance(node, p.BinaryExpr):
        return scalar(node.lhs) and scalar(node.rhs)
    return constant(node) is not None or function(node) in {"scalar", "time", "pi"}


def alone(
    node: Any, layers: Sequence[Wrapping], labels: Collection[str], recorded: RecordedTrees
) -> bool:
    """Whether the answer has one series at most once it is held to these labels."""
    node = without_parens(node)
    if any(isinstance(layer, Relabel) for layer in layers):
        return False
    aggregated = isinstance(node, p.AggregateExpr) and str(node.op) not in {*_CHOOSES, *_SPLITS}
    if not aggregated and any(map(_several, promql.every(node))):
        return False
    retained = promql.retained_labels(node, recorded)
    return retained is not None and set(retained) <= set(labels)


def labels_named(node: Any) -> frozenset[str]:
    """The labels that aggregations and matchings of an expression name."""
    found: set[str] = set()
    for one in promql.every(node):
        modifier = getattr(one, "modifier", None)
        matching = getattr(modifier, "matching", None)
        for named in (modifier, matching):
            found |= set(getattr(named, "labels", None) or ())
    return frozenset(found)


def _several(node: Any) -> bool:
    return operator(node) == "or" or function(node) in {*_SPLITS, *_MADE}
