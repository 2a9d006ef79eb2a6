"""The world of a daemon under load, in a process of its own: a Prometheus in which every service
fails, and a pager.

Usage: python outside.py SERVICES SECONDS. It prints the addresses of both, and serves until it is
ended; so many seconds Prometheus takes for each answer.
`GET /pages` of the pager tells when each incident was paged for first, in Unix seconds; the page
of a storm is for as many as it says. `GET /calls` tells how often the pager was called at all.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

from aiohttp import web

from tests.acceptance.prometheus_double import PrometheusDouble, Trouble

STEADY = ("cpu_seconds_total", "memory_bytes", "open_connections", "queue_length", "threads")


async def _serve(services: int, answers_after: float) -> None:
    failing = Trouble(time.time() - 30)
    troubles = {f"s{n}": failing for n in range(services)}
    prometheus = PrometheusDouble(delay=answers_after, troubles=troubles, steady=STEADY)
    single: set[str] = set()
    paged: list[float] = []
    calls = 0

    async def page(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        told = await request.json()
        storm = re.match(r"Storm since .*?: (\d+) incidents", told["title"])
        if storm is None:
            single.add(told["incident"])
        more = max(len(single), int(storm[1]) if storm else 0) - len(paged)
        paged.extend([time.time()] * more)
        return web.Response()

    async def pages(_: web.Request) -> web.Response:
        return web.json_response(paged)

    async def called(_: web.Request) -> web.Response:
        return web.json_response(calls)

    application = web.Application()
    routes = (web.post("/page", page), web.get("/pages", pages), web.get("/calls", called))
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with prometheus.serving():
        pager = "http://{}:{}".format(*runner.addresses[0])
        print(prometheus.url, pager, flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
