"""The ports to what becomes of the old: incidents go to files, other records go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class Archive(Protocol):
    """Moves closed incidents out of the journal, without losing one."""

    async def due(self, before: datetime, limit: int) -> list[str]:
        """Incidents that were closed before that, the oldest first, and need nothing more: their
        review is written, and they hold no lock. Raises Temporary."""

    async def put_away(self, incident: str, at: datetime) -> str:
        """Write the incident to a file, read that back, and only then take it out of the
        journal; the file's name. Raises Temporary, or Permanent if the incident is not as it
        was written, and then it stays where it is."""


class Records(Protocol):
    """What is kept beside incidents: sessions, tokens, changes, marks, actions, freezes,
    maintenance windows, overrides and swaps."""

    async def expire(self, before: datetime, now: datetime) -> Mapping[str, int]:
        """Take out what was over before that, and is needed by nothing; how many rows of which
        table. Raises Temporary."""
