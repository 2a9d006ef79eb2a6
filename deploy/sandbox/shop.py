"""The web shop of the sandbox: small, honest, and instrumented as a real one would be.

A release is this file with the `checkout.py` of that release beside it. It runs from its release
folder, `shop/releases/<version>/`, listens on 127.0.0.1:$SHOP_PORT, and reads its feature flags
from `shop/features.json` on every checkout.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

import checkout
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

RELEASE = Path(__file__).resolve().parent
FEATURES = RELEASE.parent.parent / "features.json"
MEASURED = {"/": "GET", "/checkout": "POST"}

# The label `service` is not set here: Prometheus adds it to everything it scrapes of the shop,
# its own `up` included.
REQUESTS = Counter("http_requests_total", "Requests answered.", ["route", "code"])
LATENCY = Histogram(
    "http_request_duration_seconds",
    "Time to answer, in seconds.",
    ["route"],
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
REVENUE = Counter("shop_revenue_euros_total", "Paid by customers, in euros.")
BUILD = Gauge("build_info", "1, labelled with the release that is running.", ["version"])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time each request of a measured route; an unhandled error is a 500."""
    begin = perf_counter()
    try:
        response = await handler(request)
    except web.HTTPException as refused:
        response = refused
    except Exception:
        traceback.print_exc()
        response = web.json_response({"error": "something went wrong; try again"}, status=500)
    if request.path in MEASURED:
        REQUESTS.labels(request.path, str(response.status)).inc()
        LATENCY.labels(request.path).observe(perf_counter() - begin)
    return response


async def page(request: web.Request) -> web.Response:
    """The shop window."""
    return web.Response(text=f"The shop, release {RELEASE.name}. Today: tea, mugs, kettles.\n")


async def pay(request: web.Request) -> web.Response:
    """Check out a cart: `{"customer": {…}, "lines": [{"price_cents": …, "quantity": …}]}`."""
    cart = await request.json()
    cents = checkout.total_cents(cart, features())
    await asyncio.sleep(random.uniform(0.004, 0.02))  # the payment provider takes its time
    REVENUE.inc(cents / 100)
    return web.json_response({"paid_cents": cents})


async def healthy(request: web.Request) -> web.Response:
    """Say which release answers, and as which process."""
    return web.json_response({"version": RELEASE.name, "pid": os.getpid()})


async def metrics(request: web.Request) -> web.Response:
    """The metrics, as Prometheus reads them."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def features() -> dict[str, bool]:
    """The feature flags as they stand; a feature that is not named there has its own default."""
    try:
        flags: dict[str, bool] = json.loads(FEATURES.read_text())
    except FileNotFoundError:
        return {}
    return flags


def main() -> None:
    """Serve until told to stop."""
    for route in MEASURED:
        for code in ("200", "500"):
            # A counter that is absent until the first failure hides that failure from rate().
            REQUESTS.labels(route, code)
    BUILD.labels(RELEASE.name).set(1)
    app = web.Application(middlewares=[measure])
    app.add_routes(
        [
            web.get("/", page),
            web.post("/checkout", pay),
            web.get("/-/healthy", healthy),
            web.get("/metrics", metrics),
        ]
    )
    port = int(os.environ["SHOP_PORT"])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()
