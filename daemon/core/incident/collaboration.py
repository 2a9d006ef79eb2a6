"""Where people work on an incident together: its room, its call, and tickets with vendors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.incident import events as e


@dataclass(frozen=True)
class RoomPlace:
    """A room or a call that is there; see `RoomOpened`."""

    service: str
    url: str
    key: str
    name: str
    at: datetime


@dataclass(frozen=True)
class RoomTrouble:
    """What failed so far: how often in a row, when last, and why. `given_up`: it is not tried again
    by itself."""

    failures: int
    at: datetime
    error: str
    retry_after: int = 0
    given_up: bool = False


@dataclass(frozen=True)
class Collaboration:
    """What there is of it. `invited`: who was, or could not be. `greeting`: the key of the first
    message. `noted`: the keys of the room's messages that stand in the timeline."""

    requested: e.RoomRequested | None = None
    requested_at: datetime | None = None
    room: RoomPlace | None = None
    call: RoomPlace | None = None
    greeting: str = ""
    invited: frozenset[str] = frozenset()
    topic: str = ""
    topic_at: datetime | None = None
    archived_at: datetime | None = None
    troubles: Mapping[e.RoomDeed, RoomTrouble] = field(default_factory=dict)
    noted: frozenset[str] = frozenset()
    tickets: tuple[e.VendorTicketOpened, ...] = ()

    @property
    def given_up(self) -> bool:
        """Whether opening is not tried again unless a person asks for it once more."""
        return any(
            trouble.given_up for deed, trouble in self.troubles.items() if deed in {"open", "call"}
        )
