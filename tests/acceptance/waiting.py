"""Waiting for a condition, with a deadline: the only place where these tests let time pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LOOK_EVERY = 0.02
_CROWDED = 10
"""So many times as long as on a quick machine of one's own: several tests run side by side on two
slow cores, with a browser and three servers each."""

T = TypeVar("T")


class NotInTime(AssertionError):
    """What was waited for did not come."""


async def until(what: str, seen: Callable[[], Awaitable[T] | T], within: float = 10) -> T:
    """Look until `seen` gives something true, and return that. `within`: seconds that it takes at
    most on a quick and quiet machine. Raises NotInTime."""
    loop = asyncio.get_running_loop()
    within *= _CROWDED
    deadline = loop.time() + within
    while True:
        found = seen()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if loop.time() > deadline:
            raise NotInTime(f"waited {within:.0f} s for {what}")
        await asyncio.sleep(LOOK_EVERY)


def wait_until(what: str, seen: Callable[[], T], within: float = 10) -> T:
    """`until`, for code without an event loop."""
    within *= _CROWDED
    deadline = time.monotonic() + within
    while True:
        found = seen()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"waited {within:.0f} s for {what}")
        time.sleep(LOOK_EVERY)
