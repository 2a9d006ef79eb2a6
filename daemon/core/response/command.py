"""A command: what a person does to an incident, as a value. It adds events, or says why not.

Pure like everything in the core: the shell parses what was sent into a command, authenticates the
person, builds the situation and appends the events. All commands are listed in
`daemon.core.commands`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.rooms import NO_ROOMS, RoomPolicy
from daemon.core.rules.rule import Rule, StepSpec

TEXT_LENGTH = 2000
"""Characters of a note, a reason or an update that somebody writes."""

Surface = Literal["cli", "api", "page", "link", "slack", "webhook", "mcp"]
"""By what a command comes: the command line, another client of the API, the incident's page, the
signed link of a call, a button in Slack, a system that reports, an assistant that speaks MCP."""


class NotPossible(ValueError):
    """The command does not fit the incident as it stands; the text says why, and what to do."""


class InvalidCommand(NotPossible):
    """The command itself is wrong, and no moment makes it fit: it names somebody who is not there,
    or a step that no action of the catalogue can carry out."""


@dataclass(frozen=True)
class CommandSituation:
    """What a command may need to know beyond the incident, at the moment of the append.

    `person` gives the command; empty if that is another system. `rule` is the one in force, if
    there is one. `document` is the link to the incident's standard document. `misfit` says why a
    step cannot be carried out for this incident by the catalogue of actions; empty if it can.
    `rooms`: where people can meet.
    `others`: the other incidents that the command mentions, by id, as far as there are any.
    """

    person: str
    via: Surface
    now: datetime
    roster: Roster
    rule: Rule | None
    document: str
    misfit: Callable[[StepSpec], str]
    rooms: RoomPolicy = NO_ROOMS
    others: Mapping[str, Incident] = field(default_factory=dict)


@dataclass(frozen=True)
class Command(ABC):
    """What somebody wants to be done.

    `even_closed`: a closed incident takes it, too. `commander_only`: what only the Commander may
    do by it, for the sentence that says so; empty if every responder may.
    """

    even_closed: ClassVar[bool] = False
    commander_only: ClassVar[str] = ""

    @property
    def mentions(self) -> tuple[str, ...]:
        """The ids of other incidents that it names."""
        return ()

    def apply(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        """The events that it adds; none, if all is so already. Raises NotPossible."""
        person = situation.person
        barred = situation.roster.bars(person) if person else ""
        if barred:
            raise NotPossible(barred)
        if incident.closed is not None and not self.even_closed:
            raise NotPossible(
                f"incident {incident.id} is closed, and takes notes, updates, its cause "
                "and follow-ups only; "
                "if the trouble comes back, its alerts open a new one"
            )
        if self.commander_only and incident.commander != person:
            who = incident.commander or "nobody; acknowledge the incident first"
            raise NotPossible(f"only the Commander may {self.commander_only}; that is {who}")
        return self._events(incident, situation)

    @abstractmethod
    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        """The events, from whoever may give the command to an incident that takes it."""


def required_text(text: str, what: str) -> str:
    """A text without the white space around it, its lines ended as ours. Raises NotPossible if it
    is empty or longer than TEXT_LENGTH."""
    found = text.replace("\r\n", "\n").strip()  # forms end their lines as mail does
    if not found:
        raise NotPossible(f"the {what} is empty")
    if len(found) > TEXT_LENGTH:
        raise NotPossible(f"the {what} has {len(found)} characters; {TEXT_LENGTH} at most")
    return found


def optional_text(text: str) -> str:
    """A reason, which may be empty, without the white space around it and cut to TEXT_LENGTH."""
    return text.strip()[:TEXT_LENGTH]
