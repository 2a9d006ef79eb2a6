"""The ports to Prometheus and other peers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from daemon.core.measurement.flavours import PROMETHEUS, MetricsServer
from daemon.core.measurement.samples import QueryAnswer


class Metrics(Protocol):
    """PromQL, with a deadline on each query. Raises Temporary (down, slow) or Permanent (bad)."""

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time, one sample each."""

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`, one each `step`."""


@runtime_checkable
class DescribedMetrics(Protocol):
    """Metrics that know which server they are of; others are taken for Prometheus's."""

    async def server(self) -> MetricsServer:
        """The server, as it was found. Raises Temporary, Permanent or TimeoutError as a query
        does."""


async def metrics_server(metrics: Metrics) -> MetricsServer:
    """Which server these metrics are of. Raises Temporary, Permanent or TimeoutError."""
    return await metrics.server() if isinstance(metrics, DescribedMetrics) else PROMETHEUS


@runtime_checkable
class Peer(Protocol):
    """A system that the daemon depends on."""

    async def version(self) -> str:
        """Which version of itself it runs; empty if it does not say. Raises Temporary or
        Permanent if it is not there."""
