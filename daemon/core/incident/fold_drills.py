"""The fold of what happens to an incident as a drill, or for practice."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_drill(incident: Incident, at: datetime, event: e.DrillEvent) -> Incident:
    """The incident after one more of these events. How a drill ended is said once."""
    state = incident.drill_state
    match event:
        case e.DrillEnded():
            ended = replace(state, ending=event.ending, ended_at=at, text=event.text)
            return incident if state.ending else replace(incident, drill_state=ended)
        case e.IncidentPromoted():
            promoted = replace(state, promoted=event.severity, measured=incident.severity)
            if incident.severity and incident.severity <= event.severity:
                return incident
            return replace(
                incident, severity=event.severity, severity_rose_at=at, drill_state=promoted
            )
        case _:
            assert_never(event)
