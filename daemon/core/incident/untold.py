"""Which audiences were told of the trouble, and never that it is over."""

from __future__ import annotations

from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident


def over_since(incident: Incident) -> datetime | None:
    """When the trouble ended: the recovery, or the closing where none was measured; None while it
    goes on."""
    return incident.recovered_at or incident.closed_at


def untold(incident: Incident) -> tuple[str, ...]:
    """The audiences whose newest update does not tell of the end. What goes out by itself is told
    at once, so these are those for whom somebody has to tap; whom a person has dismissed since
    is none of them."""
    ended_at = over_since(incident)
    if ended_at is None:
        return ()
    names = dict.fromkeys(update.audience for update in incident.updates.by_name.values())
    return tuple(name for name in names if _untold(incident, name, ended_at))


def last_word_dismissed(incident: Incident, audience: str) -> e.LastWordDismissed | None:
    """Who has said, since the end, that this audience needs no word of it."""
    at, event = incident.last_word.dismissed.get(audience, (None, None))
    ended_at = over_since(incident)
    return event if at is not None and ended_at is not None and at >= ended_at else None


def _untold(incident: Incident, audience: str, ended_at: datetime) -> bool:
    last = incident.updates.last_sent(audience)
    if last is None or last.released_at is None or last.draft.automatic:
        return False
    told = last.draft.stage == "late" and last.released_at >= ended_at
    return not told and last_word_dismissed(incident, audience) is None
