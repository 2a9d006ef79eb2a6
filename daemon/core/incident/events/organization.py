"""How people organize incidents: declare, merge, split and relate them, say how severe they are,
and whose they are."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from pydantic import Field

from daemon.core.alertmanager import Labels
from daemon.core.incident.alert_routes import AlertRoute
from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.measurement.problem import Severity
from daemon.core.values.units import printable

Counterpart = Literal["merge", "split", "relation"]
"""What has to be written into the journal of another incident, too."""


class _Organizing(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "problem"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


class IncidentDeclared(_Organizing):
    """A person opened it by hand. `title` is what they said of it; it stays, whatever is measured.

    `via` says how. `request` is what the same click or call would send again, hashed; empty if
    nothing tells.
    """

    kind: Literal["IncidentDeclared"] = "IncidentDeclared"
    person: str
    title: str
    via: str
    request: str = ""

    def describe(self) -> str:
        return f"declared by {self.person} (by {self.via}): {printable(self.title)}"


class SeveritySet(_Organizing):
    """A person says how severe it is. That stands beside what is measured, and the higher of the
    two counts; empty: the measured one alone counts again."""

    kind: Literal["SeveritySet"] = "SeveritySet"
    severity: Severity
    person: str
    reason: str = ""

    def describe(self) -> str:
        if not self.severity:
            return f"{self.person} leaves the severity to what is measured{_because(self.reason)}"
        return f"{self.person} says that it is {self.severity}{_because(self.reason)}"


class IncidentRelated(_Organizing):
    """It has to do with another incident; each goes on by itself. `mirrored`: the other's journal
    had it first."""

    kind: Literal["IncidentRelated"] = "IncidentRelated"
    other: str
    title: str
    person: str
    reason: str = ""
    mirrored: bool = False

    def describe(self) -> str:
        text = f"related to {self.other} ({printable(self.title)}) by {self.person}"
        return text + _because(self.reason)


class MergeStarted(_Organizing):
    """It is part of another incident, and becomes that: nothing more is done about it alone."""

    kind: Literal["MergeStarted"] = "MergeStarted"
    into: str
    title: str
    person: str
    reason: str = ""

    def describe(self) -> str:
        text = f"{self.person} merges it into {self.into} ({printable(self.title)})"
        return text + _because(self.reason)


class MergeAbandoned(_Organizing):
    """The merge was not possible any more when it was to be carried out; it goes on by itself."""

    kind: Literal["MergeAbandoned"] = "MergeAbandoned"
    into: str
    text: str

    def describe(self) -> str:
        return f"not merged into {self.into}: {self.text}"


class IncidentAbsorbed(_Organizing):
    """Another incident became part of this one. `routes`: whose alerts come here from now on;
    `alerts`: how many it brought along; `severity`: how severe it was, and this is no less.
    `told`: the audiences that it told of the trouble, and that hear of its end from here."""

    kind: Literal["IncidentAbsorbed"] = "IncidentAbsorbed"
    other: str
    title: str
    person: str
    routes: tuple[AlertRoute, ...]
    alerts: int = 0
    severity: Severity = ""
    told: tuple[str, ...] = ()
    reason: str = ""

    def describe(self) -> str:
        count = f"{self.alerts} alert{'' if self.alerts == 1 else 's'}"
        text = f"{self.other} ({printable(self.title)}) is merged into it by {self.person}"
        return f"{text}, with {count}{_because(self.reason)}"


class SplitStarted(_Organizing):
    """Some of its alerts become an incident of their own, `incident`.

    `alerts` are their identities; those with all of `labels`, if any are given, follow them.
    """

    kind: Literal["SplitStarted"] = "SplitStarted"
    incident: str
    title: str
    alerts: tuple[str, ...]
    labels: Labels = Field(default_factory=dict)
    person: str
    reason: str = ""

    def describe(self) -> str:
        count = f"{len(self.alerts)} alert{'' if len(self.alerts) == 1 else 's'}"
        text = f"{self.person} splits off {count} as {self.incident} ({printable(self.title)})"
        return text + _because(self.reason)


class SplitFrom(_Organizing):
    """It was a part of another incident until now. `routes`: which alerts of that one come here."""

    kind: Literal["SplitFrom"] = "SplitFrom"
    other: str
    title: str
    person: str
    routes: tuple[AlertRoute, ...]
    reason: str = ""

    def describe(self) -> str:
        text = f"split off from {self.other} ({printable(self.title)}) by {self.person}"
        return text + _because(self.reason)


class CounterpartWritten(_Organizing):
    """What was begun here stands in the journal of the other incident, too."""

    for_people: ClassVar[bool] = False

    kind: Literal["CounterpartWritten"] = "CounterpartWritten"
    what: Counterpart
    other: str

    def describe(self) -> str:
        return f"the {self.what} stands in {self.other}, too"


class TeamReassigned(_Organizing):
    """It is another team's from now on: their policy is called. Whoever is there stays."""

    kind: Literal["TeamReassigned"] = "TeamReassigned"
    team: str
    former: str
    person: str
    reason: str = ""

    def describe(self) -> str:
        former = f", no longer to {self.former}" if self.former else ""
        return f"{self.person} gives it to the team {self.team}{former}{_because(self.reason)}"


OrganizationEvent = (
    IncidentDeclared
    | SeveritySet
    | IncidentRelated
    | MergeStarted
    | MergeAbandoned
    | IncidentAbsorbed
    | SplitStarted
    | SplitFrom
    | CounterpartWritten
    | TeamReassigned
)
