"""What Prometheus answered, as plain values: series of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.core.measurement.flavours import PROMETHEUS, MetricsServer

Sample = tuple[float, float]
"""(Unix time in seconds, value)."""


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, its samples oldest first."""

    labels: Mapping[str, str]
    samples: Sequence[Sample]


@dataclass(frozen=True)
class QueryAnswer:
    """What Prometheus said: series, warnings (partial data) if there were any, and hints about the
    query, which change nothing in what the answer is worth. `server`: who answered."""

    query: str
    series: Sequence[Series]
    warnings: Sequence[str] = ()
    hints: Sequence[str] = ()
    server: MetricsServer = PROMETHEUS
