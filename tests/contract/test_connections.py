"""Connections that wait for ever are not kept, and whoever has something to say gets in.

Deadlines pass in no time: a test lets the timer ring instead of waiting for it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from daemon.app.handles import room_in
from daemon.instrumentation import Dropped, Observer
from daemon.web.body import raw_body
from daemon.web.errors import problems
from daemon.web.seldom import EVERY_SECONDS, OTHERS, REMEMBERED_KEYS, Seldom
from daemon.web.serving import connections, listener, wire
from daemon.web.serving.connections import Connections, looking_on, noticing
from daemon.web.serving.listener import Listener
from daemon.web.serving.wire import Wire

FOREVER = 3600.0
HALF = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-"
WHOLE = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    while not condition():  # noqa: ASYNC110 - the loop that turns is our own
        await asyncio.sleep(0)


class Counting(Observer):
    """Counts why connections were dropped."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def dropped(self, why: Dropped) -> None:
        self.counts[why] += 1


class Client:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def says(self, data: bytes) -> Client:
        self.writer.write(data)
        await self.writer.drain()
        return self

    async def hears(self) -> bytes:
        """The next answer: its head and, by its length, its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        return head + await self.reader.readexactly(length)

    async def is_closed(self) -> bool:
        """Wait until it is."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass
        return True


