"""How maintenance windows hold the calls of an incident."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import AnyVersion, Moment, printable

ReleaseReason = Literal["over", "ended_early", "merged"]
"""Why calls are held no more: the window's announced end (or it concerns the incident no more), a
person's word, or that an incident became part of it for which people are called."""


class _AboutHolding(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "calls"


class PagesHeld(_AboutHolding):
    """It opened within a maintenance window: until that ends nobody is called by itself and no
    action starts; it is measured all the same. `by` announced the window."""

    kind: Literal["PagesHeld"] = "PagesHeld"
    window: str
    by: str
    until: Moment
    reason: str

    def describe(self) -> str:
        until = f"{self.until:%Y-%m-%d %H:%M} UTC"
        why = f"announced by {self.by}: {printable(self.reason)}"
        return f"calls are held by maintenance until {until} ({why})"


class PagesReleased(_AboutHolding):
    """The maintenance is over for it: calls begin as if it had opened now."""

    kind: Literal["PagesReleased"] = "PagesReleased"
    window: str
    reason: Annotated[ReleaseReason, AnyVersion]
    text: str

    def describe(self) -> str:
        return f"calls begin: {self.text}"


MaintenanceEvent = PagesHeld | PagesReleased
