"""What can have happened to an incident as a drill, or for practice."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from daemon.core.incident.drill_mark import DrillEnding
from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.people.audiences import SeverityName


class _AboutDrill(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "problem"


class DrillEnded(_AboutDrill):
    """The drill that the incident belongs to is over, and how."""

    kind: Literal["DrillEnded"] = "DrillEnded"
    ending: DrillEnding
    text: str

    def describe(self) -> str:
        return f"drill {self.ending}: {self.text}"


class IncidentPromoted(_AboutDrill):
    """A routine incident, a real one, is handled as if it were this severe, to practise: by the
    policy that was announced, and by lot."""

    kind: Literal["IncidentPromoted"] = "IncidentPromoted"
    severity: SeverityName
    text: str

    def describe(self) -> str:
        return f"handled as {self.severity} for practice: {self.text}"


DrillEvent = DrillEnded | IncidentPromoted