class Server:
    """A small application behind the listener."""

    def __init__(self, stack: AsyncExitStack, all_: Connections, observer: Counting) -> None:
        self.all = all_
        self.dropped = observer.counts
        self.gate = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        self.address = ("", 0)
        self._stack = stack

    async def connects(self, data: bytes = b"") -> Client:
        """A client that says this; returns once the server knows of it."""
        known = len(self.all)
        taken = self.dropped.total()
        client = Client(*await asyncio.open_connection(*self.address))
        self._stack.callback(client.writer.close)
        await client.says(data)
        await until(lambda: len(self.all) != known or self.dropped.total() != taken)
        return client

    def stages(self) -> dict[str, int]:
        return {stage: len(ours) for stage, ours in self.all._by_stage.items() if ours}

    async def stage(self, **wanted: int) -> None:
        """Wait until so many connections are at these stages."""
        await until(lambda: self.stages() == wanted)

    async def heard(self, count: int = 1) -> None:
        """Wait until something has come by so many connections."""
        await until(lambda: sum(c.received_data for c in self.all._by_stage["waiting"]) >= count)

    def awaits_a_head(self) -> bool:
        return any(c._deadline for c in self.all._by_stage["waiting"])

    def ring(self) -> None:
        """The deadlines of all requests pass."""
        for connection in list(self.all._by_stage["waiting"]):
            if connection._deadline is not None:
                connection._too_late()

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await raw_body(request))

    async def slow(self, _: web.Request) -> web.Response:
        self.entered.release()
        await self.gate.wait()
        return web.Response(text="done")

    async def large(self, _: web.Request) -> web.Response:
        return web.Response(body=b"x" * 30_000_000)

    async def live(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self.gate.wait()
        return response


@asynccontextmanager
async def serving(
    most: int = 100, per_address: int = 100, body: float = FOREVER, trusted: str = "", **more: Any
) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        observer = Counting()
        header = more.pop("header", FOREVER)
        all_ = Connections(
            most, per_address, header, body, lambda address: address == trusted, observer
        )
        server = Server(stack, all_, observer)
        app = web.Application(middlewares=[noticing(all_), problems])
        app.on_response_prepare.append(looking_on)
        app.add_routes(
            [
                web.post("/echo", server.echo),
                web.get("/slow", server.slow),
                web.get("/large", server.large),
                web.get("/live", server.live),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, **more)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(server.gate.set)
        door = Listener(all_, runner.server)  # type: ignore[arg-type]
        (server.address,) = await stack.enter_async_context(door.listening("127.0.0.1", 0))
        yield server


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_a_whole_request_is_answered_and_the_next_one_too() -> None:
    async with serving() as server:
        client = await server.connects(WHOLE)
        assert (await client.hears()).endswith(b"hi")
        await server.stage(waiting=1)
        assert (await (await client.says(WHOLE)).hears()).endswith(b"hi")
        client.writer.close()
        await server.stage()
        assert not server.all._by_protocol
        assert not server.all._of


@pytest.mark.parametrize("begun", [HALF, WHOLE + HALF, WHOLE + WHOLE + b"P"])
async def test_half_a_head_is_not_waited_for_longer_than_its_deadline(begun: bytes) -> None:
    async with serving() as server:
        client = await server.connects(begun.removesuffix(HALF).removesuffix(b"P"))
        for _ in range(begun.count(WHOLE)):
            await client.hears()
        await client.says(HALF)
        await server.heard()
        await until(server.awaits_a_head)
        server.ring()
        assert await client.is_closed()
        assert server.dropped == {"header": 1}


async def test_between_two_requests_no_head_is_waited_for() -> None:
    async with serving() as server:
        client = await server.connects(WHOLE)
        await client.hears()
        await server.stage(waiting=1)
        server.ring()
        assert (await (await client.says(WHOLE)).hears()).endswith(b"hi")


async def test_between_two_requests_aiohttps_own_deadline_counts() -> None:
    async with serving(keepalive_timeout=0.01) as server:
        client = await server.connects(WHOLE)
        await client.hears()
        assert await client.is_closed()
        assert not server.dropped


async def test_who_never_says_anything_goes_without_a_word() -> None:
    with capture_logs() as logs:
        async with serving() as server:
            client = await server.connects()
            await server.stage(waiting=1)
            await until(server.awaits_a_head)
            server.ring()
            assert await client.is_closed()
            assert server.dropped == {"idle": 1}
    assert not logs


async def test_a_body_that_never_ends_is_answered_503_so_that_it_is_sent_again() -> None:
    async with serving(body=0.01) as server:
        client = await server.connects(WHOLE[:-1])
        answer = await client.hears()
        assert b" 503 " in answer
        assert b"`connections.body`" in answer


async def test_a_body_that_breaks_off_is_no_crash() -> None:
    with capture_logs() as logs:
        async with serving() as server:
            client = await server.connects(WHOLE[:-1])
            await server.heard()
            client.writer.close()
            await server.stage()
            await asyncio.sleep(0)
    assert not logs


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALLED_SECONDS", 0.01)
    async with serving() as server:
        client = await server.connects(b"")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.says(get("/large"))
        await server.stage()
        assert server.dropped == {"stalled": 1}


class Pipe(asyncio.Transport):
    """So many bytes are left at each look."""

    def __init__(self, *left: int) -> None:
        super().__init__()
        self.left = list(left)
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0)

    def abort(self) -> None:
        self.aborted = True


async def test_an_answer_that_is_read_slowly_is_not_given_up() -> None:
    all_ = Connections(10, 10, FOREVER, FOREVER)
    connection = all_.admit("192.0.2.1", lambda: None)
    assert connection is not None
    pipe = Pipe(900, 800, 800)
    one = Wire(all_, connection, asyncio.Protocol())
    one.connection_made(pipe)
    one.pause_writing()
    for left, given_up in ((900, False), (800, True)):
        assert one._unread is not None
        one._forget_unread()
        one._look_at_unread(before=left)
        assert pipe.aborted is given_up


async def test_at_the_bound_whoever_waits_longest_makes_room() -> None:
    async with serving(most=3) as server:
        waiting = [await server.connects(HALF) for _ in range(3)]
        newcomer = await server.connects(WHOLE)
        assert (await newcomer.hears()).endswith(b"hi")
        assert await waiting[0].is_closed()
        assert not waiting[1].reader.at_eof()
        assert server.dropped == {"room": 1}
        await server.stage(waiting=3)


async def test_a_body_that_is_waited_for_makes_room_too() -> None:
    async with serving(most=2) as server:
        waiting = [await server.connects(WHOLE[:-1]) for _ in range(2)]
        await server.heard(2)
        assert (await (await server.connects(WHOLE)).hears()).endswith(b"hi")
        assert await waiting[0].is_closed()


async def test_what_is_answered_is_never_cut_off_and_then_newcomers_are_refused() -> None:
    with capture_logs() as logs:
        async with serving(most=2) as server:
            busy = [await server.connects(get("/slow")) for _ in range(2)]
            for _ in busy:
                await server.entered.acquire()
            for _ in range(3):
                refused = await server.connects()
                assert b" 503 " in await refused.hears()
                assert await refused.is_closed()
            server.gate.set()
            assert all([(await client.hears()).endswith(b"done") for client in busy])
            assert server.dropped == {"refused": 3}
    (line,) = logs
    assert line["event"].startswith("connections were refused")
    assert (line["count"], line["latest"], line["open"]) == (1, "127.0.0.1", 2)


async def test_open_pages_stay_while_anybody_waits_and_make_room_at_last() -> None:
    async with serving(most=2) as server:
        page = await server.connects(get("/live"))
        await server.stage(looking_on=1)
        await server.connects(HALF)
        assert (await (await server.connects(WHOLE)).hears()).endswith(b"hi")
        await server.stage(looking_on=1, waiting=1)
        server.ring()
        await server.stage(looking_on=1, waiting=1)  # neither has a deadline for a head
        busy = await server.connects(get("/slow"))
        await server.entered.acquire()
        last = await server.connects(WHOLE)
        assert (await last.hears()).endswith(b"hi")
        assert await page.is_closed()
        server.gate.set()
        assert (await busy.hears()).endswith(b"done")


async def test_one_address_has_a_bound_of_its_own_and_a_trusted_proxy_has_none() -> None:
    async with serving(per_address=2) as server:
        first = await server.connects(HALF)
        await server.connects(HALF)
        assert (await (await server.connects(WHOLE)).hears()).endswith(b"hi")
        assert await first.is_closed()
        assert server.dropped == {"room": 1}
    async with serving(per_address=2, trusted="127.0.0.1") as server:
        for _ in range(5):
            await server.connects(HALF)
        await server.stage(waiting=5)


def test_one_address_does_not_push_others_out() -> None:
    closed: list[str] = []
    all_ = Connections(100, 2, FOREVER, FOREVER)
    _ = [
        all_.admit(address, lambda address=address: closed.append(address))  # type: ignore[misc]
        for address in ("192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8::2", "192.0.2.1")
    ]
    assert (closed, len(all_)) == ([], 5)


async def test_a_network_of_ipv6_counts_as_one_address() -> None:
    closed: list[str] = []
    all_ = Connections(100, 2, FOREVER, FOREVER)
    for number in range(4):
        all_.admit(f"2001:db8::{number}", lambda number=number: closed.append(str(number)))  # type: ignore[misc]
    all_.admit("2001:db8:0:1::1", lambda: closed.append("another"))
    assert closed == ["0", "1"]


class Exhausted:
    """A loop whose accept fails so often."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.accept = asyncio.get_running_loop().sock_accept

    async def __call__(self, door: socket.socket) -> Any:
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return await self.accept(door)


async def test_without_file_handles_one_line_is_said_and_who_waits_gives_theirs_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "_RETRY_SECONDS", 0)
    with capture_logs() as logs:
        async with serving() as server:
            waiting = await server.connects(HALF)
            exhausted = Exhausted(50)
            monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", exhausted)
            await server.connects(HALF)  # whom the accept under way takes
            await until(lambda: not exhausted.left)
            assert await waiting.is_closed()
            assert (await (await server.connects(WHOLE)).hears()).endswith(b"hi")
    said = [line for line in logs if line["event"] == "no connection can be taken"]
    assert len(said) == 1
    assert "LimitNOFILE" in said[0]["mend"]


async def test_a_defect_in_taking_one_connection_takes_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as server:
        await server.connects(HALF)
        admit = server.all.admit

        def fails(*_: object) -> None:
            monkeypatch.setattr(server.all, "admit", admit)
            raise RuntimeError

        monkeypatch.setattr(server.all, "admit", fails)
        with capture_logs() as logs:
            reader, writer = await asyncio.open_connection(*server.address)
            assert await reader.read() == b""
            writer.close()
        assert [x["event"] for x in logs] == ["a connection could not be taken; the next one is"]
        assert (await (await server.connects(WHOLE)).hears()).endswith(b"hi")


async def test_an_address_that_this_machine_lacks_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    known = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
        for address in ("203.0.113.7", "127.0.0.1")
    ]

    async def resolved(*_: object, **__: object) -> Any:
        return known

    monkeypatch.setattr(loop, "getaddrinfo", resolved)
    door = Listener(Connections(10, 10, FOREVER, FOREVER), asyncio.Protocol)
    async with door.listening("both", 0) as addresses:
        assert [host for host, _ in addresses] == ["127.0.0.1"]
    known.pop()
    with pytest.raises(OSError, match="assign"):
        async with door.listening("one", 0):
            pass


async def test_an_address_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    async with serving() as server:
        door = Listener(server.all, asyncio.Protocol)
        with pytest.raises(OSError, match="in use"):
            async with door.listening(*server.address):
                pass


async def test_a_name_with_several_addresses_is_listened_on_at_all_of_them() -> None:
    door = Listener(Connections(10, 10, FOREVER, FOREVER), asyncio.Protocol)
    async with door.listening("localhost", 0) as addresses:
        assert "127.0.0.1" in {host for host, _ in addresses}


@pytest.mark.parametrize(
    ("limit", "fit"), [(64, 16), (256, 64), (512, 256), (1024, 768), (1256, 1000), (65536, 1000)]
)
def test_connections_leave_handles_to_the_others(limit: int, fit: int) -> None:
    assert room_in(limit, 1000) == fit


def test_what_happens_all_the_time_is_said_once_a_minute_with_its_count() -> None:
    seldom = Seldom()
    said = [seldom.due("x", at) for at in (0, 1, 2, EVERY_SECONDS, EVERY_SECONDS + 1)]
    assert said == [1, 0, 0, 3, 0]
    assert seldom.due("y", 1) == 1


def test_what_is_told_apart_is_bounded() -> None:
    seldom = Seldom()
    for number in range(2 * REMEMBERED_KEYS):
        seldom.due(str(number), 0)
    assert len(seldom._by_key) <= REMEMBERED_KEYS + 1
    assert OTHERS in seldom._by_key
    assert seldom.due("later", EVERY_SECONDS) == 1
    assert len(seldom._by_key) == 1


def test_each_reason_that_is_worth_a_line_has_one() -> None:
    assert set(connections._MESSAGES) == {
        "header",
        "stalled",
        "room",
        "refused",
        "handshake",
        "plain",
    }
