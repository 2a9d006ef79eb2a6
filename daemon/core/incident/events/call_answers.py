"""What those who were called answer beside coming, and that they were told when it was over."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import Moment, clock_time, printable

Ending = Literal["recovered", "closed", "storm"]
"""What those who were called are told of: the service is restored, the incident was closed without
that, or the storm is over whose page called them."""


class _AboutAnswers(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "calls"


class CallDeclined(_AboutAnswers):
    """Somebody who was called cannot come: whoever is next is called at once."""

    kind: Literal["CallDeclined"] = "CallDeclined"
    person: str
    via: str
    reason: str = ""

    def describe(self) -> str:
        why = f": {printable(self.reason)}" if self.reason else ""
        return f"{self.person} cannot come (by {self.via}), so the next is called{why}"


class CallSnoozed(_AboutAnswers):
    """Somebody who was called wants to be called again at `until`, unless enough have come."""

    kind: Literal["CallSnoozed"] = "CallSnoozed"
    person: str
    until: Moment
    via: str

    def describe(self) -> str:
        return (
            f"{self.person} is called again at {clock_time(self.until)} (by {self.via}); "
            "the policy goes on meanwhile"
        )


class EndingTold(_AboutAnswers):
    """Somebody who had been called was told, in a way that wakes nobody, that it is over.

    `recoveries`: how often it had recovered by then, so that a second recovery is told too.
    """

    kind: Literal["EndingTold"] = "EndingTold"
    person: str
    ending: Ending
    recoveries: int
    method: str
    proof: str

    def describe(self) -> str:
        return f"{self.person} told by {self.method} that {_over(self.ending)}: {self.proof}"


class EndingUntold(_AboutAnswers):
    """Telling somebody that it is over failed. `last`: it is not tried again."""

    kind: Literal["EndingUntold"] = "EndingUntold"
    person: str
    ending: Ending
    recoveries: int
    method: str
    error: str
    last: bool

    def describe(self) -> str:
        return f"{self.person} not told by {self.method} that {_over(self.ending)}: {self.error}"


def _over(ending: Ending) -> str:
    return "the storm is over" if ending == "storm" else f"it is {ending}"


CallAnswerEvent = CallDeclined | CallSnoozed | EndingTold | EndingUntold
