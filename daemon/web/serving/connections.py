"""Who may be connected, and for how long.

aiohttp closes what idles between two requests (`keepalive_timeout`). It has no deadline for a
request's head and no bound of connections; they are here, and `wire` tells of what happens.

At a bound nobody is locked out: whoever waits longest, for whatever we have not got of them yet,
makes room for the newcomer. A sender of alerts waits for milliseconds, an attacker's half a
request for ever. Pages that look on go next; what is being answered is never cut off.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.instrumentation import QUIET, Dropped, Observer
from daemon.web.addresses import block_of
from daemon.web.seldom import Seldom

_log = structlog.get_logger()

_Stage = Literal["waiting", "looking_on", "answering"]
"""waiting: for something of theirs. looking_on: an open page hears of changes."""
_MESSAGES = {
    "header": "connections were closed that sent no whole request",
    "stalled": "connections were closed that did not read their answer",
    "room": "connections that waited were closed to make room for others",
    "refused": "connections were refused: as many as there may be are being answered",
    "handshake": "connections were closed that did not agree on TLS",
    "plain": "plain http was spoken on the port of https",
}
"""Whoever connects and says nothing, as browsers do to be quicker later, is not worth a line."""


class Connections:
    """The connections that are open, and their bounds.

    `trusts`: whether an address is a proxy's, which speaks for many. `header` and `body`: the
    seconds that a request may take to come.
    """

    def __init__(
        self,
        most: int,
        per_address: int,
        header: float,
        body: float,
        trusts: Callable[[str], bool] = lambda _: False,
        observer: Observer = QUIET,
    ) -> None:
        self.header = header
        self.body = body
        self._most = most
        self._per_address = per_address
        self._trusts = trusts
        self._observer = observer
        self._seldom = Seldom()
        self._of: Counter[str] = Counter()
        # In the order of their coming into that stage.
        self._by_stage: dict[_Stage, dict[ServedConnection, None]] = {
            "waiting": {},
            "looking_on": {},
            "answering": {},
        }
        self._by_protocol: dict[asyncio.BaseProtocol, ServedConnection] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_stage.values()))

    def admit(self, address: str, end: Callable[[], object]) -> ServedConnection | None:
        """The connection of a newcomer, if need be in the place of another; None if there is no
        room. `end` ends it."""
        block = "" if self._trusts(address) else block_of(address)
        full = block and self._of[block] >= self._per_address
        if (full and not self.make_room(block)) or (
            len(self) >= self._most and not self.make_room()
        ):
            self._count("refused", address)
            return None
        connection = ServedConnection(self, address, block, end)
        self._of[block] += 1
        self._by_stage["waiting"][connection] = None
        return connection

    def make_room(self, block: str = "") -> bool:
        """Close whoever waits longest, else whoever looks on longest; of that block, or of all."""
        stages: tuple[_Stage, ...] = ("waiting", "looking_on")
        for stage in stages:
            ours = self._by_stage[stage]
            found = next((c for c in ours if not block or c.block == block), None)
            if found is not None:
                self.give_up(found, "room")
                return True
        return False

    def give_up(self, connection: ServedConnection, why: Dropped) -> None:
        """Close a connection for that reason, unless it is closed already."""
        if connection in self._by_stage[connection.stage]:
            self.dropped(why, connection)
            self.gone(connection)  # at once: its place is given to somebody else
            connection.end()

    def gone(self, connection: ServedConnection) -> None:
        """The connection is closed; twice is once."""
        connection.no_deadline()
        if self._by_stage[connection.stage].pop(connection, 0) is None:
            self._of -= Counter((connection.block,))  # whoever has none left is forgotten

    def move(self, connection: ServedConnection, stage: _Stage) -> None:
        """The connection comes into that stage, as the last one."""
        if self._by_stage[connection.stage].pop(connection, 0) is None:
            self._by_stage[stage][connection] = None
            connection.stage = stage

    def serves(self, protocol: asyncio.BaseProtocol, connection: ServedConnection) -> None:
        """From now on that protocol's requests are the connection's."""
        self._by_protocol[protocol] = connection

    def served(self, protocol: asyncio.BaseProtocol) -> None:
        """That protocol has no connection any more."""
        self._by_protocol.pop(protocol, None)

    def of(self, request: web.BaseRequest) -> ServedConnection | None:
        """The connection that a request came by; None if another server has taken it."""
        return self._by_protocol.get(request.protocol)

    def dropped(self, why: Dropped, connection: ServedConnection, detail: str = "") -> None:
        """Count a connection that is closed for that reason; once a minute the log says so, with
        its `detail`, if any."""
        self._count(why, connection.address, detail)

    def _count(self, why: Dropped, address: str, detail: str = "") -> None:
        self._observer.dropped(why)
        message = _MESSAGES.get(why)
        count = self._seldom.due(why, asyncio.get_running_loop().time()) if message else 0
        if count > 0:
            busiest, most = next(iter(self._of.most_common(1)), ("", 0))
            _log.warning(
                message,
                count=count,
                latest=address,
                open=len(self),
                most_of_one=most,
                address=busiest or "a trusted proxy",
                **({"reason": detail} if detail else {}),
                mend="see `connections` in stopgap.yaml; block the address if it is not yours",
            )


class ServedConnection:
    """One connection, from the moment at which it was taken. `end` ends it at once."""

    def __init__(
        self, all_: Connections, address: str, block: str, end: Callable[[], object]
    ) -> None:
        self.address = address
        self.block = block
        self.end = end
        self.stage: _Stage = "waiting"
        self.received_data = False
        self.receiving = False
        self._all = all_
        self._deadline: asyncio.TimerHandle | None = None

    def begins(self) -> None:
        """It is open, and with TLS agreed."""
        self.received_data = False
        self._await_head()

    def hears(self) -> None:
        """Something of theirs came; if that is no body, it is the head of the next request."""
        self.received_data = True
        if self._deadline is None and self.stage == "waiting" and not self.receiving:
            self._await_head()

    def enters(self, stage: _Stage, *, receiving: bool = False) -> None:
        """What happens on it now. `receiving`: a handler waits for the body of a request."""
        self.receiving = receiving
        self.no_deadline()
        self._all.move(self, stage)

    def no_deadline(self) -> None:
        """What was waited for is here, or not waited for any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _await_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._all.header, self._too_late)

    def _too_late(self) -> None:
        self._all.give_up(self, "header" if self.received_data else "idle")

    @asynccontextmanager
    async def body(self) -> AsyncIterator[None]:
        """While a handler waits for the body. Raises TimeoutError if that takes too long."""
        self.enters("waiting", receiving=True)
        try:
            async with asyncio.timeout(self._all.body):
                yield
        finally:
            self.enters("answering")


CONNECTION = web.RequestKey("connection", ServedConnection)
"""Where a request keeps the connection that it came by."""


def noticing(connections: Connections) -> Middleware:
    """The middleware that tells when a request is answered, and when that is over."""

    @web.middleware
    async def notice(request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = connections.of(request)
        if connection is None:
            return await handler(request)
        request[CONNECTION] = connection
        connection.enters("answering")
        try:
            return await handler(request)
        finally:
            connection.enters("waiting")

    return notice


async def looking_on(request: web.Request, response: web.StreamResponse) -> None:
    """A signal: the answer is a stream, and whoever has it looks on."""
    connection = request.get(CONNECTION)
    if connection is not None and response.content_type == "text/event-stream":
        connection.enters("looking_on")
