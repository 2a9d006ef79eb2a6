"""What the nodes of an alert's expression are, and how their parts are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.label_names import label_text
from daemon.core.rules.promql import COMPARISONS, constant, function, operator, without_parens
from daemon.core.rules.promql_dialect.nodes import syntax_tree
from daemon.onboarding.shapes.narrowing import closed

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
"""The same comparison, read from the right."""


@dataclass(frozen=True)
class LevelBound:
    """`value op level`."""

    value: Any
    op: str
    level: float


def bound_of(node: Any) -> LevelBound | None:
    """The value and the constant that a comparison compares; None if it compares others."""
    left, right = constant(node.lhs), constant(node.rhs)
    if right is not None and left is None:
        return LevelBound(without_parens(node.lhs), operator(node), right)
    if left is not None and right is None:
        return LevelBound(without_parens(node.rhs), FLIPPED[operator(node)], left)
    return None


def is_total(node: Any) -> bool:
    """Whether it has one series, without labels, whatever it aggregates."""
    node = without_parens(node)
    return (
        isinstance(node, p.AggregateExpr)
        and node.modifier is None
        and promql.retained_labels(node) == ()
    )


def is_bool(node: Any) -> bool:
    """Whether a comparison answers 0 or 1 and leaves no series out."""
    return node.modifier is not None and bool(node.modifier.return_bool)


def matching_text(node: Any) -> str:
    """The labels that the two sides must share, as it is written before the right one."""
    matching = node.modifier.matching if node.modifier is not None else None
    if matching is None:
        return ""
    include = matching.type == p.LabelModifierType.Include
    return f" {'on' if include else 'ignoring'} ({', '.join(map(label_text, matching.labels))})"


def grouping_text(node: Any) -> str:
    """The labels of an aggregation, as they are written before what it aggregates."""
    if node.modifier is None:
        return ""
    by = node.modifier.type == p.AggModifierType.By
    return f" {'by' if by else 'without'} ({', '.join(map(label_text, node.modifier.labels))})"


def retyped(node: Any, op: str) -> Any:
    """The same with another operator."""
    left, right = (closed(promql.written(without_parens(side))) for side in (node.lhs, node.rhs))
    modifier = node.modifier
    text = matching_text(node)
    if modifier is not None and modifier.card != p.VectorMatchCardinality.OneToOne:
        to_left = modifier.card == p.VectorMatchCardinality.ManyToOne
        group = "group_left" if to_left else "group_right"
        text += f" {group} ({', '.join(map(label_text, modifier.group_labels or ()))})"
    return syntax_tree(f"{left} {op}{text} {right}")


def filters(node: Any) -> bool:
    """Whether it may have no series although what it looks at has some."""
    return any(
        (operator(found) in COMPARISONS and not is_bool(found))
        or operator(found) in {"and", "unless"}
        or function(found) in {"absent", "absent_over_time"}
        for found in promql.every(node)
    )
