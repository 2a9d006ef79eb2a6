"""How a run ends in its incidents: it is written down, who must know is called, all is closed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillEnding, DrillMark
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import IncidentSearch
from daemon.core.response.paging import direct_page
from daemon.core.values.drill_key import drill_of
from daemon.repository import IncidentRepository, UnknownIncident

_LOOKED_AT = 1000
"""So many of the newest incidents of drills are looked through for those of a run."""


class DrillEndings:
    """Ends runs in the journals of their incidents. Everything may raise Temporary."""

    def __init__(self, repository: IncidentRepository) -> None:
        self._repository = repository

    async def incidents_of(self, run: str) -> list[Incident]:
        """The incidents of a run, open or closed, the newest first."""
        found = []
        journal = self._repository.journal
        for head in await journal.heads(_LOOKED_AT, IncidentSearch(drills="only")):
            if drill_of(head.key) == run:
                try:
                    found.append(await self._repository.load(head.incident))
                except UnknownIncident:
                    continue  # it has moved to the archive meanwhile
        return found

    async def end_run(self, mark: DrillMark, ending: DrillEnding, text: str) -> None:
        """End all its incidents. Of a drill that was stopped the blue team hears, once."""
        told = mark.blue if ending == "aborted" else ()
        incidents = await self.incidents_of(mark.run)
        for number, incident in enumerate(sorted(incidents, key=lambda one: one.opened_at)):
            await self.end_incident(incident.id, ending, text, told if number == 0 else ())

    async def end_incident(
        self, incident: str, ending: DrillEnding, text: str, told: Sequence[str] = ()
    ) -> None:
        """Write down in one incident that it is over, call these people, and close it."""

        def over(now: Incident) -> Sequence[e.Event]:
            if now.drill_state.ending:
                return ()
            said = f"drill {ending}: {text}"
            calls = [p for person in told for p in direct_page(now, person, "drill_over", said)]
            closing = () if now.closed else (e.IncidentClosed(reason="drill_over", text=said),)
            return (e.DrillEnded(ending=ending, text=text), *calls, *closing)

        before = await self._repository.load(incident)
        await self._repository.record(incident, over)
        if before.closed is not None and told:
            self._repository.opened.put_nowait(incident)  # for the calls

    async def end_left_over(self, under_way: Collection[str]) -> None:
        """End the open incidents of runs that nobody knows to go on."""
        for head in await self._repository.journal.open_heads():
            run = drill_of(head.key)
            if run and run not in under_way:
                await self.end_incident(head.incident, "interrupted", "the daemon was stopped")
