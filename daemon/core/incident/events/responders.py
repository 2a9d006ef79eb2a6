"""What can have happened among the people: who came, who holds which role, who was asked."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.people.role_names import ROLE_NAMES, Role
from daemon.core.values.units import Moment, clock_time

RequestKind = Literal["ask", "offer", "takeover"]
"""`ask`: somebody is asked to take a role. `offer`: its holder hands it over. `takeover`: its
holder is asked to give it up."""
AnswerKind = Literal["accepted", "declined", "lapsed"]


class _AboutPeople(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "people"


class ResponderArrived(_AboutPeople):
    """A person answered. `via` says how: cli, api, web, a pager."""

    kind: Literal["ResponderArrived"] = "ResponderArrived"
    person: str
    via: str

    def describe(self) -> str:
        return f"{self.person} responds (by {self.via})"


class ResponderLeft(_AboutPeople):
    """A person is not on it any more, by their own word or by that of their pager."""

    kind: Literal["ResponderLeft"] = "ResponderLeft"
    person: str
    via: str

    def describe(self) -> str:
        return f"{self.person} is off it (by {self.via})"


class CommanderAppointed(_AboutPeople):
    """This person commands the incident from now on."""

    kind: Literal["CommanderAppointed"] = "CommanderAppointed"
    person: str
    reason: str

    def describe(self) -> str:
        return f"{self.person} is Commander: {self.reason}"


class CommandVacated(_AboutPeople):
    """Nobody commands any more, so people are called again."""

    kind: Literal["CommandVacated"] = "CommandVacated"
    person: str
    reason: str

    def describe(self) -> str:
        return f"nobody commands: {self.reason}"


class CommanderAsked(_AboutPeople):
    """The Commander gave no sign of life for too long and is asked; replaced after `until`."""

    kind: Literal["CommanderAsked"] = "CommanderAsked"
    person: str
    until: Moment

    def describe(self) -> str:
        return f"{self.person} is asked for a sign of life by {clock_time(self.until)}"


class RoleTaken(_AboutPeople):
    """This person holds the role from now on; command has its own event."""

    kind: Literal["RoleTaken"] = "RoleTaken"
    role: Role
    person: str
    reason: str

    def describe(self) -> str:
        return f"{self.person} is {ROLE_NAMES[self.role]}: {self.reason}"


class RoleLeft(_AboutPeople):
    """Nobody holds the role any more; fast recovery falls back to the daemon."""

    kind: Literal["RoleLeft"] = "RoleLeft"
    role: Role
    person: str
    reason: str

    def describe(self) -> str:
        return f"{ROLE_NAMES[self.role]} is vacant: {self.reason}"


class RoleRequested(_AboutPeople):
    """`asked` has until `until` to answer. `taker` holds the role once they say yes.

    `by` is a person, or empty for the daemon. `briefing` is what the taker needs to know.
    """

    kind: Literal["RoleRequested"] = "RoleRequested"
    request: str
    role: Role
    how: RequestKind
    taker: str
    asked: str
    by: str
    until: Moment
    why: str
    briefing: str

    def describe(self) -> str:
        return f"{self.asked} is asked (request {self.request}): {self.why}"


class RoleAnswered(_AboutPeople):
    """What became of a request."""

    kind: Literal["RoleAnswered"] = "RoleAnswered"
    request: str
    answer: AnswerKind

    def describe(self) -> str:
        return f"request {self.request} {self.answer}"


class NoPlanDeclared(_AboutPeople):
    """The Commander says that no plan fits; a dedicated commander is called."""

    kind: Literal["NoPlanDeclared"] = "NoPlanDeclared"
    person: str
    reason: str

    def describe(self) -> str:
        return f"{self.person}: no plan fits: {self.reason}"


class LinkUsed(_AboutPeople):
    """The one-time link in a page has served."""

    kind: Literal["LinkUsed"] = "LinkUsed"
    page: str

    def describe(self) -> str:
        return f"the link in page {self.page} was used"


ResponderEvent = (
    ResponderArrived
    | ResponderLeft
    | CommanderAppointed
    | CommandVacated
    | CommanderAsked
    | RoleTaken
    | RoleLeft
    | RoleRequested
    | RoleAnswered
    | NoPlanDeclared
    | LinkUsed
)
