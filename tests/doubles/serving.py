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


async def _seen_off(runner: web.AppRunner) -> None:
    """Over TLS: see that clients that have closed are gone, each with its transport, before the
    server closes what is open. Both ends closing at once leaves transports behind."""
    for _ in range(_PATIENCE):
        if runner.server is None or not runner.server.connections:
            return
        await asyncio.sleep(0)


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
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            host, found = runner.addresses[0][:2]
            self.url = f"{'http' if tls is None else 'https'}://{host}:{found}"
            yield self
        finally:
            if tls is not None:
                await _seen_off(runner)
            await runner.cleanup()
            await let_go()
