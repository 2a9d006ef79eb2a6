"""Pages through a real apprise: none waits behind another, and a redirect is no delivery."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from daemon.adapters.channels.apprise import AppriseChannel
from daemon.adapters.daemon_threads import DaemonThreads
from daemon.adapters.pagers.apprise import ApprisePager
from daemon.adapters.pagers.webhook import WebhookPager
from daemon.core.ports.notification import Pager
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import SECRET, message, page
from tests.doubles.serving import Double
from tests.loopback import LOOPBACK

SOON = 60.0
"""Seconds; apprise's pacing of this service would take 104 for twenty pages."""


class Ntfy(Double):
    """A service that apprise paces: 5.5 s between two requests. With `expected` each hangs until it
    is `freed`, and `all_there` says when so many do."""

    def __init__(self) -> None:
        super().__init__()
        self.freed = asyncio.Event()
        self.taken: list[str] = []
        self.expected = 0
        self.all_there = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Whatever it is."""
        self.taken.append(request.method)
        if self.expected:
            if len(self.taken) == self.expected:
                self.all_there.set()
            await self.freed.wait()
        return web.json_response({})

    @property
    def secret_url(self) -> str:
        """Its apprise URL."""
        return self.url.replace("http://", f"ntfy://{SECRET}:{SECRET}@") + "/topic"


class Redirecting(Ntfy):
    """Redirects to a login page by this status."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    async def take(self, request: web.Request) -> web.Response:
        self.taken.append(request.method)
        if request.method == "GET":
            return web.Response(text="<form>log in</form>")
        return web.Response(status=self.status, headers={"Location": "/login"})


@pytest.fixture
async def ntfy() -> AsyncIterator[Ntfy]:
    async with Ntfy().serving() as double:
        yield double
        double.freed.set()


async def test_twenty_pages_at_once_arrive_at_once(ntfy: Ntfy) -> None:
    pager = ApprisePager(ntfy.secret_url, LOOPBACK)
    async with asyncio.timeout(SOON):
        said = await asyncio.gather(*(pager.page(page(page=f"r0.t{n}.ada")) for n in range(20)))
    assert said == ["accepted by apprise"] * 20
    assert ntfy.taken == ["POST"] * 20


async def test_pages_that_hang_hold_up_nobody_else(ntfy: Ntfy) -> None:
    pager = ApprisePager(ntfy.secret_url, LOOPBACK)
    many = (os.cpu_count() or 1) + 6  # more than asyncio's own threads, and than apprise's
    ntfy.expected = many
    hanging = [asyncio.create_task(pager.page(page(page=f"r0.t{n}.ada"))) for n in range(many)]
    await ntfy.all_there.wait()
    async with (
        Ntfy().serving() as other,
        aiohttp.ClientSession() as session,
        asyncio.timeout(SOON),
    ):
        # Mail, DNS and the store's files use asyncio's own threads.
        assert await asyncio.gather(*(asyncio.to_thread(int, "1") for _ in range(40))) == [1] * 40
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        ways: list[Pager] = [
            ApprisePager(other.url.replace("http://", "json://"), LOOPBACK),
            WebhookPager(session, other.url, None, SOON),
        ]
        for way in ways:
            await way.page(page())
        await AppriseChannel(other.secret_url, LOOPBACK).post(message())
    for task in hanging:
        task.cancel()
    ended = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError | Temporary) for one in ended)


async def test_several_services_of_one_url_are_all_told(ntfy: Ntfy) -> None:
    async with Ntfy().serving() as other:
        pager = ApprisePager(f"{ntfy.secret_url}, {other.secret_url}", LOOPBACK)
        assert await pager.page(page()) == "accepted by apprise"
        assert (ntfy.taken, other.taken) == (["POST"], ["POST"])
        other.mood = 500
        with pytest.raises(Temporary, match=r"to all of its services: .*500"):
            await pager.page(page())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("more", ["", "?redirect=yes"])
async def test_a_login_page_is_no_delivery(status: int, more: str) -> None:
    async with Redirecting(status).serving() as double:
        for kind in ("ntfy", "json"):
            url = double.url.replace("http://", f"{kind}://{SECRET}:{SECRET}@") + f"/topic{more}"
            with pytest.raises(Permanent) as caught:
                await ApprisePager(url, LOOPBACK).page(page())
            assert f"redirects ({status}), to a login page or to https" in str(caught.value)
            assert SECRET not in str(caught.value)
        assert double.taken == ["POST", "POST"], "nothing was followed"


async def test_the_status_of_a_refusal_is_told(ntfy: Ntfy) -> None:
    ntfy.mood = 403
    with pytest.raises(Temporary, match="could not deliver it: the service answered 403"):
        await ApprisePager(ntfy.secret_url, LOOPBACK).page(page())


class TestThreads:
    async def test_what_a_call_returns_or_raises_is_the_callers(self) -> None:
        threads = DaemonThreads("of a test", 2)
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)

    async def test_there_are_at_most_so_many(self) -> None:
        threads = DaemonThreads("of a test", 2)
        both, seen = threading.Barrier(2), set[int]()

        def call() -> None:
            both.wait()  # each needs another beside it
            seen.add(threading.get_ident())

        await asyncio.gather(*(threads.run(call) for _ in range(10)))
        assert len(seen) == 2

    async def test_what_has_not_begun_is_never_made_once_it_is_given_up(self) -> None:
        threads = DaemonThreads("of a test", 1)
        begun, free, made = threading.Event(), threading.Event(), list[int]()

        def hang() -> None:
            begun.set()
            free.wait()

        first = asyncio.create_task(threads.run(hang))
        await asyncio.to_thread(begun.wait)
        second = asyncio.create_task(threads.run(lambda: made.append(1)))
        await asyncio.sleep(0)
        second.cancel()
        third = asyncio.create_task(threads.run(lambda: made.append(3)))
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(first, third)
        assert second.cancelled()
        assert made == [3]

    def test_the_process_ends_whatever_hangs(self) -> None:
        program = (
            "import asyncio, threading\n"
            "from daemon.adapters.daemon_threads import DaemonThreads\n"
            "async def main():\n"
            "    begun = threading.Event()\n"
            "    hang = lambda: (begun.set(), threading.Event().wait())\n"
            "    call = asyncio.ensure_future(DaemonThreads('x', 1).run(hang))\n"
            "    while not begun.is_set():\n"
            "        await asyncio.sleep(0)\n"
            "    call.cancel()\n"
            "asyncio.run(main())\n"
            "print('ended')\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
        )
        assert ended.stdout == "ended\n"
