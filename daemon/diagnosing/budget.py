"""The bounds of what a dossier may ask: recovery and other incidents need Prometheus, too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.measurement.flavours import MetricsServer
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.metrics import Metrics, metrics_server
from daemon.core.values.outcome import Permanent

AT_ONCE = 2
"""So many queries of a dossier are under way at once."""


@dataclass
class BudgetedMetrics:
    """`Metrics` with at most so many queries, few at a time. Raises Permanent once they are spent,
    besides what the metrics raise."""

    metrics: Metrics
    most: int
    asked: int = 0
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time."""
        self._take()
        async with self._turns:
            return await self.metrics.instant(query, at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`."""
        self._take()
        async with self._turns:
            return await self.metrics.series(query, start, end, step)

    async def server(self) -> MetricsServer:
        """Which server the metrics are of."""
        return await metrics_server(self.metrics)

    @property
    def left(self) -> int:
        """How many queries may still be asked."""
        return self.most - self.asked

    def _take(self) -> None:
        if self.left <= 0:
            raise Permanent(
                f"the {self.most} queries of a dossier are spent (`diagnosis.queries` of "
                "stopgap.yaml)"
            )
        self.asked += 1
