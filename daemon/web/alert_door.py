"""The short way of a delivery: what is usual about it is done at once, before any router.

A storm is thousands of deliveries that are all alike. Whatever is not usual takes the way of all
requests: another path, a body that is not all here yet, wrong credentials, and every failure, of
which that way makes the answer. So this one can say nothing else than that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import cast

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.web.api.alert_webhook import FAILED_BEFORE, Stored
from daemon.web.context import WebContext
from daemon.web.deliveries import ALERTS
from daemon.web.request_log import SEALS
from daemon.web.serving.connections import Connections

_log = structlog.get_logger()

_Serves = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_UNUSUAL = frozenset({"Expect", "Content-Encoding", "Transfer-Encoding"})
_HEADERS = {"Cache-Control": "no-store", **SEALS, "Server": "Stopgap"}


def install_alert_door(
    server: web.Server,
    context: WebContext,
    max_body: int,
    connections: Connections | None = None,
) -> None:
    """Let the usual deliveries to that server take the short way. `max_body`: the bytes of the
    largest; `connections`: those by which they come, where somebody bounds them."""
    whole = cast(Handler, server.request_handler)

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.raw_path != ALERTS or not _is_usual(request, max_body):
            return await whole(request)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await context.sender(request, "alerts")
        except Exception:  # wrong credentials, or a store that cannot be asked for them
            return await whole(request)
        connection = None if connections is None else connections.of(request)
        if connection is not None:
            connection.enters("answering")
        try:
            delivery, new = await context.intake.receive(await request.read())
        except Exception as error:
            request[FAILED_BEFORE] = error
            return await whole(request)
        finally:
            if connection is not None:
                connection.enters("waiting")
        took = clock() - began
        context.observer.request("POST", ALERTS, 200, took)
        _log.debug("request", method="POST", path=ALERTS, status=200, duration=round(took, 4))
        return web.Response(
            text=_stored(new, len(delivery.alerts)),
            content_type="application/json",
            headers=_HEADERS,
        )

    server.request_handler = cast(_Serves, serve)


@lru_cache(maxsize=100)
def _stored(new: bool, alerts: int) -> str:
    return Stored(stored=new, alerts=alerts).model_dump_json()


def _is_usual(request: web.Request, max_body: int) -> bool:
    """Whether all of it is here, of a known size and as it was written."""
    length = request.content_length
    return (
        request.method == "POST"
        and length is not None
        and length <= max_body
        and request.content.is_eof()
        and _UNUSUAL.isdisjoint(request.headers)
    )
