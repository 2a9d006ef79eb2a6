"""At the start a database that is away for a moment is waited for, and nobody is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from daemon.app.opening import AWAY_SECONDS, open_patiently
from daemon.app.shutdown import Shutdown
from daemon.core.ports.store import Fault, StoreDown

pytestmark = pytest.mark.looptime


def _store(until: float, fault: Fault = "away") -> Callable[[], AbstractAsyncContextManager[Any]]:
    """One that cannot be opened before that time of the loop."""
    loop = asyncio.get_running_loop()
    there = loop.time() + until

    @asynccontextmanager
    async def opening() -> AsyncIterator[str]:
        if loop.time() < there:
            raise StoreDown(fault, "not now")
        yield "the store"

    return opening


def _shutdown() -> Shutdown:
    return Shutdown(timedelta(hours=1), end=lambda _: None)


async def test_one_that_comes_up_with_us_is_waited_for() -> None:
    async with AsyncExitStack() as stack:
        store: Any = await open_patiently(_shutdown(), stack, _store(AWAY_SECONDS - 3))
        assert store == "the store"


async def test_one_that_stays_away_is_told_of() -> None:
    began = asyncio.get_running_loop().time()
    async with AsyncExitStack() as stack:
        with pytest.raises(StoreDown):
            await open_patiently(_shutdown(), stack, _store(3600))
    assert AWAY_SECONDS <= asyncio.get_running_loop().time() - began < AWAY_SECONDS + 5


async def test_what_is_gone_is_told_of_at_once() -> None:
    began = asyncio.get_running_loop().time()
    async with AsyncExitStack() as stack:
        with pytest.raises(StoreDown):
            await open_patiently(_shutdown(), stack, _store(3600, "gone"))
    assert asyncio.get_running_loop().time() - began < 1


async def test_it_stops_when_it_is_asked_to_meanwhile() -> None:
    shutdown = _shutdown()
    asyncio.get_running_loop().call_later(5, shutdown.requested.set)
    async with AsyncExitStack() as stack:
        assert await open_patiently(shutdown, stack, _store(3600)) is None
