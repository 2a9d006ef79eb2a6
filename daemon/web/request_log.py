"""Every request on its way through: counted, and logged where somebody does something."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.instrumentation import Observer
from daemon.web.deliveries import ALERTS, Untaken, route_of

_log = structlog.get_logger()

PERSON_KEY = web.RequestKey("person", str)
"""Where a request keeps who asks, once that is known."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
STEADY = frozenset({ALERTS})
"""Places where machines post all the time; they are counted, and logged at debug."""
SEALS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of what is no page and has none of its own."""
_TOKEN = re.compile(r"^/(a|d)/.*")


def watching(observer: Observer, address: Callable[[web.Request], str]) -> Middleware:
    """The middleware; the outermost, so that it sees the answer as it is sent. `address`: where a
    request comes from."""
    untaken = Untaken(observer)

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        clock = asyncio.get_running_loop().time
        began, status, stream = clock(), 500, False
        try:
            response = await handler(request)
            status, stream = response.status, response.content_type == "text/event-stream"
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            took = clock() - began
            route = route_of(request)
            # How long somebody looks on is no latency.
            observer.request(request.method, route, status, None if stream else took)
            untaken.answered(request, status, address(request), took)
            # What anybody can cause at will fills no log; those who guess are told of elsewhere.
            idle = status == 429 or not route
            quiet = idle or request.method in READING or route in STEADY
            (_log.debug if quiet else _log.info)(
                "request",
                method=request.method,
                path=shown_path(request.path),
                status=status,
                duration=round(took, 4),
                person=request.get(PERSON_KEY, ""),
            )
        return response

    return watch


async def sealed(_: web.Request, response: web.StreamResponse) -> None:
    """A signal: what no answer lacks, whatever made it. Nothing is kept, framed or guessed at;
    what has an ETag may be kept if it is asked about each time."""
    keep = "private, no-cache" if "ETag" in response.headers else "no-store"
    response.headers.setdefault("Cache-Control", keep)
    for name, value in SEALS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "Stopgap"  # and no versions


def shown_path(path: str) -> str:
    """A path for the log: no query, and no token of a signed link."""
    return _TOKEN.sub(r"/\1/…", path)
