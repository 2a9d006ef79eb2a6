"""The port to the few facts that must outlive the process and belong to no incident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Notes(Protocol):
    """A list of words under each name. Everything raises Temporary or Permanent."""

    async def read(self, name: str) -> tuple[str, ...]:
        """What was written last under that name; nothing, if nothing was."""

    async def write(self, name: str, values: Sequence[str]) -> None:
        """Keep these words, durably, in place of those before."""
