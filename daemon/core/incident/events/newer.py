"""What a newer stopgap has written, as far as this one can read it: during a rolling upgrade both
have the same store open."""

from __future__ import annotations

from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup


class WrittenByNewer(BaseEvent):
    """An event that this version does not know; it stands in its place when it is read, and is
    never written. `of`: its kind; `written_in`: the format of its entry."""

    group: ClassVar[EventGroup] = "problem"
    kind: Literal["WrittenByNewer"] = "WrittenByNewer"
    of: str
    written_in: int

    def describe(self) -> str:
        return f"a newer stopgap wrote {self.of} here, which this version cannot read"
