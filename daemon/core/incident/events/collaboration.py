"""What can have happened to the room and the call of an incident, and to tickets of vendors."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import AnyVersion, printable

RoomPart = Literal["room", "call"]
"""The incident's own channel in the chat, and the call in which people talk."""
RoomDeed = Literal["open", "call", "greet", "invite", "topic", "archive"]
"""What is done to them: open the room, or the call; write and pin the first message, invite people,
set the topic, archive the room."""


class _AboutCollaboration(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "people"


class RoomRequested(_AboutCollaboration):
    """The intent to open the room and the call, as far as they are set up. `person` is empty if
    the settings want them; `why` says so then."""

    kind: Literal["RoomRequested"] = "RoomRequested"
    person: str = ""
    why: str = ""

    def describe(self) -> str:
        by = f" by {self.person}" if self.person else ""
        return printable(f"room and call asked for{by}{f': {self.why}' if self.why else ''}")


class RoomOpened(_AboutCollaboration):
    """It is there. `service` made it; `url` leads people there, empty if the service did not say;
    `key` is what the service calls it by, and `name` what people do."""

    kind: Literal["RoomOpened"] = "RoomOpened"
    part: Annotated[RoomPart, AnyVersion]
    service: str
    url: str = ""
    key: str = ""
    name: str = ""

    def describe(self) -> str:
        name = f" {self.name}" if self.name else ""
        return printable(f"{self.part}{name} is open ({self.service}) {self.url}").rstrip()


class RoomGreeted(_AboutCollaboration):
    """The first message stands in the room, pinned; `key` is what the service calls it by."""

    for_people: ClassVar[bool] = False

    kind: Literal["RoomGreeted"] = "RoomGreeted"
    key: str

    def describe(self) -> str:
        return "the first message in the room is pinned"


class RoomInvited(_AboutCollaboration):
    """These people are in the room now. `left_out`: who could not be invited, and why."""

    kind: Literal["RoomInvited"] = "RoomInvited"
    people: tuple[str, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)

    def describe(self) -> str:
        parts = [f"in the room now: {', '.join(self.people)}"] if self.people else []
        parts += [
            f"{name} was not invited to the room: {why}" for name, why in self.left_out.items()
        ]
        return printable("; ".join(parts)) or "nobody was invited to the room"


class RoomTopicSet(_AboutCollaboration):
    """What the topic of the room says from now on."""

    for_people: ClassVar[bool] = False

    kind: Literal["RoomTopicSet"] = "RoomTopicSet"
    topic: str

    def describe(self) -> str:
        return printable(f"the topic of the room: {self.topic}")


class RoomFailed(_AboutCollaboration):
    """It did not work. `last`: it is not tried again by itself. `retry_after`: the service asked
    for so many seconds of rest."""

    kind: Literal["RoomFailed"] = "RoomFailed"
    deed: Annotated[RoomDeed, AnyVersion]
    error: str
    last: bool = False
    retry_after: int = 0

    def describe(self) -> str:
        return room_failure(self.deed, self.error, last=self.last)


_FAILURES = {
    "open": "the room was not opened",
    "call": "the call was not opened",
    "greet": "the first message of the room was not written",
    "invite": "somebody was not invited to the room",
    "topic": "the topic of the room was not set",
    "archive": "the room was not archived",
}


def room_failure(deed: str, error: str, *, last: bool) -> str:
    """What did not work, why, and whether it is tried again, in a sentence."""
    ends = "; it is not tried again by itself" if last else "; it is tried again"
    return printable(f"{_FAILURES.get(deed, f'{deed} of the room failed')}: {error}{ends}")


class RoomArchived(_AboutCollaboration):
    """Nobody writes in the room any more; it can still be read there."""

    kind: Literal["RoomArchived"] = "RoomArchived"
    service: str

    def describe(self) -> str:
        return printable(f"the room is archived ({self.service})")


class RoomNoted(_AboutCollaboration):
    """A message of the room that somebody pinned or marked there.

    `person` wrote it, empty for somebody outside the roster; `who` is what the chat calls them.
    `key` is what the service calls the message by: each is taken once.
    """

    kind: Literal["RoomNoted"] = "RoomNoted"
    person: str = ""
    who: str = ""
    text: str
    key: str
    link: str = ""

    def describe(self) -> str:
        who = self.person or self.who or "somebody"
        return printable(f"{who} wrote in the room: {self.text}")


class VendorTicketOpened(_AboutCollaboration):
    """A person opened a ticket with a vendor, who calls it by that number."""

    kind: Literal["VendorTicketOpened"] = "VendorTicketOpened"
    vendor: str
    ticket: str
    person: str

    def describe(self) -> str:
        return printable(f"{self.person} opened a ticket with {self.vendor}: {self.ticket}")


CollaborationEvent = (
    RoomRequested
    | RoomOpened
    | RoomGreeted
    | RoomInvited
    | RoomTopicSet
    | RoomFailed
    | RoomArchived
    | RoomNoted
    | VendorTicketOpened
)
