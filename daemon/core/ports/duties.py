"""The port to duties: what only one replica at a time may do, as a lease in the store.

Leases are reckoned by the database's clock. Whoever holds one stops by its own clock before the
lease ends; so nobody does what another one has taken over.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Literal, NamedTuple, Protocol

Duty = Literal[
    "autonomy",
    "calendars",
    "changes",
    "drills",
    "emergency",
    "follow-ups",
    "last word",
    "maintenance",
    "reconciler",
    "retention",
]


class DutyHolder(NamedTuple):
    """Who has a duty, and for how many seconds from now if it is not renewed."""

    duty: str
    owner: str
    seconds: float


class Duties(Protocol):
    """The leases. Raises Temporary or Permanent."""

    async def take(self, names: Collection[str], owner: str, lease: timedelta) -> frozenset[str]:
        """Take or renew what is free, has no living holder or is the owner's own already; returns
        what is theirs now, for so long."""

    async def leave(self, owner: str) -> None:
        """Give up all that is the owner's, for others to take at once."""

    async def holders(self) -> list[DutyHolder]:
        """Who has what, by duty; leases that are over are left out."""
