"""The daemon drills its own chain: alert, inbox, incident, simulated action, page, review. If that
fails, people are called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from daemon.core.alertmanager import own_alert
from daemon.core.drills.chain import (
    SELF_DRILLED,
    broken_link,
    self_drill_rule,
    self_drill_scenario,
)
from daemon.core.drills.desk import DrillRefused
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.ports.journal import IncidentSearch
from daemon.core.ports.notes import Notes
from daemon.core.ports.notification import Page
from daemon.core.rules.rule import Rule
from daemon.core.values.drill_key import drill_of
from daemon.core.values.outcome import Permanent, Temporary
from daemon.drilling.house import DrillHouse
from daemon.drilling.runner import Drills

if TYPE_CHECKING:
    from daemon.drilling.played import PlayedRun

_log = structlog.get_logger()

FAILED = "StopgapSelfDrillFailed"
"""The alert that is raised if the chain did not hold."""
_NOTE = "self-drill failed since"
_BY = "stopgap"
_LONGEST = timedelta(minutes=6)
"""The scenario lasts five; what is not over by then does not come to an end."""
_REVIEW_SECONDS = 10.0
"""How long the review may take after the incident has closed."""


class SelfReceiver:
    """The pager of the daemon itself: it keeps which incidents it was called for."""

    def __init__(self) -> None:
        self.incidents: set[str] = set()

    async def page(self, page: Page) -> str:
        """Always gets through."""
        self.incidents.add(page.incident)
        _log.info("the self-drill's page has arrived", incident=page.incident, title=page.title)
        return "the daemon has heard itself"


class SelfDrill:
    """Holds it, judges it, and raises or resolves the alert. `alert` takes one of our own."""

    def __init__(self, drills: Drills, notes: Notes, alert: Callable[[bytes], Awaitable[None]]):
        self._drills = drills
        self._notes = notes
        self._alert = alert
        self._receiver = SelfReceiver()
        drills.stages.knows(self_drill_scenario().drill, self_drill_rule(), self._run)

    def _run(self, mark: DrillMark, rule: Rule | None, house: DrillHouse) -> PlayedRun:
        from daemon.drilling.self_run import SelfRun  # loaded when the first one is held

        return SelfRun(mark, rule, house, self._receiver)

    async def hold(self) -> str:
        """Play it to its end; returns which link of the chain broke, empty if it held."""
        self._receiver.incidents.clear()
        try:
            why = await self._hold()
        except DrillRefused as error:
            why = f"it could not be held: {error}"
        except (Temporary, Permanent) as error:
            why = f"the store fails: {error}"
        try:
            await self._tell(why)
        except (Temporary, Permanent) as error:
            _log.error("the result of the self-drill cannot be told", why=why, error=str(error))
        return why

    async def hold_again(self) -> None:
        """Hold it anew if an earlier process was stopped in its middle: which pages had arrived,
        nobody knows any more."""
        cut = [mark.run for mark in self._drills.under_way if mark.blue == (SELF_DRILLED,)]
        for run in cut:
            await self._drills.ended(run)
        if cut:
            await self.hold()

    async def _hold(self) -> str:
        scenario = self_drill_scenario()
        mark = await self._drills.start_for(scenario, _BY, (SELF_DRILLED,))
        try:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                await self._drills.ended(mark.run)
        except TimeoutError:
            return "the drill came to no end"
        return await self._judged(mark.run)

    async def _judged(self, run: str) -> str:
        """Which link broke, looked at again while the review is being written."""
        repository = self._drills.house.repository
        loop = asyncio.get_running_loop()
        until = loop.time() + _REVIEW_SECONDS
        while True:
            heads = await repository.journal.heads(100, IncidentSearch(drills="only"))
            incidents = [head.incident for head in heads if drill_of(head.key) == run]
            journals = [await repository.journal.read(incident) for incident in incidents]
            why = broken_link(journals, called=bool(self._receiver.incidents & set(incidents)))
            if not why or loop.time() >= until:
                return why
            await asyncio.sleep(1.0)

    async def _tell(self, why: str) -> None:
        """Raise the alert if it failed, and resolve it once it holds again. Raises Temporary."""
        now = self._drills.house.repository.clock()
        since = await self._notes.read(_NOTE)
        if why:
            _log.error("the self-drill failed", why=why)
            text = f"{why}; `stopgap doctor` and the daemon's log tell more"
            await self._alert(own_alert(FAILED, {}, text, now, None))
            await self._notes.write(_NOTE, [now.isoformat()])
        else:
            _log.info("the self-drill held, from the alert to the review")
            if since:
                text = "the self-drill held again"
                began = now.fromisoformat(since[0])
                await self._alert(own_alert(FAILED, {}, text, began, now))
                await self._notes.write(_NOTE, [])
