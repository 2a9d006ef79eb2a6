"""How many measurements are under way at once, and which of them go first.

Without a bound, hundreds of incidents would ask Prometheus all their queries at the same moment,
and most would only learn that no answer came in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MEASURED_AT_ONCE = 4
"""So many incidents are measured side by side: enough to keep Prometheus's connections busy."""
REPEATED = 2
"""Of those so many were measured before."""


class MeasuringQueue:
    """Turns to measure, in the order of asking."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(MEASURED_AT_ONCE)
        self._repeated = asyncio.Semaphore(REPEATED)

    @property
    def busy(self) -> bool:
        """Whether whoever asks for a turn now has to wait."""
        return self._all.locked()

    @asynccontextmanager
    async def turn(self, *, repeated: bool) -> AsyncIterator[None]:
        """Wait for a turn, and hold it. What repeats an earlier measurement goes behind what
        nobody has measured yet, and yet is never kept from going."""
        if not repeated:
            async with self._all:
                yield
            return
        # No more of them than REPEATED ever stand in the queue of all.
        async with self._repeated, self._all:
            yield
