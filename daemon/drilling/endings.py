"""How a run ends in its incidents: it is written down, who must know is called, all is closed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from pydantic import ValidationError

from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillEnding, DrillMark, DrillState
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import IncidentSearch
from daemon.core.ports.notes import Notes
from daemon.core.response.paging import direct_page
from daemon.core.values.drill_key import drill_of
from daemon.core.values.units import Frozen, Moment
from daemon.repository import IncidentRepository, UnknownIncident

_NOTE = "drills that opened no incident"
_MOST_EMPTY = 50
_LOOKED_AT = 1000
"""So many of the newest incidents of drills are looked through for those of a run."""


class EmptyRun(Frozen):
    """A run that is over and has opened no incident, so that no journal tells of it."""

    mark: DrillMark
    ending: DrillEnding
    ended_at: Moment
    text: str

    @property
    def state(self) -> DrillState:
        """How it ended."""
        return DrillState(ending=self.ending, ended_at=self.ended_at, text=self.text)


class DrillEndings:
    """Ends runs in the journals of their incidents. Everything may raise Temporary."""

    def __init__(self, repository: IncidentRepository, notes: Notes) -> None:
        self._repository = repository
        self._notes = notes

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
        """End all its incidents, or keep that it has opened none. Of a drill that was stopped the
        blue team hears, once."""
        told = mark.blue if ending == "aborted" else ()
        incidents = await self.incidents_of(mark.run)
        if not incidents:
            await self._keep_empty(mark, ending, text)
        for number, incident in enumerate(sorted(incidents, key=lambda one: one.opened_at)):
            await self.end_incident(incident.id, ending, text, told if number == 0 else ())

    async def _keep_empty(self, mark: DrillMark, ending: DrillEnding, text: str) -> None:
        kept = [one for one in await self.empty_runs() if one.mark.run != mark.run]
        ended_at = self._repository.clock()
        kept.append(EmptyRun(mark=mark, ending=ending, ended_at=ended_at, text=text))
        await self._notes.write(_NOTE, [one.model_dump_json() for one in kept[-_MOST_EMPTY:]])

    async def empty_runs(self) -> list[EmptyRun]:
        """The newest runs that are over and have opened no incident, oldest first."""
        found = []
        for word in await self._notes.read(_NOTE):
            with suppress(ValidationError):  # another version wrote it
                found.append(EmptyRun.model_validate_json(word))
        return found

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
