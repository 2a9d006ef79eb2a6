"""The port that sees changes (deployments) of one target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from daemon.core.alertmanager import Labels
from daemon.core.changes.suspects import Change


class Watch(Protocol):
    """Sees changes of one kind of target."""

    async def look(self) -> Sequence[Change]:
        """The changes that can be dated, oldest first; the last made the live item live.

        `rolling` says of the last whether its rollout still goes on. Empty if nothing is live.
        Raises Temporary or Permanent.
        """


@runtime_checkable
class ListsTargets(Protocol):
    """A kind of watch whose targets can be listed, so that what `$name` will be is known."""

    def existing(self, params: Mapping[str, Any], base: Path) -> list[Labels]:
        """The values of the `$names` in a rule's parameters for which there is a target now;
        `base` is the folder of stopgap.yaml. May take its time. Raises Temporary."""
