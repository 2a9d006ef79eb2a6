"""A rule's count parted by a label: its PromQL rewritten, `sum(…)` as `sum by (label) (…)`.

A count is taken apart into the sums that it is made of (`sum(a) + sum(b)`); each is asked by
itself and put together here, for PromQL would drop a value that one of them lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import promql_parser as p

from daemon.core.measurement.samples import QueryAnswer
from daemon.core.rules import promql
from daemon.core.rules.label_names import label_text
from daemon.core.rules.promql_dialect.nodes import syntax_tree
from daemon.core.rules.query_templates import matcher_operator, vector_selectors

_SUMS = frozenset({"sum", "count"})
_NEVER = frozenset({"__name__", "le", "quantile"})
_USUAL = (
    "region", "zone", "availability_zone", "az", "cluster", "node", "version", "revision",
    "release", "instance", "pod", "endpoint", "route", "path", "handler", "method", "tenant",
    "customer",
)  # fmt: skip
"""Labels that often tell, the first first; others come behind them, those of few values first."""
_OUTCOMES = frozenset({
    "code", "status", "status_code", "statuscode", "status_class", "status_family", "http_status",
    "http_status_code", "http_response_status_code", "http.response.status_code", "response_code",
    "response_code_class", "response_status", "response_flags", "grpc_code", "grpc_status",
    "grpc_status_code", "rpc_grpc_status_code", "outcome", "result", "success", "exception",
    "exception_type", "error", "error_type", "error.type", "error_code",
})  # fmt: skip
"""Labels that say how an event ended, as exporters and frameworks name them."""


class NotParted(ValueError):
    """The query cannot be parted by that label; the text says why, for a sentence."""


@dataclass(frozen=True)
class Term:
    """One of the sums that a count is made of: `factor` times what `query` answers."""

    factor: float
    query: str


def split_by(query: str, label: str) -> list[Term]:
    """The rendered query by that label. Raises NotParted."""
    return [Term(factor, _by(node, label)) for factor, node in _terms(query)]


def keeping(query: str, label: str) -> str:
    """The rendered query of a value, such as a quantile, with that label kept in its answer.
    Raises NotParted."""
    try:
        return promql.spelled(_kept(promql.parsed(query), label))
    except NotParted:
        raise
    except ValueError as error:
        raise NotParted(f"it cannot be read: {error}") from None


def inside(query: str) -> str:
    """The series that the first of its sums adds up, as a query. Raises NotParted."""
    _, node = _terms(query)[0]
    inner = node.expr if isinstance(node, p.AggregateExpr) else node
    return promql.spelled(inner)


def failure_labels(bad: str, total: str) -> frozenset[str]:
    """The labels by which the rendered `bad` tells failures from the events of `total`: to part
    the traffic by them would only say that failures fail."""

    def held(query: str) -> set[tuple[str, str, str]]:
        return {
            (m.name, matcher_operator(m), m.value)
            for selector in vector_selectors(query)
            for m in selector.matchers.matchers
        }

    return frozenset(name for name, _, _ in held(bad) - held(total)) - _NEVER


def tells_how_it_ended(label: str) -> bool:
    """Whether the label says by its name how an event ended: a word for failing, no place."""
    return label.lower() in _OUTCOMES


def values_of(answer: QueryAnswer) -> dict[str, set[str]]:
    """The values of each label of these series; a series without the label has the value ""."""
    names = {name for series in answer.series for name in series.labels}
    return {
        name: {series.labels.get(name, "") for series in answer.series} for name in names - _NEVER
    }


def worth_parting(values: Mapping[str, Iterable[str]], most: int) -> list[str]:
    """The labels that have something to compare, the likeliest to tell first; `most` of them."""
    several = {name: len(set(found)) for name, found in values.items() if len(set(found)) > 1}
    known = [name for name in _USUAL if name in several]
    others = sorted(several.keys() - set(known), key=lambda name: (several[name], name))
    return [*known, *others][:most]


def combined(
    answers: Sequence[tuple[Term, QueryAnswer]], label: str
) -> dict[str, dict[float, float]]:
    """The count of each value by the time of the sample, put together from its terms."""
    found: dict[str, dict[float, float]] = {}
    for term, answer in answers:
        for series in answer.series:
            samples = found.setdefault(series.labels.get(label, ""), {})
            for at, value in series.samples:
                samples[at] = samples.get(at, 0.0) + term.factor * value
    return found


def _terms(query: str) -> list[tuple[float, Any]]:
    try:
        tree = promql.parsed(query)
    except ValueError as error:
        raise NotParted(f"it cannot be read: {error}") from None
    found = list(_taken_apart(tree, 1.0))
    if not found:
        raise NotParted("it has no sum in it")
    return found


def _taken_apart(node: Any, factor: float) -> Iterable[tuple[float, Any]]:
    node = promql.without_parens(node)
    op = promql.operator(node)
    if op in {"+", "-"} and node.modifier is None:
        yield from _taken_apart(node.lhs, factor)
        yield from _taken_apart(node.rhs, factor if op == "+" else -factor)
    elif op == "or" and _is_zero(node.rhs):
        yield from _taken_apart(node.lhs, factor)
    elif op in {"*", "/"} and promql.constant(node.rhs):
        times = promql.constant(node.rhs) or 1.0
        yield from _taken_apart(node.lhs, factor * times if op == "*" else factor / times)
    elif op == "*" and promql.constant(node.lhs):
        yield from _taken_apart(node.rhs, factor * (promql.constant(node.lhs) or 1.0))
    elif isinstance(node, p.AggregateExpr) and promql.function(node) not in _SUMS:
        raise NotParted(f"`{promql.function(node)}` is no sum, so it has no parts")
    elif isinstance(node, p.AggregateExpr | p.Call | p.VectorSelector):
        if not _is_zero(node):
            yield factor, node
    else:
        raise NotParted("only sums of counts, and their sums and differences, can be parted")


def _kept(node: Any, label: str) -> Any:
    """The tree with that label in what it answers."""
    node = promql.without_parens(node)
    name = promql.function(node)
    if isinstance(node, p.BinaryExpr) and node.modifier is None:
        if promql.operator(node) not in {"+", "-", "*", "/"}:
            raise NotParted(f"`{promql.operator(node)}` is no arithmetic")
        sides = (node.lhs, node.rhs)
        left, right = (s if promql.constant(s) is not None else _kept(s, label) for s in sides)
        return syntax_tree(f"({promql.spelled(left)}) {node.op} ({promql.spelled(right)})")
    if isinstance(node, p.Call) and name == "histogram_quantile":
        inner = promql.spelled(_kept(node.args[1], label))
        return syntax_tree(f"histogram_quantile({promql.written(node.args[0])}, {inner})")
    if isinstance(node, p.AggregateExpr) and node.param is None:
        return _aggregated(node, label)
    kept = promql.retained_labels(node)
    if kept is not None and label not in kept:
        raise NotParted(f"`{name or 'it'}` has no label {label}")
    return node


def _aggregated(node: Any, label: str) -> Any:
    """The aggregation by that label, too."""
    modifier, op = node.modifier, promql.function(node)
    inner = promql.spelled(_kept(node.expr, label))
    if modifier is not None and modifier.type != p.AggModifierType.By:
        others = ", ".join(label_text(name) for name in modifier.labels if name != label)
        return syntax_tree(f"{op} without ({others}) ({inner})")
    labels = dict.fromkeys([*(modifier.labels if modifier is not None else ()), label])
    return syntax_tree(f"{op} by ({', '.join(map(label_text, labels))}) ({inner})")


def _is_zero(node: Any) -> bool:
    node = promql.without_parens(node)
    return promql.function(node) == "vector" and promql.constant(node.args[0]) == 0


def _by(node: Any, label: str) -> str:
    op, inner = "sum", node
    if isinstance(node, p.AggregateExpr):
        op, inner = promql.function(node), promql.without_parens(node.expr)
    if op == "sum" and isinstance(inner, p.AggregateExpr) and promql.function(inner) == "sum":
        return _by(inner, label)  # the sum of sums
    kept = promql.retained_labels(inner)
    if kept is not None and label not in kept:
        raise NotParted(f"what it adds up has no label {label}")
    try:
        return f"{op} by ({label_text(label)}) ({promql.spelled(inner)})"
    except ValueError as error:
        raise NotParted(str(error)) from None
