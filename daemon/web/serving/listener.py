"""Takes connections, one after the other, and hands each to aiohttp's protocol.

asyncio's own accepting takes a hundred at once before anybody can count them, and when file
handles run out it says so a hundred times a second. TLS is agreed here, so that a connection
counts from its first moment, and so that a renewed certificate serves the next one.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial

import structlog

from daemon.web.seldom import Seldom
from daemon.web.serving.connections import Connections, ServedConnection
from daemon.web.serving.wire import Wire

_log = structlog.get_logger()

BACKLOG = 128
"""So many that the kernel has taken may wait until we take them."""
_RETRY_SECONDS = 0.2
_HANDSHAKE = b"\x16"
"""The first byte of TLS; of HTTP it is a letter."""
_PLAIN = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks https; write https:// in the address. (`tls` in stopgap.yaml)\n"
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)

Protocols = Callable[[], asyncio.Protocol]
Tls = Callable[[], ssl.SSLContext]


class Listener:
    """Accepts on one address. `make`: aiohttp's protocol for one connection. `tls`: what to prove
    ourselves with, asked for each connection; None speaks plainly."""

    def __init__(self, connections: Connections, make: Protocols, tls: Tls | None = None) -> None:
        self._connections = connections
        self._make = make
        self._tls = tls
        self._beginning: set[asyncio.Task[bool]] = set()
        self._seldom = Seldom()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[list[tuple[str, int]]]:
        """Accept while inside; yields the addresses. Raises OSError if they are not to be had.

        Connections stay open at the end; closing them is aiohttp's."""
        doors = await _bound(host, port)
        accepting = [
            asyncio.create_task(self._accept(door), name=f"accept-{door.getsockname()}")
            for door in doors
        ]
        try:
            yield [door.getsockname()[:2] for door in doors]
        finally:
            for task in (*accepting, *self._beginning):
                task.cancel()
            await asyncio.gather(*accepting, *self._beginning, return_exceptions=True)
            for door in doors:
                door.close()

    async def _accept(self, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                taken, address = await loop.sock_accept(door)
            except ConnectionError:
                continue  # it has gone before we took it
            except OSError as error:
                self._out_of_handles(error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            try:
                self._take(taken, address[0])
            except Exception:
                _log.exception("a connection could not be taken; the next one is")
                taken.close()

    def _out_of_handles(self, error: OSError) -> None:
        """Whoever waits longest gives theirs back."""
        self._connections.make_room()
        count = self._seldom.due("accept", asyncio.get_running_loop().time())
        if count > 0:
            _log.error(
                "no connection can be taken",
                error=error.strerror,
                count=count,
                open=len(self._connections),
                mend="raise LimitNOFILE of the unit (ulimit -n), or lower `connections.max`",
            )

    def _take(self, taken: socket.socket, address: str) -> None:
        taken.setblocking(False)
        connection = self._connections.admit(address, lambda: task.cancel())
        if connection is None:
            with closing(taken), suppress(OSError):
                if self._tls is None:
                    taken.send(_FULL)
            return
        task = asyncio.create_task(self._begin(taken, connection), name="begin-connection")
        self._beginning.add(task)
        task.add_done_callback(partial(self._begun, taken, connection))

    def _begun(
        self, taken: socket.socket, connection: ServedConnection, task: asyncio.Task[bool]
    ) -> None:
        self._beginning.discard(task)
        # It may have been cancelled before it began, so this is not for the task itself to do.
        if task.cancelled() or not task.result():
            self._connections.gone(connection)
            taken.close()

    async def _begin(self, taken: socket.socket, connection: ServedConnection) -> bool:
        """Whether aiohttp has it now."""
        try:
            async with asyncio.timeout(self._connections.header):
                return await self._handed_over(taken, connection)
        except (TimeoutError, ssl.SSLError) as error:
            why = getattr(error, "reason", None) or "too slow"
            self._connections.dropped(
                "handshake" if connection.received_data else "idle", connection, why
            )
        except OSError as error:
            _log.debug("a connection broke off", address=connection.address, error=error.strerror)
        except Exception:
            _log.exception("a connection could not be begun")
        return False

    async def _handed_over(self, taken: socket.socket, connection: ServedConnection) -> bool:
        loop = asyncio.get_running_loop()
        context = None if self._tls is None else self._tls()
        if context is not None:
            plain = not await _speaks_tls(taken)
            connection.received_data = True
            if plain:
                self._connections.dropped("plain", connection)
                await loop.sock_sendall(taken, _PLAIN)
                return False
        await loop.connect_accepted_socket(
            lambda: Wire(self._connections, connection, self._make()),
            taken,
            ssl=context,
            ssl_handshake_timeout=None if context is None else self._connections.header,
        )
        return True


async def _speaks_tls(taken: socket.socket) -> bool:
    """Wait for their first byte and leave it where it is; a client that says nothing may."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(taken, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(taken)
    first = taken.recv(1, socket.MSG_PEEK)
    if first in {_HANDSHAKE, b""}:
        return True
    taken.recv(65536)  # what is unread at the close would take the answer with it
    return False


async def _bound(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of that name which this machine has. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    doors: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        door = socket.socket(family, kind, protocol)
        try:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            door.bind(address)
            door.listen(BACKLOG)
            door.setblocking(False)
        except OSError as error:
            door.close()
            missing = error
            if error.errno != errno.EADDRNOTAVAIL:  # as `::1` of localhost in many containers
                break
        else:
            doors.append(door)
    if missing is not None and (not doors or missing.errno != errno.EADDRNOTAVAIL):
        for door in doors:
            door.close()
        raise missing
    return doors
