"""What can have happened to a step that stops midway, so that the metrics are looked at."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.incident.reasons import StageReason
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.values.units import AnyVersion


class StageReached(BaseEvent):
    """The first part of the step is done, and it waits: `share` of the whole (between 0
    and 1) is at `item` now."""

    group: ClassVar[EventGroup] = "recovery"

    kind: Literal["StageReached"] = "StageReached"
    step: int
    text: str
    share: float
    item: str = ""

    def describe(self) -> str:
        return f"step {self.step} stops midway and looks at the metrics: {self.text}"


class StageRuled(BaseEvent):
    """The step goes on to its end, or takes back what it did: by the metrics, or by a `person`.

    `readings` is what it was ruled by, the newest last; none where a person did.
    """

    group: ClassVar[EventGroup] = "recovery"

    kind: Literal["StageRuled"] = "StageRuled"
    step: int
    go_on: bool
    reason: Annotated[StageReason, AnyVersion]
    text: str
    person: str = ""
    readings: tuple[RecoveryReading, ...] = ()

    def describe(self) -> str:
        does = "goes on" if self.go_on else "is stopped and taken back"
        return f"step {self.step} {does}: {self.text}"
