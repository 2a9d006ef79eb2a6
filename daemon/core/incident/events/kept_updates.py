"""That a channel keeps what was sent there, for nothing can be changed in it."""

from __future__ import annotations

from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup


class UpdateKept(BaseEvent):
    """This version does not come to the channel: what was sent there cannot be changed."""

    group: ClassVar[EventGroup] = "updates"

    kind: Literal["UpdateKept"] = "UpdateKept"
    update: str
    version: int
    channel: str

    def describe(self) -> str:
        return (
            f"update {self.update} stays in {self.channel} as it was sent: it is not changed there"
        )
