"""The recording rules of a Prometheus: what stands behind a recorded series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import promql_parser as p

from daemon.core.rules import promql
from daemon.core.rules.promql import Narrow


class RecordingRules:
    """The recording rules: what stands behind a recorded series.

    A name that is recorded several times is told apart by the labels that its rules add.
    """

    def __init__(self, rules: Sequence[tuple[str, Mapping[str, str], str]]) -> None:
        """`rules`: the name, the added labels, and the expression of each."""
        self._rules: dict[str, list[tuple[Mapping[str, str], Any]]] = {}
        for name, labels, query in rules:
            try:
                tree = promql.parsed(query)
            except ValueError:
                continue
            self._rules.setdefault(name, []).append((labels, tree))

    @property
    def trees(self) -> Mapping[str, Any]:
        """One tree for each name; those of one name have the same labels, or nearly."""
        return {name: found[0][1] for name, found in self._rules.items()}

    def behind(self, node: Any) -> tuple[Any, Narrow] | None:
        """What a selector stands for, and what that must be held to; None if it is not known."""
        if not isinstance(node, p.VectorSelector) or node.offset or node.at:
            return None
        required = promql.equalities(node)
        if len(required) < len(node.matchers.matchers) or node.matchers.or_matchers:
            return None
        found = [
            (tree, {n: v for n, v in required.items() if n not in labels})
            for labels, tree in self._rules.get(str(node.name), ())
            if all(labels.get(name, value) == value for name, value in required.items())
        ]
        if len(found) != 1:
            return None
        tree, held = found[0]
        retained = promql.retained_labels(tree, self.trees)
        if retained is not None and not held.keys() <= set(retained):
            return None
        return tree, held
