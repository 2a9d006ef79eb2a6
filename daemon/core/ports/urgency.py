"""How soon something must be written, while more waits than one commit of the disk can take.

An alert taken in and a person called go before a problem that is measured once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident


class Urgency(IntEnum):
    """The smaller goes first. Whatever waits long enough rises, so nothing waits for ever."""

    HIGH = 0
    """Intake, pages, and whatever a person does."""
    NORMAL = 1
    LOW = 2
    """A measurement that repeats an earlier one; a note of when to look again."""


_CALLS = (
    e.AlertsReceived,
    e.EffectClaimed,
    e.EscalationDefect,
    e.PageDelivered,
    e.PageFailed,
    e.PageQueued,
)


def urgency_of(before: Incident, events: Sequence[e.Event], by: str) -> Urgency:
    """How soon these must be written of an incident."""
    if by != e.DAEMON or any(isinstance(event, _CALLS) for event in events):
        return Urgency.HIGH
    if events and all(_repeats(before, event) for event in events):
        return Urgency.LOW
    return Urgency.NORMAL


def _repeats(before: Incident, event: e.Event) -> bool:
    match event:
        case e.ProblemDefined():
            return before.problem is not None and event.problem.verdict != "confirmed"
        case e.RecoveryMeasured():
            return event.step == 0  # after a step it is what the verdict waits for
        case e.SentimentHeard():
            return True
        case _:
            return False
