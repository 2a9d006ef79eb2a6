"""What answers PromQL besides Prometheus, each with its own ways, on a port of loopback.

VictoriaMetrics as 1.79 was seen to answer; Mimir, Thanos and Cortex as their documentation says.
Every series has the time of the evaluation as its value, so that an answer tells when it was made.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.serving import on_loopback

BUILD = "/api/v1/status/buildinfo"
Form = Mapping[str, str]


@dataclass
class PromqlServer:
    """A plain Prometheus; the others differ from it. `prefix`: where its API begins."""

    build: Any = None
    version: str = "2.53.3"
    prefix: str = ""
    scraped_ago: float = 0.5
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Form]] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[PromqlServer]:
        """Listen on that port, or a free one."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        async with on_loopback(application, port) as address:
            self.url = address + self.prefix
            yield self

    def paths(self) -> list[str]:
        """What was asked for, in this order."""
        return [path for path, _ in self.asked]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = {k: str(v) for k, v in {**request.query, **await request.post()}.items()}
        if not request.path.startswith(self.prefix):
            return web.Response(text="404 page not found", status=404)
        path = request.path.removeprefix(self.prefix)
        self.asked.append((path, form))
        status, body = self.answer(path, form)
        if body is None:
            return web.Response(text="404 page not found", status=404, headers=self.headers)
        return web.json_response(body, status=status, headers=self.headers)

    def answer(self, path: str, form: Form) -> tuple[int, Any]:
        """Status and JSON; None is no such page."""
        if path == BUILD:
            return self.told()
        if path == "/api/v1/query":
            return self.instant(form)
        if path == "/api/v1/query_range":
            return self.range(form)
        return 404, None

    def told(self) -> tuple[int, Any]:
        """The page that tells how it was built."""
        data = {"version": self.version, "revision": "abc", "branch": "HEAD", "goVersion": "go1.25"}
        return 200, {"status": "success", "data": data if self.build is None else self.build}

    def instant(self, form: Form) -> tuple[int, Any]:
        """An instant query."""
        if form["query"] == "now()":
            text = 'parse error: unknown function with name "now"'
            return 400, {"status": "error", "errorType": "bad_data", "error": text}
        at = float(form.get("time", time.time()))
        return 200, vector(at, self.value(form["query"], self.evaluated(at, form)))

    def range(self, form: Form) -> tuple[int, Any]:
        """A range query."""
        moments = _grid(form)
        return 200, matrix([(at, self.value(form["query"], at)) for at in moments])

    def evaluated(self, at: float, form: Form) -> float:
        """The time at which an instant query for `at` is evaluated."""
        return at

    def value(self, query: str, at: float) -> float:
        """What it answers for that time."""
        return at - self.scraped_ago if "timestamp(" in query else at


@dataclass
class VictoriaMetricsServer(PromqlServer):
    """`offset` seconds behind; from 1.90 on `latency_offset` frees ranges of it (`newer`)."""

    build: Any = field(default_factory=dict)
    offset: float = 30.0
    newer: bool = False
    headers: dict[str, str] = field(default_factory=lambda: {"X-Server-Hostname": "vm-1"})

    def answer(self, path: str, form: Form) -> tuple[int, Any]:
        status, body = super().answer(path, form)
        return (400, {"error": "unsupported path"}) if body is None else (status, body)

    def instant(self, form: Form) -> tuple[int, Any]:
        if form["query"] == "now()":
            return 200, vector(time.time(), time.time())
        if form["query"].startswith("("):
            text = 'unexpected token ""; want ")"'
            return 422, {"status": "error", "errorType": "422", "error": text}
        return super().instant(form)

    def evaluated(self, at: float, form: Form) -> float:
        late = time.time() - self.offset
        return at if "nocache" in form else min(at, late)

    def range(self, form: Form) -> tuple[int, Any]:
        moments = _grid(form)
        step = float(form["step"])
        if len(moments) >= 50 and "nocache" not in form:
            moments = [math.floor(at / step) * step for at in moments]
        if self.newer and "latency_offset" in form:
            return 200, matrix([(at, self.value(form["query"], at)) for at in moments])
        told = [at for at in moments if at <= time.time() - self.offset]
        if not told:
            return 200, matrix([])
        last = told[-1]
        return 200, matrix([(at, self.value(form["query"], min(at, last))) for at in moments])


@dataclass
class ThanosServer(PromqlServer):
    """`away`: a store does not answer. Without `partial_response=false` that is a warning."""

    version: str = "0.36.1"
    away: bool = False

    def answer(self, path: str, form: Form) -> tuple[int, Any]:
        if path == "/api/v1/stores":
            return 200, {"status": "success", "data": {"sidecar": []}}
        return super().answer(path, form)

    def instant(self, form: Form) -> tuple[int, Any]:
        status, body = super().instant(form)
        if not self.away or status != 200:
            return status, body
        text = "receive series from Addr: store-1:10901: rpc error: code = Unavailable"
        if form.get("partial_response") == "false":
            return 422, {"status": "error", "errorType": "execution", "error": text}
        return 200, {**body, "warnings": [text]}


@dataclass
class TenantServer(PromqlServer):
    """Mimir or Cortex: under a prefix; without its tenant it answers nobody (`tenant`)."""

    prefix: str = "/prometheus"
    tenant: bool = False

    def instant(self, form: Form) -> tuple[int, Any]:
        if self.tenant:
            return 401, {"status": "error", "errorType": "", "error": "no org id"}
        return super().instant(form)


def mimir(**more: Any) -> TenantServer:
    """Grafana Mimir."""
    data = {"application": "Grafana Mimir", "version": "2.17.0", "revision": "abc"}
    return TenantServer(build=data, version="2.17.0", **more)


def cortex(**more: Any) -> TenantServer:
    """Cortex."""
    return TenantServer(version="1.18.1", **more)


def vector(at: float, value: float) -> dict[str, Any]:
    """One series of an instant answer."""
    found = [{"metric": {}, "value": [at, repr(value)]}]
    return {"status": "success", "data": {"resultType": "vector", "result": found}}


def matrix(samples: list[tuple[float, float]]) -> dict[str, Any]:
    """One series of a range, or none."""
    values = [[at, repr(value)] for at, value in samples]
    found = [{"metric": {}, "values": values}] if values else []
    return {"status": "success", "data": {"resultType": "matrix", "result": found}}


def _grid(form: Form) -> list[float]:
    start, end, step = (float(form[name]) for name in ("start", "end", "step"))
    return [start + place * step for place in range(math.floor((end - start) / step + 1e-6) + 1)]
