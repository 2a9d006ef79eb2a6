"""Looking again and again at something that takes its time, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

Pause = Callable[[float], Awaitable[None]]
"""Waits so many seconds: `asyncio.sleep`, but in tests."""


class Countdown:
    """Counts down `timeout`, one look `every` so often."""

    def __init__(self, timeout: timedelta, every: timedelta, pause: Pause) -> None:
        self._left = timeout.total_seconds()
        self._every = every.total_seconds()
        self._pause = pause
        self._since = asyncio.get_running_loop().time()

    async def lasts(self) -> bool:
        """Pause, unless the time is up; False if it is."""
        now = asyncio.get_running_loop().time()
        self._left -= max(0.0, now - self._since)
        self._since = now
        if self._left <= 0:
            return False
        wait = min(self._every, self._left)
        await self._pause(wait)
        # The pause counts in full, however long a test really made it.
        self._left -= wait
        self._since = asyncio.get_running_loop().time()
        return True
