"""The parts of a parsed query, in time that grows with its length.

promql-parser's own `walk` copies a node for each of its ancestors: a query of 400 terms took it
half a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import promql_parser as p


def syntax_tree(text: str) -> Any:
    """What the parser makes of it. Raises ValueError, also where the parser itself panics, which
    is no Exception of Python's and would end the daemon."""
    try:
        return p.parse(text)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the parser cannot read it") from None


def every(node: Any) -> list[Any]:
    """The node and all under it, in the order in which they are written; the selector of a range
    follows its range."""
    found: list[Any] = []
    waiting = [node]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting.extend(reversed(_parts(one)))
    return found


def _parts(node: Any) -> Sequence[Any]:
    if isinstance(node, p.BinaryExpr):
        return (node.lhs, node.rhs)
    if isinstance(node, p.AggregateExpr):
        return (node.expr,) if node.param is None else (node.param, node.expr)
    if isinstance(node, p.Call):
        return list(node.args)
    if isinstance(node, p.MatrixSelector):
        return (node.vector_selector,)
    if isinstance(node, (p.UnaryExpr, p.ParenExpr, p.SubqueryExpr)):
        return (node.expr,)
    return ()
