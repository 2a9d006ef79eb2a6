"""The port to the chat and the calls in which people work on an incident together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from daemon.core.measurement.problem import Severity
from daemon.core.values.outcome import Temporary


class RateLimited(Temporary):
    """The service wants to rest for so many seconds first."""

    def __init__(self, text: str, seconds: int) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True)
class RoomDraft:
    """A room to be opened. By `incident` it is found again before it would be made twice; `name` is
    what it should be called, if that is free. `text` is plain, and others wrote parts of it.
    `link` leads to the incident's document, `call` to its call, empty if there is none."""

    incident: str
    name: str
    title: str
    text: str
    severity: Severity
    team: str
    link: str
    at: datetime
    call: str = ""


@dataclass(frozen=True)
class Room:
    """Where the room is: `key` as the service calls it, `url` for people; both may be empty.
    `call`: the address of a call that came with it."""

    key: str = ""
    url: str = ""
    name: str = ""
    call: str = ""


class Rooms(Protocol):
    """One service that opens rooms."""

    @property
    def name(self) -> str:
        """What it is called in sentences: slack, webhook."""

    async def open(self, draft: RoomDraft) -> Room:
        """The room of this draft: the one that is there already, else a new one. Raises Temporary
        or Permanent; no error holds a secret."""

    async def archive(self, key: str, incident: str) -> None:
        """End it; harmless for one that has ended. Raises Temporary or Permanent."""


@dataclass(frozen=True)
class Invited:
    """Who is in the room now; `refused`: who cannot be, and why; `trouble`: why the rest waits."""

    users: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    trouble: Temporary | None = None


@dataclass(frozen=True)
class RoomMessage:
    """A message that stands in a room. `user` wrote it, as the service calls them; `text` is plain.
    `own`: we wrote it."""

    user: str
    text: str
    link: str = ""
    own: bool = False


@runtime_checkable
class TendsRooms(Protocol):
    """A service whose rooms can be kept while they are there. `key` is that of the room."""

    async def greet(self, key: str, draft: RoomDraft) -> str:
        """Write the first message and pin it, unless it stands there; its key."""

    async def invite(self, key: str, users: Sequence[str]) -> Invited:
        """Invite these, each for themselves. Raises nothing: `Invited` says what was wrong."""

    async def set_topic(self, key: str, topic: str) -> None:
        """Set the topic, shortened to what fits. Raises Temporary or Permanent."""

    async def message(self, key: str, message: str) -> RoomMessage | None:
        """A message by its key; None if there is none. Raises Temporary or Permanent."""
