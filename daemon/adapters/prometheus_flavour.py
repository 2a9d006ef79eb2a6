"""Which server it is that answers PromQL, found out by asking.

Asked are the page that tells how it was built, then a function that MetricsQL alone has, then a
page of Thanos alone: each only where the one before did not tell. Nothing of this is asked again
with a query, until the connection was lost and another version answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from daemon.core.measurement.flavours import (
    MEASURED_AT_MOST,
    PROMETHEUS,
    MetricsFlavour,
    MetricsServer,
    flavour_by_build,
    measured_lag,
    version_by_build,
)

BUILD_INFORMATION = "/api/v1/status/buildinfo"
_STORES = "/api/v1/stores"
_QUERY, _RANGE = "/api/v1/query", "/api/v1/query_range"
_MOST_BEHIND = timedelta(minutes=2)
"""More than that is an outage, and no lag."""
_SAME_CLOCK = 3600.0
"""Seconds; `now()` of another clock than ours is still one."""
_AGAIN_SECONDS = 30.0
"""A server that did not tell what it is, is asked again after so long."""


@dataclass(frozen=True)
class RawReply:
    """An answer before anybody judged it; `data` is its JSON, None if it has none."""

    status: int
    headers: Mapping[str, str]
    data: Any


_Asking = Callable[[str, Mapping[str, str]], Awaitable[RawReply]]
"""A GET of that path with these parameters. Raises Temporary where nobody answers."""


class ServerIdentity:
    """What is known of one server. `given`: its flavour by the settings, None to find it out."""

    def __init__(self, given: MetricsFlavour | None, ask: _Asking) -> None:
        self._given = given
        self._ask = ask
        self._known: MetricsServer | None = PROMETHEUS if given == "prometheus" else None
        self._seen: RawReply | None = None
        self._doubted = False
        self._again_at: float | None = None
        self._turn = asyncio.Lock()

    async def known(self) -> MetricsServer:
        """The server; asked the first time only. Raises Temporary or TimeoutError where nobody
        answers."""
        if self._known is not None and not self._stale:
            return self._known
        async with self._turn:
            if self._known is None or self._stale:
                self._known = await self._found(self._known)
                self._doubted = False
            return self._known

    def connection_lost(self) -> None:
        """Whoever answers next may be another one."""
        self._doubted = self._given != "prometheus"

    @property
    def _stale(self) -> bool:
        unsure = self._again_at is not None and time.monotonic() >= self._again_at
        return self._doubted or unsure

    async def _found(self, before: MetricsServer | None) -> MetricsServer:
        build = await self._ask(BUILD_INFORMATION, {})
        if before is not None and self._again_at is None and _alike(build, self._seen):
            return await self._measured(before)
        self._seen, self._again_at = build, None
        flavour, told_by = await self._flavour(build)
        if not told_by:
            if build.status not in {200, 404}:
                self._again_at = time.monotonic() + _AGAIN_SECONDS
            told_by = "it does not tell what it is"
        version = version_by_build(build.data) or "" if build.status == 200 else ""
        return await self._measured(MetricsServer(flavour, version, told_by))

    async def _flavour(self, build: RawReply) -> tuple[MetricsFlavour, str]:
        """The kind and by what it is told; that is empty where the kind is a guess."""
        if self._given is not None:
            return self._given, "`prometheus.flavour`"
        told = flavour_by_build(build.data if build.status == 200 else None, build.headers)
        if told is not None:
            return told
        clock = _only_value((await self._ask(_QUERY, {"query": "now()"})).data)
        if clock is not None and abs(clock - time.time()) < _SAME_CLOCK:
            return "victoriametrics", "it knows MetricsQL"
        stores = await self._ask(_STORES, {})
        if stores.status == 200 and version_by_build(stores.data) is not None:
            return "thanos", f"it has {_STORES}"
        return "prometheus", ""

    async def _measured(self, server: MetricsServer) -> MetricsServer:
        """With how far its answers are behind, as they are now."""
        behind = server.traits.shows_after
        if server.flavour == "prometheus":
            return server
        if server.flavour == "victoriametrics":
            return replace(server, behind=behind, repeats=await self._repeats(server))
        newest = await self.newest(server.traits.parameters)
        if newest is not None:
            lag = measured_lag(time.time(), newest)
            behind = max(behind, min(lag, _MOST_BEHIND))
        return replace(server, behind=behind)

    async def _repeats(self, server: MetricsServer) -> timedelta:
        """How old the newest value of a range query really is."""
        now = time.time()
        span = MEASURED_AT_MOST.total_seconds()
        asked = {"query": "time()", "start": f"{now - span:.3f}", "end": f"{now:.3f}", "step": "1"}
        answer = await self._ask(_RANGE, {**server.traits.parameters, **asked})
        if answer.status != 200:
            return timedelta(0)
        return measured_lag(now, _only_value(answer.data))

    async def newest(self, parameters: Mapping[str, str]) -> float | None:
        """When the newest sample of all targets was (Unix seconds), if it is asked with these
        parameters; None if there is none."""
        now = f"{time.time():.3f}"
        asked = {"query": "max(timestamp(up))", "time": now}
        return _only_value((await self._ask(_QUERY, {**parameters, **asked})).data)


def _alike(one: RawReply, other: RawReply | None) -> bool:
    return other is not None and (one.status, one.data) == (other.status, other.data)


def _only_value(answer: Any) -> float | None:
    """The last value of an answer's only series, or of a scalar; None if it has none."""
    try:
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return float(result[1])
        (series,) = result
        return float((series["values"][-1] if "values" in series else series["value"])[1])
    except (KeyError, TypeError, ValueError, IndexError):
        return None
