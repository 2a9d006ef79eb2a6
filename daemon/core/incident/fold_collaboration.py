"""The fold of the room, the call, and tickets with vendors."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.collaboration import Collaboration, RoomPlace, RoomTrouble
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_collaboration(incident: Incident, at: datetime, event: e.CollaborationEvent) -> Incident:
    """The incident after one more of these events."""
    return replace(incident, collaboration=_after(incident.collaboration, at, event))


def _after(known: Collaboration, at: datetime, event: e.CollaborationEvent) -> Collaboration:
    match event:
        case e.RoomRequested():
            # Whoever asks once more wants it tried once more.
            asked = _well(known, "open", "call")
            return changed(asked, requested=event, requested_at=at)
        case e.RoomOpened():
            place = RoomPlace(event.service, event.url, event.key, event.name, at)
            if event.part == "call":
                return changed(_well(known, "call"), call=place)
            return changed(_well(known, "open"), room=place)
        case e.RoomGreeted():
            return changed(_well(known, "greet"), greeting=event.key)
        case e.RoomInvited():
            invited = known.invited.union(event.people, event.left_out)
            return changed(_well(known, "invite"), invited=invited)
        case e.RoomTopicSet():
            return changed(_well(known, "topic"), topic=event.topic, topic_at=at)
        case e.RoomFailed():
            before = known.troubles.get(event.deed)
            failures = before.failures + 1 if before else 1
            trouble = RoomTrouble(failures, at, event.error, event.retry_after, event.last)
            return changed(known, troubles={**known.troubles, event.deed: trouble})
        case e.RoomArchived():
            return changed(_well(known, "archive"), archived_at=at)
        case e.RoomNoted():
            return changed(known, noted=known.noted | {event.key})
        case e.VendorTicketOpened():
            return changed(known, tickets=(*known.tickets, event))
        case _:
            assert_never(event)


def _well(known: Collaboration, *deeds: e.RoomDeed) -> Collaboration:
    """Without what failed of these before."""
    left = {deed: trouble for deed, trouble in known.troubles.items() if deed not in deeds}
    return changed(known, troubles=left)
