"""PromQL as a tree: which labels an answer keeps, and spelling an expression anew.

The parser (promql-parser) reads, rewrites and writes; the selectors alone are written here. Text
that comes out is a template of `daemon.core.rules.query_templates`: a label's value that looks
like `$name` is spelled so that it stays what it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from operator import add, mul, sub, truediv
from types import MappingProxyType
from typing import Any

import promql_parser as p

from daemon.core.rules.label_names import is_legacy
from daemon.core.rules.promql_dialect.nodes import every as every
from daemon.core.rules.promql_dialect.nodes import syntax_tree
from daemon.core.rules.promql_dialect.reading import read_promql
from daemon.core.rules.query_templates import (
    ABSENCE,
    matcher_operator,
    matcher_text,
    metric_name,
    names_in,
)

Narrow = Mapping[str, str]
"""Labels, and the value that each is held to; `$service` is the incident's own."""
NOT_NARROWED: Narrow = MappingProxyType({})
RecordedTrees = Mapping[str, Any]
"""The names of recorded series, and the trees of what is recorded."""

COMPARISONS = frozenset({">", "<", ">=", "<=", "==", "!="})
SETS = frozenset({"and", "or", "unless"})
_KEEPS_ALL = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_NO_LABELS = ABSENCE | {"vector", "scalar", "time"}
_VECTOR_LAST = frozenset({"histogram_quantile", "histogram_fraction", "quantile_over_time"})
_REGEX_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_EPOCH = "@ 0.000"


def parsed(query: str) -> Any:
    """The tree, without parentheses around it. Raises ValueError if it is not PromQL, or in a
    syntax that the parser could not write again."""
    reading = read_promql(query)
    if reading.wrong:
        raise ValueError(reading.wrong)
    if not reading.faithful:
        raise ValueError("its syntax is not in every version of Prometheus")
    tree = without_parens(syntax_tree(reading.readable))
    if any(str(getattr(node, "at", None)) == _EPOCH for node in every(tree)):
        raise ValueError("`@` a time before 1970, which the parser writes as `@ 0`")
    return tree


def without_parens(node: Any) -> Any:
    """The node without parentheses around it."""
    while isinstance(node, p.ParenExpr):
        node = node.expr
    return node


def operator(node: Any) -> str:
    """The operator of a binary expression; empty for any other node."""
    return str(node.op) if isinstance(node, p.BinaryExpr) else ""


def function(node: Any) -> str:
    """The name of a function or aggregation; empty for any other node."""
    if isinstance(node, p.Call):
        return str(node.func.name)
    return str(node.op) if isinstance(node, p.AggregateExpr) else ""


def constant(node: Any) -> float | None:
    """The number that an expression always is, or None."""
    node = without_parens(node)
    if isinstance(node, p.NumberLiteral):
        return float(node.val)
    if isinstance(node, p.UnaryExpr):
        inner = constant(node.expr)
        return None if inner is None else -inner
    if isinstance(node, p.BinaryExpr):
        left, right = constant(node.lhs), constant(node.rhs)
        if left is None or right is None:
            return None
        try:
            return float(_ARITHMETIC[operator(node)](left, right))
        except (KeyError, ArithmeticError, ValueError):
            return None
    return None


_ARITHMETIC: Mapping[str, Any] = {
    "+": add,
    "-": sub,
    "*": mul,
    "/": truediv,
    "^": math.pow,
    "%": math.fmod,
}


def equalities(selector: Any) -> dict[str, str]:
    """The labels that a selector holds to one value."""
    return {m.name: m.value for m in selector.matchers.matchers if matcher_operator(m) == "="}


def unusual_names(node: Any) -> tuple[str, ...]:
    """The labels and metrics that an expression names and only Prometheus 3.0 and newer have."""
    found: dict[str, None] = {}
    for one in every(node):
        one = getattr(one, "vector_selector", one)
        if isinstance(one, p.VectorSelector):
            found |= dict.fromkeys(m.name for m in one.matchers.matchers)
            found |= dict.fromkeys([metric_name(one).replace(":", "_")] if metric_name(one) else [])
        modifier = getattr(one, "modifier", None)
        if isinstance(one, p.AggregateExpr) and modifier is not None:
            found |= dict.fromkeys(modifier.labels)
        if isinstance(one, p.BinaryExpr) and modifier is not None:
            matched = modifier.matching.labels if modifier.matching is not None else ()
            found |= dict.fromkeys([*matched, *(modifier.group_labels or ())])
    return tuple(name for name in found if not is_legacy(name))


