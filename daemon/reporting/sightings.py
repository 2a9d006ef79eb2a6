"""Which alerts there was news of, without looking through the past each time.

The incidents that have been closed hear of no alert any more: once the past was looked through,
only what is open, or was closed since, can tell of more.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from daemon.core.ports.journal import AlertSighting, Journal

MOST_SIGHTINGS = 20_000
"""So many of the newest are kept in memory."""
_SLACK = timedelta(hours=1)
"""So far behind what was asked last it is asked again: the clocks of replicas differ."""
_ALL_ANEW = timedelta(days=1)
"""As often the whole past is asked for: incidents may have gone to the archive."""


class _Looked(NamedTuple):
    """Since when the past is known, when all of it was looked through, and when what is new."""

    since: datetime
    whole_at: datetime
    at: datetime

    def covers(self, since: datetime, now: datetime) -> bool:
        """Whether only what is new has to be asked for."""
        return self.since <= since and self.at <= now < self.whole_at + _ALL_ANEW


class SightingCache:
    """The alerts of the past of one journal; exact, but for what the archive has taken today."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], AlertSighting] = {}
        self._looked: _Looked | None = None
        self._asking = asyncio.Lock()

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._known)

    async def seen(self, journal: Journal, since: datetime, now: datetime) -> list[AlertSighting]:
        """The alerts there was news of from then on, once for each incident, the newest first.
        Raises Temporary."""
        async with self._asking:
            looked = self._looked
            if looked is None or not looked.covers(since, now):
                found = await journal.alert_sightings(since)
                self._known = {}
                self._looked = _Looked(since, now, now)
            else:
                found = await journal.alert_sightings(max(since, looked.at - _SLACK))
                self._looked = looked._replace(at=now)
            for one in found:
                self._known[one.alert, one.incident] = one
            newest = sorted(self._known.values(), key=lambda one: one.at, reverse=True)
            self._known = {(one.alert, one.incident): one for one in newest[:MOST_SIGHTINGS]}
            return [one for one in self._known.values() if one.at >= since]
