"""Keeps the store from growing without end: old incidents move to the archive, one at a time, and
other records that are over go by age."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from daemon.core.ports.archive import Archive, Records
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer

_log = structlog.get_logger()

_EVERY = timedelta(days=1)
_AT_ONCE = 200
"""So many are asked for at a time; the rest follows at once."""
PAUSE = 0.1
"""Seconds between two incidents: whatever else writes to the store goes first."""


async def retain(
    archive: Archive,
    keep: timedelta,
    clock: Callable[[], datetime],
    observer: Observer = QUIET,
) -> None:
    """Once a day, and at the start: put away what was closed longer than `keep` ago."""
    await _daily(lambda: sweep(archive, keep, clock), "putting old incidents away", observer)


async def expire(
    records: Records,
    keep: timedelta,
    clock: Callable[[], datetime],
    observer: Observer = QUIET,
) -> None:
    """Once a day, and at the start: take out what was over longer than `keep` ago."""

    async def once() -> None:
        now = clock()
        gone = await records.expire(now - keep, now)
        if gone:
            _log.info("old records are gone", rows=dict(gone))

    await _daily(once, "taking out old records", observer)


async def _daily(once: Callable[[], Awaitable[object]], what: str, observer: Observer) -> None:
    while True:
        try:
            await once()
        except (Temporary, Permanent) as error:
            _log.warning(f"{what} stopped; it goes on tomorrow", error=str(error))
        except Exception:
            _log.exception(f"{what} crashed; it goes on tomorrow")
            observer.crashed("retention")
        await asyncio.sleep(_EVERY.total_seconds())


async def sweep(archive: Archive, keep: timedelta, clock: Callable[[], datetime]) -> int:
    """Put away all that is due; how many incidents that were. Raises Temporary. What is not as it
    was written stays where it is, and is told of."""
    before, moved, broken = clock() - keep, 0, 0
    while due := (await archive.due(before, _AT_ONCE + broken))[broken:]:
        for incident in due:
            try:
                name = await archive.put_away(incident, clock())
            except Permanent as error:
                _log.error("an old incident is not archived", incident=incident, error=str(error))
                broken += 1
            else:
                _log.info("archived", incident=incident, file=name)
                moved += 1
            await asyncio.sleep(PAUSE)
    return moved
