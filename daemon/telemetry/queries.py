"""Prometheus as the stages ask it, with every query timed, counted and traced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta

from daemon.core.measurement.flavours import MetricsServer
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.metrics import Metrics, metrics_server
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import Observer, QueryKind, Tracer, Trouble

LONGEST_TEXT = 1000
"""So many characters of a query go into its span."""


class WatchedMetrics:
    """Passes each query on, and tells how it went. `server`: the name of the one that is asked.

    Implements `daemon.core.ports.metrics.Metrics` and
    `daemon.core.ports.metrics.DescribedMetrics`.
    """

    def __init__(
        self, metrics: Metrics, observer: Observer, tracer: Tracer, server: str = ""
    ) -> None:
        self._metrics = metrics
        self._observer = observer
        self._tracer = tracer
        self._server = server

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time."""
        return await self._timed("instant", query, self._metrics.instant(query, at))

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`, one each `step`."""
        answer = self._metrics.series(query, start, end, step)
        return await self._timed("range", query, answer)

    async def server(self) -> MetricsServer:
        """Which server the metrics are of."""
        return await metrics_server(self._metrics)

    async def _timed(
        self, kind: QueryKind, query: str, answer: Awaitable[QueryAnswer]
    ) -> QueryAnswer:
        clock = asyncio.get_running_loop().time
        began = clock()
        trouble: Trouble = ""
        attributes = {"stopgap.query.kind": kind, "db.query.text": query[:LONGEST_TEXT]}
        if self._server:
            attributes["stopgap.prometheus"] = self._server
        try:
            with self._tracer.span("query", {"db.system.name": "prometheus", **attributes}):
                return await answer
        except TimeoutError:
            trouble = "timeout"
            raise
        except Temporary:
            trouble = "unreachable"
            raise
        except Permanent:
            trouble = "rejected"
            raise
        finally:
            self._observer.query(kind, clock() - began, trouble, self._server)
