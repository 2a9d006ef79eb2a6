"""What answers PromQL, and where each kind answers otherwise than Prometheus does.

Prometheus is what everything else is measured by. Of VictoriaMetrics what is told here was seen on
1.79, 1.112 and 1.145; of Mimir, Thanos and Cortex it is what their documentation says. That a
query-frontend moves a range to multiples of its step (Thanos's does, Mimir's and Cortex's can) is
nothing to know beforehand: each value is dated by when it was evaluated
(`daemon.core.measurement.scrape_clock`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from daemon.core.rules import promql

MetricsFlavour = Literal["prometheus", "victoriametrics", "mimir", "thanos", "cortex"]
HINT = "PromQL info:"
"""How a text begins that tells about the query. It is no warning that the answer is partial, though
2.53 puts it among the warnings (2.42 is silent, 3.x has `infos`)."""
PARTIAL = "only a part of the data could be read (isPartial)"
"""What VictoriaMetrics' cluster says by a field of its own."""
MEASURED_AT_MOST = timedelta(minutes=5)
"""Nobody's answers are taken to be further behind than that."""
_EXACT = timedelta(seconds=1.5)
"""Measured second by second, so much is none."""


@dataclass(frozen=True)
class FlavourTraits:
    """How one kind of server differs from Prometheus.

    `parameters` go with each query. `extrapolates`: increase() is extrapolated to its whole window
    from the samples within; if not, it counts from the last sample before the window.
    `counts_first_value`: the first value of a series that is new is an increase from zero.
    `timestamps_outlive`: timestamp(x) goes on for minutes when x has ended. `nan_is_empty`: what is
    0/0 is no series. `shows_after`: so long after its scrape a new series may still be hidden.
    `prefix`: where it answers, if not at its root.
    """

    title: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    extrapolates: bool = True
    counts_first_value: bool = False
    timestamps_outlive: bool = False
    nan_is_empty: bool = False
    shows_after: timedelta = timedelta(0)
    prefix: str = ""


TRAITS: Mapping[MetricsFlavour, FlavourTraits] = {
    "prometheus": FlavourTraits("Prometheus"),
    "victoriametrics": FlavourTraits(
        "VictoriaMetrics",
        # Without `nocache` an instant answer is the one of `-search.latencyOffset` (30 s) ago, and
        # a range of 50 points or more is moved to multiples of its step. `latency_offset` frees
        # ranges of it, too, from about 1.90 on; before, it is not looked at.
        {"nocache": "1", "latency_offset": "1ms"},
        extrapolates=False,
        counts_first_value=True,
        timestamps_outlive=True,
        nan_is_empty=True,
        shows_after=timedelta(seconds=11),
    ),
    "mimir": FlavourTraits("Mimir", prefix="/prometheus"),
    # A store that is away is an error then. Else it is a warning, which not every part on the way
    # hands on.
    "thanos": FlavourTraits("Thanos", {"partial_response": "false"}),
    "cortex": FlavourTraits("Cortex", prefix="/prometheus"),
}


@dataclass(frozen=True)
class MetricsServer:
    """One server: its kind, by what it is known, and how far its answers lag.

    `repeats`: the values of a range query that are younger than this only repeat an older one.
    `behind`: so long after it happened the answers may not show it yet.
    """

    flavour: MetricsFlavour = "prometheus"
    version: str = ""
    told_by: str = ""
    repeats: timedelta = timedelta(0)
    behind: timedelta = timedelta(0)

    @property
    def traits(self) -> FlavourTraits:
        """How it differs from Prometheus."""
        return TRAITS[self.flavour]

    @property
    def title(self) -> str:
        """Its name, with its version if it tells one of its own."""
        # VictoriaMetrics tells the version of the Prometheus that it stands for.
        own = "" if self.flavour == "victoriametrics" else self.version
        return f"{self.traits.title} {own}".rstrip()

    def hides_nan(self, query: str) -> bool:
        """Whether what that query does not answer may be 0/0, rather than nothing at all."""
        return self.traits.nan_is_empty and _divides(query)

    def newest(self, selector: str) -> str:
        """The query for when the newest sample was, of what is still there."""
        return f"max({self._stamped(selector)})"

    def oldest(self, selector: str) -> str:
        """The query for when the oldest of the last samples was, of what is still there."""
        return f"min({self._stamped(selector)})"

    def _stamped(self, selector: str) -> str:
        stamped = f"timestamp({selector})"
        return f"{stamped} and {selector}" if self.traits.timestamps_outlive else stamped


PROMETHEUS = MetricsServer()
"""What is taken for granted where nobody says otherwise."""


def _divides(query: str) -> bool:
    try:
        found = promql.every(promql.parsed(query))
    except ValueError:
        return "/" in query or "%" in query
    return any(
        promql.operator(node) in {"/", "%"} and not promql.constant(node.rhs) for node in found
    )


def flavour_by_build(build: Any, headers: Mapping[str, str]) -> tuple[MetricsFlavour, str] | None:
    """The kind by what a server says of itself at `/api/v1/status/buildinfo`, and by what of that;
    None if that does not tell. `headers`: of its answer, with names in lower case."""
    data = build.get("data") if isinstance(build, Mapping) else None
    told = data if isinstance(data, Mapping) else {}
    application = str(told.get("application", ""))
    for flavour, traits in TRAITS.items():
        if traits.title.lower() in application.lower():
            return flavour, f"it calls itself {application}"
    if "x-server-hostname" in headers:
        return "victoriametrics", "the header X-Server-Hostname"
    version = str(told.get("version", ""))
    if not version or not told.keys() & {"revision", "goVersion"}:
        return None
    # Prometheus before 2.14 had no such page, so that its versions begin with 2.
    by_version: Mapping[str, MetricsFlavour] = {"0": "thanos", "1": "cortex"}
    return by_version.get(version.split(".")[0], "prometheus"), f"its version {version}"


def version_by_build(build: Any) -> str | None:
    """The version that `/api/v1/status/buildinfo` tells; empty if it tells none, None if this is
    no such page."""
    if not isinstance(build, Mapping) or not isinstance(build.get("data"), Mapping):
        return None
    if "version" not in build["data"]:
        return "" if build.get("status") == "success" else None
    return str(build["data"]["version"])


def measured_lag(asked: float, newest: float | None) -> timedelta:
    """How far an answer is behind; Unix seconds of when was asked for, and of the newest that it
    tells, None if it tells nothing."""
    if newest is None:
        return MEASURED_AT_MOST
    lag = timedelta(seconds=math.ceil(max(0.0, asked - newest)))
    return timedelta(0) if asked - newest < _EXACT.total_seconds() else min(lag, MEASURED_AT_MOST)


def hints_apart(warnings: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(warnings that the answer is partial, hints about the query) of what was called warnings."""
    hints = tuple(text for text in warnings if text.startswith(HINT))
    return tuple(text for text in warnings if not text.startswith(HINT)), hints
