"""What the doubles share: an aiohttp application on a free port of loopback, and its moods."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

from aiohttp import web

_TURNS = 5
_PATIENCE = 500
_TLS_GOODBYE = 0.1
"""Seconds for which a server waits for the client's last word in TLS, once it has said its own."""


@contextmanager
def nobody_there() -> Iterator[str]:
    """An address of loopback that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*held.getsockname())


async def let_go() -> None:
    """After a server has closed: give the loop the turns in which a connection that it had just
    accepted sees that its peer is gone, and closes. Otherwise the garbage collector finds it later,
    and blames another test."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def on_loopback(
    application: web.Application, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve it at that port, or a free one, of 127.0.0.1, over TLS perhaps; its address. Each of
    its connections is closed when this ends, in the middle of a handshake, too."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(
        runner.server,
        "127.0.0.1",
        port,
        ssl=tls,
        ssl_shutdown_timeout=None if tls is None else _TLS_GOODBYE,
    )
    try:
        host, found = server.sockets[0].getsockname()
        yield f"{'http' if tls is None else 'https'}://{host}:{found}"
    finally:
        server.close()
        await runner.cleanup()
        await let_go()
        for _ in range(_PATIENCE):
            if not _connected(server):
                break
            await asyncio.sleep(0.001)


def _connected(server: asyncio.Server) -> bool:
    # Server.wait_closed() waits for them from Python 3.12 on only, and for ever.
    return bool(getattr(server, "_active_count", 0) or getattr(server, "_clients", ()))


class Double:
    """A stand-in for somebody's server. `mood`: a status that it answers to everything, or
    `hang`; empty when it works."""

    def __init__(self) -> None:
        self.mood: int | str = ""
        self.url = ""
        self.asked: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        raise NotImplementedError

    def application(self) -> web.Application:
        """As an application of its own."""
        app = web.Application(middlewares=[self._moody], client_max_size=2**20)
        app.add_routes(self.routes())
        return app

    @web.middleware
    async def _moody(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append({"path": request.path_qs, "headers": dict(request.headers)})
        self.asked[-1]["body"] = await request.read()
        if self.mood == "hang":
            await asyncio.sleep(3600)
        if self.mood:
            return web.Response(status=int(self.mood), text="in a mood")
        response: web.StreamResponse = await handler(request)
        return response

    @asynccontextmanager
    async def serving(
        self, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Self]:
        """Serve on loopback, over TLS perhaps; `url` says where."""
        async with on_loopback(self.application(), port, tls) as self.url:
            yield self