# ── which labels are left ────────────────────────────────────────────────────────────────────


def retained_labels(node: Any, recordings: RecordedTrees = NOT_NARROWED) -> tuple[str, ...] | None:
    """The labels that the answer has; None if only the metric itself could tell."""
    node = without_parens(node)
    if isinstance(node, p.VectorSelector) and (recorded := metric_name(node)) in recordings:
        others = {name: tree for name, tree in recordings.items() if name != recorded}
        return retained_labels(recordings[recorded], others)
    if isinstance(node, p.AggregateExpr):
        return _kept_by_aggregation(node, recordings)
    if isinstance(node, p.BinaryExpr):
        return _kept_by_binary(node, recordings)
    if isinstance(node, p.NumberLiteral):
        return ()
    if isinstance(node, p.Call):
        name = function(node)
        if name in {"absent", "absent_over_time"}:
            inner = without_parens(node.args[0])
            selector = getattr(inner, "vector_selector", inner)
            known = equalities(selector) if isinstance(selector, p.VectorSelector) else {}
            return tuple(label for label in known if label != "__name__")
        if name in _NO_LABELS or not node.args:
            return ()
        inner = retained_labels(node.args[-1 if name in _VECTOR_LAST else 0], recordings)
        if inner is not None and name in {"label_replace", "label_join"}:
            return _each((*inner, str(node.args[1].val)))
        return inner
    inner = getattr(node, "vector_selector", None) or getattr(node, "expr", None)
    return None if inner is None else retained_labels(inner, recordings)


def _kept_by_aggregation(node: Any, recordings: RecordedTrees) -> tuple[str, ...] | None:
    if str(node.op) in _KEEPS_ALL:
        return retained_labels(node.expr, recordings)
    modifier = node.modifier
    if modifier is None:
        return ()
    if modifier.type == p.AggModifierType.By:
        return _each(modifier.labels)
    inner = retained_labels(node.expr, recordings)
    return None if inner is None else tuple(n for n in inner if n not in modifier.labels)


def _kept_by_binary(node: Any, recordings: RecordedTrees) -> tuple[str, ...] | None:
    left, right = retained_labels(node.lhs, recordings), retained_labels(node.rhs, recordings)
    if _number(node.lhs):
        return right
    if operator(node) == "or" and function(without_parens(node.rhs)) != "vector":
        return _of_both(left, right)
    if _number(node.rhs) or operator(node) in SETS:
        return left
    modifier = node.modifier
    if modifier is None or modifier.matching is None:
        return left if left is not None else right
    if modifier.card in _ONE_SIDED:
        many = left if modifier.card == p.VectorMatchCardinality.ManyToOne else right
        return None if many is None else _each((*many, *(modifier.group_labels or ())))
    if modifier.matching.type == p.LabelModifierType.Include:
        return _each(modifier.matching.labels)
    return None if left is None else tuple(n for n in left if n not in modifier.matching.labels)


