"""A protocol that stands before aiohttp's and tells its connection what happens on the wire.

It gives up an answer that nobody reads, too: aiohttp would wait for ever.
"""

from __future__ import annotations

import asyncio
from typing import cast

from daemon.web.serving.connections import Connections, ServedConnection

STALLED_SECONDS = 30.0
"""An answer of which nothing more is read for so long is given up."""


class Wire(asyncio.Protocol):
    """Hands everything on to `inner`."""

    def __init__(
        self, connections: Connections, connection: ServedConnection, inner: asyncio.Protocol
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._inner = inner
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open; with TLS, agreed."""
        self._transport = cast(asyncio.Transport, transport)
        self._connection.end = self._transport.abort
        self._connections.serves(self._inner, self._connection)
        self._connection.begins()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._forget_unread()
        self._connections.gone(self._connection)
        self._connections.served(self._inner)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request came."""
        self._connection.hears()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """They will send no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """They read more slowly than we write."""
        self._inner.pause_writing()
        self._look_at_unread(before=-1)

    def resume_writing(self) -> None:
        """They have caught up."""
        self._forget_unread()
        self._inner.resume_writing()

    def _look_at_unread(self, before: int) -> None:
        """Give up if nothing was read since there were so many bytes left."""
        left = self._transport.get_write_buffer_size()
        if left == before:
            self._connections.give_up(self._connection, "stalled")
            return
        loop = asyncio.get_running_loop()
        self._unread = loop.call_later(STALLED_SECONDS, self._look_at_unread, left)

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
