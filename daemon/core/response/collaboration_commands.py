"""What people do about where they work together: open the room, keep a vendor's ticket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.response.command import (
    Command,
    CommandSituation,
    InvalidCommand,
    NotPossible,
    required_text,
)

TICKET_LENGTH = 100
"""Characters of what a vendor calls a ticket."""
MOST_TICKETS = 50
MOST_NOTED = 300
"""So many messages of its room one incident takes."""


@dataclass(frozen=True)
class OpenRoom(Command):
    """Open the incident's room and call, as far as they are set up; once more, if that failed."""

    commander_only: ClassVar[str] = "open the room and the call"

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if incident.drill is not None:
            raise NotPossible("a drill opens no room; meet where you meet for drills")
        if not situation.rooms.available:
            raise NotPossible(
                "neither a room nor a call is set up; the section `rooms` of stopgap.yaml says "
                "where they open (then restart the daemon)"
            )
        known = incident.collaboration
        if known.requested is not None and not known.given_up:
            return ()
        return (e.RoomRequested(person=situation.person),)


@dataclass(frozen=True)
class RecordTicket(Command):
    """Keep what a vendor calls the ticket that was opened with them."""

    even_closed: ClassVar[bool] = True
    vendor: str
    ticket: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        vendors = situation.roster.vendors
        if self.vendor not in vendors:
            known = ", ".join(sorted(vendors)) or "none"
            raise InvalidCommand(f"no vendor {self.vendor!r}; `vendors` in the roster has {known}")
        ticket = " ".join(required_text(self.ticket, "ticket number").split())
        if len(ticket) > TICKET_LENGTH:
            raise InvalidCommand(f"a ticket number has {TICKET_LENGTH} characters at most")
        known_tickets = incident.collaboration.tickets
        if any((one.vendor, one.ticket) == (self.vendor, ticket) for one in known_tickets):
            return ()
        if len(known_tickets) >= MOST_TICKETS:
            raise NotPossible(f"{MOST_TICKETS} tickets stand here already; add a note instead")
        opened = e.VendorTicketOpened(vendor=self.vendor, ticket=ticket, person=situation.person)
        return (opened,)


@dataclass(frozen=True)
class NoteFromRoom(Command):
    """A message of the room that somebody pinned or marked there, taken once.

    The room's own service gives it, in the name of whoever marked the message. `author` wrote it,
    empty for somebody outside the roster.
    """

    even_closed: ClassVar[bool] = True
    author: str
    who: str
    text: str
    key: str
    link: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known = incident.collaboration
        if self.key in known.noted or self.key == known.greeting or not self.text.strip():
            return ()
        if len(known.noted) >= MOST_NOTED:
            return ()
        noted = e.RoomNoted(
            person=self.author, who=self.who, text=self.text, key=self.key, link=self.link
        )
        return (noted,)
