"""Builds what holds drills, and lists what of it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from daemon.conduct.executor import Stage
from daemon.config.settings import Settings
from daemon.core.ports.notes import Notes
from daemon.drilling.desk import Desk
from daemon.drilling.faults import CommandFaults
from daemon.drilling.house import DrillHouse
from daemon.drilling.planner import Promoter, announce_by_calendar, hold_by_calendar, keep
from daemon.drilling.runner import Drills
from daemon.drilling.script import ReceivesDrill
from daemon.drilling.self_drill import SelfDrill
from daemon.repository import IncidentRepository
from daemon.watching.duties import DutyKeeper


class Drilling:
    """The drills of a daemon: who plays them, what people ask of them, when they are held."""

    def __init__(
        self,
        settings: Settings,
        repository: IncidentRepository,
        stage: Stage,
        notes: Notes,
        receive: ReceivesDrill,
        alert: Callable[[bytes], Awaitable[None]],
    ) -> None:
        chosen = self._settings = settings.drills
        house = DrillHouse(repository, stage.active, stage.dependencies, chosen.targets)
        faults = CommandFaults(stage.dependencies.actions, repository.clock)
        self.drills = Drills(house, notes, receive, faults)
        self.desk = Desk(self.drills, chosen.schedule, chosen.promotion)
        self._promoter = Promoter(repository, chosen.promotion)
        self._self_drill = SelfDrill(self.drills, notes, alert)

    def parts(self, duties: DutyKeeper) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs side by side as long as the daemon does."""
        return {
            "drills": duties.hold("drills", self._play),
            "promotions": self._promoter.run(),
        }

    async def _play(self) -> None:
        await self.drills.begin()  # what another replica has left
        async with asyncio.TaskGroup() as group:
            for name, part in self._played().items():
                group.create_task(part, name=name)

    def _played(self) -> dict[str, Coroutine[Any, Any, None]]:
        chosen = self._settings
        parts = {
            "drills": self.drills.run(),
            "calendar of drills": hold_by_calendar(self.drills, chosen.schedule),
            "announcements of drills": announce_by_calendar(
                self.drills, chosen.schedule, chosen.announce.channels, chosen.announce.before
            ),
        }
        if chosen.self_drill.enabled:
            parts["self-drill"] = self._keep_self_drilling()
        return parts

    async def _keep_self_drilling(self) -> None:
        await self._self_drill.hold_again()
        clock = self.drills.house.repository.clock
        await keep(self._settings.self_drill.next_after, clock, self._hold_self_drill)

    async def _hold_self_drill(self) -> None:
        await self._self_drill.hold()
