"""Queries of one world: every selector is held to the label `world`, recorded names stand for what
they record, so that hundreds of worlds live in one Prometheus and know nothing of each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import promql_parser as p

from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.metrics import Metrics
from daemon.core.rules import promql
from daemon.onboarding.recording_rules import RecordingRules

WORLD = "world"


def inlined(query: str, recordings: RecordingRules, depth: int = 0) -> str:
    """The query without recorded names: each is what it records, over the same range."""
    found: list[str] = []

    def visit(node: Any) -> Any:
        if not isinstance(node, p.VectorSelector):
            return None
        behind = recordings.behind(node)
        if behind is None:
            return None
        tree, held = behind
        text = promql.spelled(tree, held)
        for labels, known in recordings._rules[str(node.name)]:
            for name, value in labels.items() if known is tree else ():
                text = f'label_replace({text}, "{name}", "{value}", "", "")'
        found.append(text)
        return p.parse(f"recorded_{len(found) - 1}_")

    text = promql.written(p.transform(p.parse(query), visit))
    if not found or depth > 5:
        return text

    def put(match: re.Match[str]) -> str:
        inside = f"({found[int(match[1])]})"
        return f"{inside}[{match[2]}:15s]" if match[2] else inside

    text = re.sub(r"recorded_(\d+)_(?:\[(\w+)\])?", put, text)
    return inlined(text, recordings, depth + 1)


def within(query: str, world: str) -> str:
    """The query, held to one world."""

    def visit(node: Any) -> Any:
        if isinstance(node, p.VectorSelector):
            return p.parse(promql._selector(node, {WORLD: world}))
        return None

    return promql.written(p.transform(p.parse(query), visit))


class WorldMetrics:
    """A port to Prometheus that sees one world alone."""

    def __init__(self, metrics: Metrics, recordings: RecordingRules, world: str) -> None:
        self._metrics, self._recordings, self._world = metrics, recordings, world
        self._known: dict[str, str] = {}

    def _seen(self, query: str) -> str:
        if query not in self._known:
            self._known[query] = within(inlined(query, self._recordings), self._world)
        return self._known[query]

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """As the port."""
        return await self._metrics.instant(self._seen(query), at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """As the port."""
        return await self._metrics.series(self._seen(query), start, end, step)


Labels = Mapping[str, str]
