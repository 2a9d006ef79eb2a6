"""The fold of what happens to an incident as one of a storm."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.storm_membership import StormAnswer, StormMembership
from daemon.core.values.replace import replace


def apply_storm(incident: Incident, at: datetime, event: e.StormEvent) -> Incident:
    """The incident after one more of these events; outside a storm there is none to leave."""
    known = incident.storm
    match event:
        case e.StormJoined():
            joined = StormMembership(event.storm, event.began, at)
            return replace(incident, storm=joined)
        case e.StormLeft():
            left = known and replace(known, left_at=known.left_at or at)
            return replace(incident, storm=left)
        case e.StormAnswered():
            answer = StormAnswer(event.person, at)
            answered = known and replace(known, answers=(*known.answers, answer))
            return replace(incident, storm=answered)
        case _:
            assert_never(event)
