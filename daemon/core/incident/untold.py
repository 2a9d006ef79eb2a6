"""Which audiences were told of the trouble, and never that it is over."""

from __future__ import annotations

from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident


def over_since(incident: Incident) -> datetime | None:
    """When the trouble ended: the recovery, or the closing where none was measured; None while it
    goes on."""
    return incident.recovered_at or incident.closed_at


def told_elsewhere(incident: Incident) -> frozenset[str]:
    """The audiences that were told of the trouble by what became part of it."""
    absorbed = incident.organization.absorbed.values()
    return frozenset(name for event in absorbed for name in event.told)


def told_of_trouble(incident: Incident) -> tuple[str, ...]:
    """The audiences that were last told by somebody's tap that the trouble goes on, here or by what
    became part of it: whatever this becomes part of owes them the end."""
    names = dict.fromkeys(update.audience for update in incident.updates.by_name.values())
    names |= dict.fromkeys(sorted(told_elsewhere(incident)))
    found = []
    for name in names:
        last = incident.updates.last_sent(name)
        waits = last is None or (last.draft.stage != "late" and not last.draft.automatic)
        if waits and (last is not None or name in told_elsewhere(incident)):
            found.append(name)
    return tuple(found)


def untold(incident: Incident) -> tuple[str, ...]:
    """The audiences whose newest update does not tell of the end. What goes out by itself is told
    at once, so these are those for whom somebody has to tap; whom a person has dismissed since
    is none of them. What became part of another incident owes nothing: that one tells the end."""
    ended_at = over_since(incident)
    if ended_at is None or incident.organization.merged_into:
        return ()
    names = dict.fromkeys(update.audience for update in incident.updates.by_name.values())
    names |= dict.fromkeys(sorted(told_elsewhere(incident)))
    return tuple(name for name in names if _untold(incident, name, ended_at))


def last_word_dismissed(incident: Incident, audience: str) -> e.LastWordDismissed | None:
    """Who has said, since the end, that this audience needs no word of it."""
    at, event = incident.last_word.dismissed.get(audience, (None, None))
    ended_at = over_since(incident)
    return event if at is not None and ended_at is not None and at >= ended_at else None


def _untold(incident: Incident, audience: str, ended_at: datetime) -> bool:
    last = incident.updates.last_sent(audience)
    if last is None:
        told = audience not in told_elsewhere(incident)
    elif last.released_at is None or last.draft.automatic:
        return False
    else:
        told = last.draft.stage == "late" and last.released_at >= ended_at
    return not told and last_word_dismissed(incident, audience) is None
