"""The ports to Prometheus and other peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from daemon.core.measurement.flavours import PROMETHEUS, MetricsServer
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Temporary


class Metrics(Protocol):
    """PromQL, with a deadline on each query. Raises Temporary (down, slow) or Permanent (bad)."""

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        """The value of each series at that time, one sample each."""

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        """Values from `start` to `end`, one each `step`."""


@dataclass(frozen=True)
class NamedMetrics:
    """One Prometheus, and how old its samples may be. `name`: as rules name it; empty for the one
    of the rules that name none."""

    metrics: Metrics
    max_age: timedelta
    name: str = ""


@dataclass(frozen=True)
class MetricsServers:
    """Which server is asked for a rule. `named`: those that rules name; None: `default` answers
    for all, as where the past or a drill is played."""

    default: NamedMetrics
    named: Mapping[str, NamedMetrics] | None = None

    def of(self, rule: Rule) -> NamedMetrics:
        """The server of a rule. Raises Temporary if the settings in force do not have it."""
        return self.at(rule.prometheus)

    def at(self, name: str | None) -> NamedMetrics:
        """The server of that name. Raises Temporary."""
        if not name or self.named is None:
            return self.default
        if name not in self.named:
            raise Temporary(f"there is no {name!r} in `prometheus.servers`; name it, and restart")
        return self.named[name]


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
