"""Which incident a room belongs to, while its timeline still takes what is marked there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.incident.events import Event
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import IncidentSearch
from daemon.core.values.outcome import Permanent
from daemon.repository import IncidentRepository, UnknownIncident

STILL_NOTED = timedelta(hours=24)
"""For so long after an incident was closed its room still writes to its timeline."""
_LATEST = 200
"""So many of the newest incidents are looked through once, for those that were just closed."""

MOST_ROOMS = 1000
"""So many of the rooms of closed incidents are known, the newest."""


class RoomIndex:
    """The rooms of open incidents, and of those that were closed a short while ago."""

    def __init__(self, repository: IncidentRepository) -> None:
        self._repository = repository
        self._closed: dict[str, str] = {}
        self._looked_back = False
        repository.listeners.append(self._on_append)

    async def find(self, service: str, key: str) -> Incident | None:
        """The incident whose room that is; None if it is none, or one of long ago. Raises
        Temporary."""
        for incident in self._repository.known:
            if _room_key(incident, service) == key:
                return incident
        if not self._looked_back:
            await self._look_back()
        try:
            found = await self._repository.load(self._closed.get(f"{service}:{key}", ""))
        except UnknownIncident:
            return None
        now = self._repository.clock()
        recent = found.closed_at is None or now - found.closed_at < STILL_NOTED
        return found if recent else None

    async def _look_back(self) -> None:
        """Find the rooms that were closed before the daemon started."""
        since = self._repository.clock() - STILL_NOTED
        for head in await self._repository.journal.heads(_LATEST, IncidentSearch(status="closed")):
            if head.closed_at is None or head.closed_at < since:
                continue
            try:
                self._learn(await self._repository.load(head.incident))
            except (UnknownIncident, Permanent, ValueError):
                continue  # it has moved to the archive, or is unreadable: it takes no notes
        self._looked_back = True

    def _on_append(self, _: Incident | None, after: Incident, events: Sequence[Event]) -> None:
        if after.collaboration.room is not None and after.closed is not None:
            self._learn(after)

    def _learn(self, incident: Incident) -> None:
        room = incident.collaboration.room
        if room is not None and room.key:
            self._closed[f"{room.service}:{room.key}"] = incident.id
            if len(self._closed) > MOST_ROOMS:
                del self._closed[next(iter(self._closed))]


def _room_key(incident: Incident, service: str) -> str:
    room = incident.collaboration.room
    return room.key if room is not None and room.service == service else ""
