"""Exporters for a real Prometheus: a caller that counts what it gets of the shop, the shop's own
target, which is down while its release crashes, and other targets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.doubles.serving import on_loopback

RATE = 200.0
"""Requests a second."""
FAILING = {True: 0.9, False: 0.01}
"""The share that fails while the shop crashes, and while it does not."""
OTHERS = ("search", "cart", "mail", "cron")

SCRAPING = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
"""
JOB = "- {{job_name: {job}, metrics_path: /{job}, static_configs: [{{targets: ['{at}']}}]}}\n"


@dataclass
class CrashingShop:
    """`crashes` says whether the shop does so now; `dark`: the other targets are down."""

    crashes: Callable[[], bool]
    dark: bool = False
    address: str = ""
    _counted_at: float = field(default_factory=time.time)
    _total: float = 0.0
    _bad: float = 0.0

    @asynccontextmanager
    async def exporting(self) -> AsyncIterator[CrashingShop]:
        """Listen on a free port of loopback, one path for each job."""
        application = web.Application()
        application.router.add_get("/{job}", self._answer)
        async with on_loopback(application) as address:
            self.address = address.removeprefix("http://")
            yield self

    def prometheus_config(self) -> str:
        """What makes Prometheus scrape all of it."""
        jobs = ("caller", "shop", *OTHERS)
        return SCRAPING.format() + "".join(JOB.format(job=job, at=self.address) for job in jobs)

    async def _answer(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        if (job == "shop" and self.crashes()) or (job in OTHERS and self.dark):
            raise web.HTTPServiceUnavailable
        return web.Response(text=self._counts() if job == "caller" else "fine 1\n")

    def _counts(self) -> str:
        now = time.time()
        served = RATE * (now - self._counted_at)
        self._counted_at = now
        self._total += served
        self._bad += served * FAILING[self.crashes()]
        return (
            f'requests_total{{service="shop"}} {self._total}\n'
            f'errors_total{{service="shop"}} {self._bad}\n'
        )
