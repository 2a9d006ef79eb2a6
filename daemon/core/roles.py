"""Who commands. The first person to respond does, until somebody takes over."""

from __future__ import annotations

from daemon.core import events as e
from daemon.core.incident import Incident


def arrive(incident: Incident, person: str, via: str) -> tuple[e.Event, ...]:
    """What an acknowledgement by this person adds: nothing, if they are here already."""
    if person in incident.responders:
        return ()
    arrived = e.ResponderArrived(person=person, via=via)
    if incident.commander:
        return (arrived,)
    return (arrived, e.CommanderAppointed(person=person, reason="the first responder"))
