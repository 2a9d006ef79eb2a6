"""What every event of the journal has: a sentence, a group, and whether people read of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from daemon.core.values.units import Frozen

EventGroup = Literal["problem", "recovery", "people", "calls", "updates", "diagnosis", "learning"]
"""The parts of the timeline."""


class BaseEvent(Frozen, ABC):
    """One fact about an incident. A family of events sets the `group` for all its members.

    `for_people`: whether it stands in the timeline; what does not is for whoever looks into the
    journal itself.
    """

    group: ClassVar[EventGroup]
    for_people: ClassVar[bool] = True

    @abstractmethod
    def describe(self) -> str:
        """It as one line for people, from its own fields; they may hold text of others."""
