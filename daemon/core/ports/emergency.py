"""The port to the memory of emergency calls, which must not be in the store they are about."""

from __future__ import annotations

from typing import Protocol

from daemon.core.ports.store import TroubleKind
from daemon.core.values.units import Frozen, Moment


class EmergencyNotice(Frozen):
    """That somebody was told of a trouble, by which of their ways, and when last."""

    kind: TroubleKind
    person: str
    method: str
    at: Moment


class CallMemory(Protocol):
    """Who was told of what; it outlives the process."""

    async def load(self) -> tuple[EmergencyNotice, ...]:
        """What was saved last; empty if nothing was. Raises Temporary or Permanent."""

    async def save(self, notices: tuple[EmergencyNotice, ...]) -> None:
        """Replace it. Raises Temporary or Permanent."""
