"""The last word to an audience that was told of the trouble: asked for again, or not to come."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup


class _AboutLastWord(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "updates"


class LastWordReminded(_AboutLastWord):
    """This person was reminded, by a way that wakes nobody, that the audience was never told that
    it is over. `method` is empty where they could not be, and `proof` says why."""

    kind: Literal["LastWordReminded"] = "LastWordReminded"
    audience: str
    person: str
    method: str
    proof: str

    def describe(self) -> str:
        what = f"that the audience {self.audience} was never told that it is over"
        if not self.person:
            return f"nobody was reminded {what}: {self.proof}"
        if not self.method:
            return f"{self.person} was not reminded {what}: {self.proof}"
        return f"{self.person} was reminded {what}, by {self.method}: {self.proof}"


class LastWordDismissed(_AboutLastWord):
    """This person says that the audience needs no word that it is over, and why."""

    kind: Literal["LastWordDismissed"] = "LastWordDismissed"
    audience: str
    person: str
    reason: str

    def describe(self) -> str:
        return (
            f"the audience {self.audience} needs no word that it is over, "
            f"says {self.person}: {self.reason}"
        )


LastWordEvent = LastWordReminded | LastWordDismissed
