"""Watches over the calling itself: an incident that nobody answers and nobody is called about is
a defect of ours. It is found here and paged for, even if the conductor is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.state import Incident
from daemon.core.ports.notification import Links
from daemon.core.ports.replicas import NotOurs, NotOwner
from daemon.core.response.open_pages import still_relevant, unattended
from daemon.core.response.paging import direct_page, headline
from daemon.core.response.storm_decision import storm_unattended
from daemon.core.response.storm_growth import is_told_by_storm
from daemon.core.values.drill_key import is_drill_incident
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.notifier import PageMeans, deliver
from daemon.notifying.storms import StormOf
from daemon.repository import IncidentRepository, Stale, UnknownIncident

_log = structlog.get_logger()

WATCHDOG_EVERY = timedelta(seconds=30)
PAGE_AGAIN = timedelta(minutes=15)
"""How often the same incident is paged for again."""
STUCK = timedelta(minutes=1)
"""A page that nobody has begun to deliver by then is delivered here."""


class Watchdog:
    """Looks at every open incident twice a minute."""

    def __init__(
        self,
        repository: IncidentRepository,
        active: Live[ActiveConfig],
        links: Links,
        observer: Observer = QUIET,
        config_of: Callable[[Incident], ActiveConfig] | None = None,
        storm_of: StormOf = lambda _: None,
    ) -> None:
        self._repository = repository
        self._config_of = config_of or (lambda _: active.now)
        self._links = links
        self._storm_of = storm_of
        self._observer = observer
        self._suspected: dict[str, str] = {}
        self.looked_at: datetime | None = None
        self.troubled: Sequence[str] = ()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except (Temporary, Permanent) as error:
                _log.error("the auditor cannot read the store", error=str(error))
            except Exception:
                _log.exception("the auditor crashed; looking again")
                self._observer.crashed("auditor")
            await asyncio.sleep(WATCHDOG_EVERY.total_seconds())

    async def look(self) -> None:
        """Look once at all open incidents that are ours. Raises Temporary if the store cannot be
        read."""
        suspected: dict[str, str] = {}
        for head in await self._repository.journal.open_heads():
            await asyncio.sleep(0)  # hundreds are looked at, and others wait for the loop
            if not self._repository.ownership.owns(head.incident):
                continue  # its own replica's watchdog looks at it
            bind_contextvars(incident=head.incident)
            try:
                incident = await self._repository.load(head.incident)
                why = self._unattended(incident)
                if why and self._suspected.get(incident.id):
                    # Twice in a row: it is not just being taken care of at this moment.
                    await self._page_for(incident, why)
                if why:
                    suspected[incident.id] = why
                await self._deliver_stuck(incident)
            except (NotOwner, NotOurs) as refusal:
                # Its new owner's watchdog looks at it; ours goes on with the others.
                _log.warning("this incident is looked at elsewhere", why=str(refusal))
            except (Permanent, ValueError, UnknownIncident) as error:
                _log.error("an incident is unreadable", error=str(error))
            except Exception:
                if not is_drill_incident(head.incident):
                    raise
                _log.exception("a drill cannot be looked at, which holds up nothing real")
        unbind_contextvars("incident")
        self._suspected = suspected
        self.troubled = [incident for incident in suspected if not is_drill_incident(incident)]
        self.looked_at = self._repository.clock()

    def _unattended(self, incident: Incident) -> str:
        """Why it is a defect of ours that nobody responds to it; empty if all is well. Of a storm
        that is asked once, of the oldest incident that waits."""
        roster, now = self._config_of(incident).roster, self._repository.clock()
        storm = self._storm_of(incident)
        if storm is None or not storm.is_held(incident):
            return unattended(incident, roster, now)
        if storm.foremost is None or storm.foremost.id != incident.id:
            return ""
        return storm_unattended(storm, roster, now)

    async def _page_for(self, incident: Incident, why: str) -> None:
        now, roster = self._repository.clock(), self._config_of(incident).roster
        if incident.defects and now - incident.defects[-1] < PAGE_AGAIN:
            return
        _log.error("nobody responds and nobody is called", why=why)

        def defect(current: Incident) -> Sequence[e.Event]:
            if not self._unattended(current):
                return ()
            number = occasion_of(current, "unattended") + 1
            text = f"{why}: {headline(current)}"
            people = roster.everybody_responsible(current.opened.team, now)
            calls = [
                page
                for person in people
                for page in direct_page(current, person, "unattended", text, occasion=number)
            ]
            return (e.EscalationDefect(text=why), *calls)

        await self._repository.record(incident.id, defect)

    async def _deliver_stuck(self, incident: Incident) -> None:
        """Pages that should have been tried long ago: the conductor does not work on this one."""
        now, storm = self._repository.clock(), self._storm_of(incident)
        stuck = [
            page.queued.page
            for page in incident.pages.values()
            if page.pending
            and (incident.id, page.queued.page) not in self._repository.attempts
            and not page.failed_methods
            and still_relevant(incident, page)
            and not is_told_by_storm(incident, page, storm)
            and now - page.at >= STUCK
        ]
        if not stuck:
            return
        _log.error("pages were not being delivered", pages=stuck)
        config = self._config_of(incident)
        means = PageMeans(config.ways, self._links, config.rules.rules)
        mine = {(incident.id, page) for page in stuck}
        self._repository.attempts |= mine
        try:
            claims = [e.EffectClaimed(effect="page", about=page) for page in stuck]
            await self._repository.claim(incident, claims)
            await asyncio.gather(
                *(deliver(self._repository, incident.id, page, means) for page in stuck)
            )
        except Stale:
            return  # somebody works on it after all
        finally:
            self._repository.attempts -= mine
