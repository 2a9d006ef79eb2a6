"""What can have happened to an incident as one of many that opened together: a storm."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import Moment, clock_time


class _AboutStorm(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "calls"


class StormJoined(_AboutStorm):
    """The incident is one of a storm from now on, whose page calls for it.

    `storm` is the storm's id, from when it `began`. `alone`: it had been called for by itself, as
    one of the first.
    """

    kind: Literal["StormJoined"] = "StormJoined"
    storm: str
    began: Moment
    alone: bool = False

    def describe(self) -> str:
        before = "; it was called for by itself before" if self.alone else ""
        return f"part of the storm that began at {clock_time(self.began)}, told as one page{before}"


class StormLeft(_AboutStorm):
    """The incident is called for by itself, for it is graver than what the storm's page told."""

    kind: Literal["StormLeft"] = "StormLeft"
    text: str

    def describe(self) -> str:
        return f"called for by itself, beside its storm: {self.text}"


class StormAnswered(_AboutStorm):
    """A person answered the storm's page; all incidents of theirs in it are acknowledged by that.
    It stands in the incident that carries the page."""

    kind: Literal["StormAnswered"] = "StormAnswered"
    person: str
    via: str

    def describe(self) -> str:
        return f"{self.person} answers for the storm (by {self.via})"


StormEvent = StormJoined | StormLeft | StormAnswered