def _of_both(left: tuple[str, ...] | None, right: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """What each series of `a or b` has, whichever side it comes from."""
    if left is None or right is None:
        return None if left != () and right != () else ()
    return tuple(label for label in left if label in right)


_ONE_SIDED = (p.VectorMatchCardinality.ManyToOne, p.VectorMatchCardinality.OneToMany)


def _number(node: Any) -> bool:
    node = without_parens(node)
    return constant(node) is not None or function(node) in {"scalar", "time"}


def _each(labels: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


# ── spelling ─────────────────────────────────────────────────────────────────────────────────


def written(node: Any) -> str:
    """The expression itself on one line, no template: values in it stay as they are."""
    text = node.prettify().strip(" ")  # breaks lines at 100 characters, but none in a string
    return re.sub(r"\n *", " ", re.sub(r"(?<=\()\n *|\n *(?=\))", "", text))


def spelled(node: Any, narrow: Narrow = NOT_NARROWED) -> str:
    """The expression as a template on one line; the series that a label of `narrow` may come from
    are held to that label of the incident. Raises ValueError for `{a="1" or b="2"}`."""
    pending = [narrow]

    def visit(found: Any) -> Any:
        held = pending.pop()
        if isinstance(found, p.VectorSelector):
            return syntax_tree(_selector(found, held))
        pending.extend(reversed(_inside(found, held)))
        return None

    return written(p.transform(node, visit))


def windowed(node: Any, narrow: Narrow = NOT_NARROWED) -> str:
    """A range selector as a template, with `$window` for its range. Raises as `spelled` does."""
    before, _, after = spelled(node, narrow).rpartition("[")
    return f"{before}[$window]{after.partition(']')[2]}"


def passed_on(node: Any, narrow: Narrow) -> Narrow:
    """Which of these labels of an aggregation's answer come from what it aggregates."""
    if str(node.op) in _KEEPS_ALL:
        return narrow
    modifier = node.modifier
    if modifier is None:
        return NOT_NARROWED
    inside = modifier.type == p.AggModifierType.By
    return {n: value for n, value in narrow.items() if (n in modifier.labels) == inside}


def sides(node: Any, narrow: Narrow) -> tuple[Narrow, Narrow]:
    """Which labels narrow the left side, and which the right."""
    modifier = node.modifier
    if modifier is None or modifier.matching is None:
        return narrow, narrow
    on = modifier.matching.type == p.LabelModifierType.Include
    matched = {n: v for n, v in narrow.items() if (n in modifier.matching.labels) == on}
    if operator(node) in SETS:
        return narrow, matched
    if modifier.card not in _ONE_SIDED:
        return matched, matched
    others = {n: v for n, v in narrow.items() if n not in matched}
    one = {n: v for n, v in others.items() if n in (modifier.group_labels or ())}
    many = {n: v for n, v in others.items() if n not in one}
    if modifier.card == p.VectorMatchCardinality.ManyToOne:
        return {**matched, **many}, {**matched, **one}
    return {**matched, **one}, {**matched, **many}


def _inside(node: Any, narrow: Narrow) -> Sequence[Narrow]:
    """What narrows each expression right under a node, in the order that `transform` visits."""
    if isinstance(node, p.BinaryExpr):
        return sides(node, narrow)
    if isinstance(node, p.AggregateExpr):
        inner = passed_on(node, narrow)
        return [inner] if node.param is None else [NOT_NARROWED, inner]
    if isinstance(node, p.Call):
        return [_through_call(node, narrow)] * len(node.args)
    return [] if isinstance(node, p.NumberLiteral | p.StringLiteral) else [narrow]


def _through_call(node: Any, narrow: Narrow) -> Narrow:
    name = function(node)
    if name in _NO_LABELS:
        return NOT_NARROWED
    if name in {"label_replace", "label_join"}:
        made = str(node.args[1].val)
        return {n: value for n, value in narrow.items() if n != made}
    return narrow


def _selector(node: Any, narrow: Narrow) -> str:
    # By hand: `transform` ignores what is changed in a selector that it is given back, and
    # `str`, which shows it, neither escapes values nor keeps milliseconds (promql-parser 0.12).
    if node.matchers.or_matchers:
        raise ValueError("a selector with `or` in it")
    held = equalities(node)
    parts = [_matcher(m) for m in node.matchers.matchers]
    parts += [matcher_text(n, "=", value) for n, value in narrow.items() if n not in held]
    at = f" {node.at}" if node.at is not None else ""
    return f"{node.name or ''}{{{','.join(parts)}}}{at}{_offset(node.offset)}"


def _matcher(matcher: Any) -> str:
    op, value = matcher_operator(matcher), str(matcher.value)
    if op in {"=", "!="} and names_in(value):
        # In a template `$name` would be a label; in a class of a regular expression it is not.
        op = "=~" if op == "=" else "!~"
        value = _REGEX_SPECIAL.sub(r"\\\1", value).replace("\\$", "[$]")
    return matcher_text(matcher.name, op, value)


def _offset(offset: timedelta | None) -> str:
    if not offset:
        return ""
    return f" offset {'' if offset > timedelta(0) else '-'}{p.display_duration(abs(offset))}"
