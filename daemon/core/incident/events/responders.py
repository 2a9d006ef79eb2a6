"""What can have happened among the people: who came, who holds which role, who was asked."""

from __future__ import annotations

from typing import Literal

from daemon.core.values.units import Frozen, Moment

Role = Literal["commander", "communicator", "fast_recovery", "diagnosis"]
RequestKind = Literal["ask", "offer", "takeover"]
"""`ask`: somebody is asked to take a role. `offer`: its holder hands it over. `takeover`: its
holder is asked to give it up."""
AnswerKind = Literal["accepted", "declined", "lapsed"]


class ResponderArrived(Frozen):
    """A person answered. `via` says how: cli, api, web, a pager."""

    kind: Literal["ResponderArrived"] = "ResponderArrived"
    person: str
    via: str


class ResponderLeft(Frozen):
    """A person is not on it any more, by their own word or by that of their pager."""

    kind: Literal["ResponderLeft"] = "ResponderLeft"
    person: str
    via: str


class CommanderAppointed(Frozen):
    """This person commands the incident from now on."""

    kind: Literal["CommanderAppointed"] = "CommanderAppointed"
    person: str
    reason: str


class CommandVacated(Frozen):
    """Nobody commands any more, so people are called again."""

    kind: Literal["CommandVacated"] = "CommandVacated"
    person: str
    reason: str


class CommanderAsked(Frozen):
    """The Commander gave no sign of life for too long and is asked; replaced after `until`."""

    kind: Literal["CommanderAsked"] = "CommanderAsked"
    person: str
    until: Moment


class RoleTaken(Frozen):
    """This person holds the role from now on; command has its own event."""

    kind: Literal["RoleTaken"] = "RoleTaken"
    role: Role
    person: str
    reason: str


class RoleLeft(Frozen):
    """Nobody holds the role any more; fast recovery falls back to the daemon."""

    kind: Literal["RoleLeft"] = "RoleLeft"
    role: Role
    person: str
    reason: str


class RoleRequested(Frozen):
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


class RoleAnswered(Frozen):
    """What became of a request."""

    kind: Literal["RoleAnswered"] = "RoleAnswered"
    request: str
    answer: AnswerKind


class NoPlanDeclared(Frozen):
    """The Commander says that no plan fits; a dedicated commander is called."""

    kind: Literal["NoPlanDeclared"] = "NoPlanDeclared"
    person: str
    reason: str


class LinkUsed(Frozen):
    """The one-time link in a page has served."""

    kind: Literal["LinkUsed"] = "LinkUsed"
    page: str
