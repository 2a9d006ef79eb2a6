"""Brings about what a drill's script says: alerts, changes, voices from outside, faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from daemon.core.drills.scenario import Inject
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.drilling.endings import DrillEndings
from daemon.drilling.faults import Faults
from daemon.intake.late_changes import tell_incidents
from daemon.repository import IncidentRepository

if TYPE_CHECKING:
    from daemon.drilling.played import PlayedRun

_log = structlog.get_logger()

PUBLIC = "drill"
"""The source of what the script lets people outside say."""


class ReceivesDrill(Protocol):
    """Where the alerts of a run go in."""

    async def __call__(self, run: str, body: bytes) -> None:
        """Store it durably. Raises Temporary."""


class FaultFailed(Exception):
    """A staging target could not be broken; the text says why."""


class DrillScript:
    """Does what scripts say, once each; doing it again after a crash is harmless."""

    def __init__(
        self,
        repository: IncidentRepository,
        endings: DrillEndings,
        receive: ReceivesDrill,
        faults: Faults,
    ) -> None:
        self._repository = repository
        self._endings = endings
        self._receive = receive
        self._faults = faults

    async def bring_about(self, run: PlayedRun, inject: Inject) -> None:
        """What the inject says. Raises FaultFailed, Temporary."""
        _log.info("a drill's script", run=run.mark.run, brings=inject.describe())
        match inject.kind:
            case "alert":
                await self._receive(run.mark.run, run.body_of(inject))
            case "change":
                await self._tell_change(run, inject)
            case "public":
                await self._let_public_say(run, inject.public or "")
            case "fault":
                trouble = await self._faults.cause(inject.fault or (), run.scenario.target)
                if trouble:
                    raise FaultFailed(f"the fault could not be caused: {trouble}")
            case _:
                pass  # the monitoring and the pagers follow the script by themselves

    async def _let_public_say(self, run: PlayedRun, text: str) -> None:
        heard = e.SentimentHeard(source=PUBLIC, text=text)
        for incident in await self._endings.incidents_of(run.mark.run):
            await self._repository.record(incident.id, lambda i: () if i.closed else (heard,))

    async def _tell_change(self, run: PlayedRun, inject: Inject) -> None:
        change = run.change_of(inject)
        await run.learn(change)

        def concerned(incident: Incident) -> bool:
            return not change.reported or incident.touched_by(change.labels)

        await tell_incidents(self._repository, change, concerned, run.mark.run)
