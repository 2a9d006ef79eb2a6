"""The dead man's switch: one GET while all is well, and silence when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import cast

import aiohttp
import pytest
import structlog
from aiohttp import web

from daemon.adapters.heartbeat import Heartbeat
from daemon.core.values.anchor import Anchor, anchors
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.seal import UNKEYED
from daemon.notifying.watchdog import WATCHDOG_EVERY, Watchdog
from daemon.repository import IncidentRepository
from daemon.watching.heartbeat import beat, trouble
from tests.doubles.serving import Double
from tests.fakes import START, MemoryJournal

SECRET = "ping-5f3a9c"
MINUTE = timedelta(minutes=1)


class Receiver(Double):
    """Hears heartbeats."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{path:.*}", self.hear)]

    async def hear(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as double:
        yield double


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


class TestSending:
    @pytest.mark.parametrize("mood", ["", 204])
    async def test_2xx_is_good(
        self, session: aiohttp.ClientSession, receiver: Receiver, mood: int | str
    ) -> None:
        receiver.mood = mood
        await Heartbeat(session, f"{receiver.url}/{SECRET}", 5).send()
        assert [asked["path"] for asked in receiver.asked] == [f"/{SECRET}"]

    async def test_it_carries_the_journals_anchor(
        self, session: aiohttp.ClientSession, receiver: Receiver
    ) -> None:
        anchor = Anchor(number=48213, at=START, digest=UNKEYED.digest("", 1))
        await Heartbeat(session, receiver.url, 5).send(anchor)
        sent = receiver.asked[0]["headers"]["X-Stopgap-Anchor"]
        assert anchors(sent) == [anchor]

    @pytest.mark.parametrize("mood", [500, 503, 404, 401, "hang"])
    async def test_anything_else_may_pass(
        self, session: aiohttp.ClientSession, receiver: Receiver, mood: int | str
    ) -> None:
        receiver.mood = mood
        timeout = 0.1 if mood == "hang" else 5
        said = "cannot be reached" if mood == "hang" else f"answered {mood}"
        with pytest.raises(Temporary, match=said) as caught:
            await Heartbeat(session, f"{receiver.url}/{SECRET}", timeout).send()
        assert SECRET not in str(caught.value)

    async def test_nobody_is_there(
        self, session: aiohttp.ClientSession, unused_tcp_port: int
    ) -> None:
        url = f"http://127.0.0.1:{unused_tcp_port}/{SECRET}"
        with pytest.raises(Temporary, match="cannot be reached") as caught:
            await Heartbeat(session, url, 5).send()
        assert SECRET not in str(caught.value)
        assert str(unused_tcp_port) not in str(caught.value)

    @pytest.mark.parametrize("url", ["", SECRET, f"ftp://{SECRET}", f"http://[{SECRET}"])
    async def test_what_is_no_url(self, session: aiohttp.ClientSession, url: str) -> None:
        with pytest.raises(Permanent, match="is not a URL") as caught:
            await Heartbeat(session, url, 5).send()
        assert SECRET not in str(caught.value)


class Watchman:
    """An auditor as far as the heartbeat looks at it."""

    def __init__(self) -> None:
        self.looked_at: datetime | None = None
        self.troubled: list[str] = []


class Beating:
    """What is heard, and the state of what it depends on."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.journal = MemoryJournal()
        self.repository = IncidentRepository(
            self.journal, lambda: START + timedelta(seconds=loop.time())
        )
        self.watchman = Watchman()
        self.heard: list[float] = []
        self.failure: Exception | None = None
        self.store_trouble = ""

    async def send(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.heard.append(round(asyncio.get_running_loop().time()))

    async def until(self, seconds: float, *, looking: bool = True) -> list[float]:
        """What is heard by then. The auditor looks as often as it should, unless it is stuck."""
        loop = asyncio.get_running_loop()
        while loop.time() < seconds:
            if looking:
                self.watchman.looked_at = self.repository.clock()
            await asyncio.sleep(min(WATCHDOG_EVERY.total_seconds(), seconds - loop.time()))
        return self.heard

    async def trouble(self) -> str:
        return await trouble(self.repository, cast("Watchdog", self.watchman))


@asynccontextmanager
async def beating() -> AsyncIterator[Beating]:
    """The heart beats once a minute inside."""
    found = Beating()
    send: Callable[[], Awaitable[None]] = found.send
    auditor = cast("Watchdog", found.watchman)
    beating = beat(
        found.repository, auditor, send, MINUTE, store_trouble=lambda: found.store_trouble
    )
    task = asyncio.create_task(beating)
    try:
        yield found
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.looptime
class TestBeating:
    async def test_at_its_interval_from_the_start(self) -> None:
        async with beating() as heart:
            assert await heart.until(190) == [0, 60, 120, 180]

    async def test_silence_while_the_store_fails(self) -> None:
        async with beating() as heart:
            await heart.until(70)
            heart.journal.failing = True
            await heart.until(250)
            heart.journal.failing = False
            assert await heart.until(310) == [0, 60, 300]

    async def test_silence_while_the_store_is_in_trouble_though_it_answers(self) -> None:
        async with beating() as heart:
            await heart.until(70)
            heart.store_trouble = "a page of the inbox is damaged"
            with structlog.testing.capture_logs() as logged:
                await heart.until(190)
            assert {entry["why"] for entry in logged} == {heart.store_trouble}
            heart.store_trouble = ""
            assert await heart.until(250) == [0, 60, 240]

    async def test_silence_while_nobody_is_called_for_an_incident(self) -> None:
        async with beating() as heart:
            await heart.until(70)
            heart.watchman.troubled = ["1124-0200-abcd"]
            with structlog.testing.capture_logs() as logged:
                await heart.until(190)
            assert {entry["why"] for entry in logged} == {await heart.trouble()}
            assert "1124-0200-abcd" in await heart.trouble()
            heart.watchman.troubled = []
            assert await heart.until(250) == [0, 60, 240]

    async def test_silence_when_the_auditor_has_stopped_looking(self) -> None:
        async with beating() as heart:
            await heart.until(70)
            stuck = 60 + 4 * WATCHDOG_EVERY.total_seconds()
            assert await heart.until(400, looking=False) == [0, 60, 120, stuck]
            assert await heart.until(430) == [0, 60, 120, stuck, 420]

    async def test_silence_when_the_auditor_has_never_looked(self) -> None:
        """It may crash from the very start; that is no reason to believe it."""
        async with beating() as heart:
            assert await heart.until(400, looking=False) == [0, 60, 120]

    @pytest.mark.parametrize(
        "failure", [Temporary("away"), Permanent("gone"), RuntimeError("a bug")]
    )
    async def test_what_does_not_arrive_is_sent_again_at_the_next_beat(
        self, failure: Exception
    ) -> None:
        async with beating() as heart:
            await heart.until(30)
            heart.failure = failure
            with structlog.testing.capture_logs() as logged:
                await heart.until(130)
            assert len(logged) == 2
            heart.failure = None
            assert await heart.until(250) == [0, 180, 240]
