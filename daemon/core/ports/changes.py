"""The port that sees changes (deployments) of one target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from daemon.core.changes.suspects import Change


class Watch(Protocol):
    """Sees changes of one kind of target."""

    async def look(self) -> Sequence[Change]:
        """The changes that can be dated, oldest first; the last made the live item live.

        `rolling` says of the last whether its rollout still goes on. Empty if nothing is live.
        Raises Temporary or Permanent.
        """
