"""A double of Prometheus's HTTP API, small and scripted, for what the real one does too slowly
or never: services that break at a given second, a known answer time, and every kind of trouble.

It understands the queries of the rules in these tests: `errors_total` and `requests_total` of
one service over one window, and `max(timestamp(…))`; and what a dossier asks about a service.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from daemon.core.values.units import parse_duration
from tests.doubles.serving import on_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BUILD = "/api/v1/status/buildinfo"
"""What the adapter asks for first."""
_BUILT = {"version": "2.53.3", "revision": "abc", "goVersion": "go1.25"}
RATE = 200.0
SHARE = 0.2
USUALLY = 0.005
NEVER = float("inf")

_WINDOW = re.compile(r"\[([^\]]+)\]")
_SERVICE = re.compile(r'service="([^"]*)"')


@dataclass
class Trouble:
    """A service fails from `begin` until `over` says; all in Unix seconds, NEVER while it lasts."""

    begin: float
    over: Callable[[], float] = lambda: NEVER

    def within(self, begin: float, end: float) -> float:
        """How many seconds of that span it failed."""
        return max(0.0, min(end, self.over()) - max(begin, self.begin))


@dataclass
class PrometheusDouble:
    """`delay` in seconds is how long each answer takes; `instead` answers in its place; `steady`
    are metrics that every service has besides, whose value never changes."""

    delay: float = 0.0
    instead: Handler | None = None
    troubles: dict[str, Trouble] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)
    steady: tuple[str, ...] = ()
    url: str = ""

    def breaks(
        self, service: str, *, ago: float = 2.0, over: Callable[[], float] = lambda: NEVER
    ) -> None:
        """The service has failed a fifth of its requests for that many seconds."""
        self.troubles[service] = Trouble(time.time() - ago, over=over)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[PrometheusDouble]:
        """Listen on a free port of loopback."""
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        async with on_loopback(application) as self.url:
            yield self

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == BUILD and self.instead is None:
            return web.json_response({"status": "success", "data": _BUILT})
        self.asked.append(request)
        await request.post()  # so that it can be read after the answer, too
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.instead is not None:
            return await self.instead(request)
        query = {**request.query, **await request.post()}
        text = str(query["query"])
        if request.path.endswith("/query_range"):
            start, end, step = (float(str(query[name])) for name in ("start", "end", "step"))
            count = round((end - start) / step)
            moments = [start + n * step for n in range(count + 1)]
            values = [[at, str(self._value(text, at))] for at in moments]
            return web.json_response(matrix({"metric": {}, "values": values}))
        at = float(str(query["time"]))
        if text.startswith("count by (__name__)"):
            names = ({"metric": {"__name__": n}, "value": [at, "1"]} for n in self.steady)
            return web.json_response(vector(*names))
        return web.json_response(vector({"metric": {}, "value": [at, str(self._value(text, at))]}))

    def _value(self, query: str, at: float) -> float:
        if "timestamp(" in query:
            return at
        if "ALERTS" in query:
            return 1.0
        if query.startswith("count(up"):
            return 0.0 if "== 0" in query else 9.0
        if any(name in query for name in self.steady):
            return 1.0
        window, service = _WINDOW.search(query), _SERVICE.search(query)
        assert window is not None, query
        assert service is not None, query
        width = parse_duration(window[1]).total_seconds()
        if "errors_total" not in query:
            return RATE * width
        trouble = self.troubles.get(service[1])
        failing = trouble.within(at - width, at) if trouble else 0.0
        return RATE * (failing * SHARE + (width - failing) * USUALLY)


def changed_at(path: Path) -> float:
    """When that file or link was made, in Unix seconds; NEVER if it is not there."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return NEVER


def vector(*series: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The answer to an instant query; `more` are fields such as `warnings`."""
    data = {"resultType": "vector", "result": list(series)}
    return {"status": "success", "data": data, **more}


def matrix(*series: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The answer to a range query."""
    return {**vector(*series, **more), "data": {"resultType": "matrix", "result": list(series)}}
