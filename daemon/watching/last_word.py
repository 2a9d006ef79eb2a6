"""Keeps the last word to the customers from being forgotten: whoever was there is reminded, by a
way that wakes nobody, that an audience was told of the trouble and never that it is over.

Reminders are in the journal, so a restart goes on from there; one may come twice after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.untold import untold
from daemon.core.ports.journal import IncidentSearch
from daemon.core.ports.notification import Reminder
from daemon.core.response.follow_ups import ReminderTiming
from daemon.core.response.last_word import (
    MOST_REMINDERS,
    LastWordReminder,
    last_word_owed,
    last_word_reminders,
)
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.reminders import remind_quietly
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

_EVERY = timedelta(minutes=1)
"""How often it is looked for what is due."""
_AGAIN = timedelta(minutes=15)
"""How soon somebody is tried again whom no way has reached."""
_RECENT = 100
"""So many of the newest incidents a start looks through."""
_OLD = timedelta(days=7)
"""Of one that ended longer ago nobody is reminded any more."""


class LastWordKeeper:
    """Reminds of the last words that incidents owe. `page` is where people find an incident."""

    def __init__(
        self,
        repository: IncidentRepository,
        active: Live[ActiveConfig],
        timing: ReminderTiming,
        page: Callable[[str], str],
        observer: Observer = QUIET,
    ) -> None:
        self._repository = repository
        self._active = active
        self._timing = timing
        self._page = page
        self._observer = observer
        self._owing: set[str] = set()
        self._rests: dict[tuple[str, str], datetime] = {}
        repository.listeners.append(self._on_append)

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            try:
                await self._begin()
                break
            except (Temporary, Permanent) as error:
                _log.error("last words cannot be looked for just now", error=str(error))
            await asyncio.sleep(_EVERY.total_seconds())
        while True:
            try:
                await self.look()
            except (Temporary, Permanent) as error:
                _log.error("nobody can be reminded of last words just now", error=str(error))
            except Exception:
                _log.exception("looking after last words crashed")
                self._observer.crashed("last_word")
            await asyncio.sleep(_EVERY.total_seconds())

    async def _begin(self) -> None:
        """Find what is owed from before the start. Raises Temporary, Permanent."""
        since = self._repository.clock() - _OLD
        for head in await self._repository.journal.heads(_RECENT, IncidentSearch()):
            if head.closed_at is not None and head.closed_at > since:
                self._owing.add(head.incident)

    async def look(self) -> None:
        """Remind whoever is due. Raises Temporary, Permanent if the store fails."""
        roster = self._active.now.roster
        for name in sorted(self._owing):
            try:
                incident = await self._repository.load(name)
            except (UnknownIncident, ValueError):
                self._owing.discard(name)  # it is in the archive, or `audit verify` tells of it
                continue
            if not last_word_owed(incident, roster):
                self._owing.discard(name)
                continue
            now = self._repository.clock()
            for due in last_word_reminders(incident, roster, self._timing, now):
                await self._remind(incident, due)

    async def _remind(self, incident: Incident, due: LastWordReminder) -> None:
        now, key = self._repository.clock(), (incident.id, due.audience)
        if now < self._rests.get(key, now):
            return
        method: str | None = ""
        proof = "nobody responded, and the team has no lead"
        if due.person:
            config = self._active.now
            words = last_word_text(incident, due, self._page(incident.id))
            method, proof = await remind_quietly(words, config.roster, config.ways)
        if method is None:
            self._rests[key] = now + _AGAIN
            _log.warning("a reminder failed; it is tried again", incident=incident.id, why=proof)
            return
        told = e.LastWordReminded(
            audience=due.audience, person=due.person, method=method, proof=proof
        )
        await self._repository.record(
            incident.id, lambda i: (told,) if due.audience in untold(i) else ()
        )

    def _on_append(self, _: Incident | None, after: Incident, __: Sequence[e.Event]) -> None:
        if untold(after):
            self._owing.add(after.id)
        else:
            self._owing.discard(after.id)


def last_word_text(incident: Incident, due: LastWordReminder, link: str) -> Reminder:
    """The words of a reminder."""
    send = f"send {due.update}" if due.update else f"draft {due.audience}"
    last = " This is the last reminder." if due.number == MOST_REMINDERS else ""
    return Reminder(
        incident=incident.id,
        person=due.person,
        title=f"The audience {due.audience} was never told that it is over: {incident.title}",
        text=(
            f"The audience {due.audience} was told of incident {incident.id}, and not that it is "
            f"over. Read the draft and send it: `stopgap update {incident.id} {send}`. Nothing to "
            f"say? `stopgap update {incident.id} dismiss {due.audience} REASON`.{last}"
        ),
        link=link,
    )
