"""Keeps follow-ups from being forgotten: owners are reminded, trackers have them as issues and are
asked what became of them; and reviews are written anew when more was learned.

What is to be done is in the head rows, closed incidents' too, so each look costs one query. Every
outcome is in the journal: a restart goes on from there. A reminder may come twice after a crash,
an issue may not: the tracker is asked for it before it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import get_args

import structlog

from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.incident.learning import FollowUp
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Head, IncidentSearch
from daemon.core.ports.trackers import FollowsBack, Tracker
from daemon.core.reporting.follow_up_texts import issue_draft, reminder
from daemon.core.response.follow_ups import PUSH_TRIES, ReminderTiming, push_due, reminder_due
from daemon.core.values.backoff import Backoff
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.notifier import DeliveryFailure, attempt
from daemon.notifying.reminders import remind_quietly
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

EVERY = timedelta(minutes=1)
"""How often it is looked for what is due."""
ASK = timedelta(minutes=15)
"""How often a tracker is asked what became of an issue."""
_ASK_BACKOFF = Backoff(ASK, timedelta(hours=6))
"""How soon it is asked again after it did not answer."""
_REMIND_AGAIN = timedelta(minutes=15)
_MOST = 2000
"""So many incidents with open follow-ups are looked through; beyond them the oldest wait."""


@dataclass
class _Rests:
    """What was asked of the world and rests now: until when, after how many failures."""

    until: dict[tuple[str, int], datetime] = field(default_factory=dict)
    failures: dict[tuple[str, int], int] = field(default_factory=dict)

    def over(self, key: tuple[str, int], now: datetime) -> bool:
        return now >= self.until.get(key, now)

    def only(self, incidents: Collection[str]) -> None:
        """Forget all others."""
        self.until = {key: at for key, at in self.until.items() if key[0] in incidents}
        self.failures = {key: n for key, n in self.failures.items() if key[0] in incidents}


class FollowUpKeeper:
    """Looks after the follow-ups of all incidents. `renew` writes a review anew that lacks what was
    learned; `page` is where people find an incident."""

    def __init__(
        self,
        repository: IncidentRepository,
        active: Live[ActiveConfig],
        timing: ReminderTiming,
        tracker: Tracker | None,
        renew: Callable[[str], Awaitable[None]],
        page: Callable[[str], str],
        observer: Observer = QUIET,
    ) -> None:
        self._repository = repository
        self._active = active
        self._timing = timing
        self._tracker = tracker
        self._renew = renew
        self._page = page
        self._observer = observer
        self._bell = asyncio.Event()
        self._asked = _Rests()
        self._reminded = _Rests()
        self._open_there: set[tuple[str, int]] = set()
        """Whose issue was seen open in this run."""
        self._tracker_silent = False
        """Whether the tracker did not answer in this look: then nothing more is asked of it."""
        repository.listeners.append(self._on_append)

    async def run(self) -> None:
        """Look every minute, and at once when something is learned; until cancelled."""
        while True:
            self._bell.clear()
            try:
                await self.look()
            except (Temporary, Permanent) as error:
                _log.error("follow-ups cannot be looked after just now", error=str(error))
            except Exception:
                _log.exception("looking after the follow-ups crashed")
                self._observer.crashed("follow_ups")
            try:
                async with asyncio.timeout(EVERY.total_seconds()):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Do what is due. Raises Temporary, Permanent if the store fails. What is wrong with one
        incident holds up no other."""
        heads = await self._repository.journal.heads(
            _MOST, IncidentSearch(pending=True, drills="with")
        )
        self._tracker_silent = False
        pending = {head.incident for head in heads}
        self._reminded.only(pending)
        self._asked.only(pending)
        self._open_there = {key for key in self._open_there if key[0] in pending}
        for head in heads:
            try:
                await self._look_at(head)
            except UnknownIncident:
                continue  # it has moved to the archive meanwhile
            except (Temporary, Permanent) as error:
                _log.error("follow-ups wait", incident=head.incident, error=str(error))

    async def _look_at(self, head: Head) -> None:
        follow_ups = head.outcome.follow_ups if head.outcome else ()
        for follow_up in follow_ups:
            await self._remind(head.incident, follow_up)
            if self._tracker is not None:
                await self._push(self._tracker, head.incident, follow_up)
                await self._follow_back(self._tracker, head.incident, follow_up)
        if head.closed_at is not None:
            await self._renew(head.incident)

    def _on_append(self, _: Incident | None, after: Incident, events: Sequence[e.Event]) -> None:
        stale = bool(after.review) and after.learning.unreviewed
        if stale or any(isinstance(event, get_args(e.LearningEvent)) for event in events):
            self._bell.set()

    # ── reminders ────────────────────────────────────────────────────────────────────────────

    async def _remind(self, incident: str, follow_up: FollowUp) -> None:
        now, key = self._repository.clock(), (incident, follow_up.number)
        occasion = reminder_due(follow_up, self._timing, now)
        if occasion is None or follow_up.due is None or not self._reminded.over(key, now):
            return
        config = self._active.now
        words = reminder(incident, follow_up, self._timing.today(now), self._page(incident))
        method, proof = await remind_quietly(words, config.roster, config.ways)
        if method is None:
            self._reminded.until[key] = now + _REMIND_AGAIN
            _log.warning("a reminder failed; it is tried again", incident=incident, why=proof)
            return
        told = e.FollowUpReminded(
            follow_up=follow_up.number,
            occasion=occasion,
            due=follow_up.due,
            person=follow_up.owner,
            method=method,
            proof=proof,
        )
        await self._repository.record(incident, lambda i: (told,) if _still(i, follow_up) else ())

    # ── trackers ─────────────────────────────────────────────────────────────────────────────

    async def _push(self, tracker: Tracker, incident: str, follow_up: FollowUp) -> None:
        if self._tracker_silent or not push_due(follow_up, self._repository.clock()):
            return
        draft = issue_draft(incident, follow_up, self._page(incident))
        made = await attempt(tracker.push(draft), incident, tracker.name)
        event: e.Event
        if isinstance(made, DeliveryFailure):
            self._tracker_silent = made.temporary
            _log.warning("a tracker did not take a follow-up", of=incident, why=made.text)
            event = e.FollowUpPushFailed(
                follow_up=follow_up.number,
                tracker=tracker.name,
                error=made.text,
                last=follow_up.failures + 1 >= PUSH_TRIES,
            )
        else:
            event = e.FollowUpPushed(
                follow_up=follow_up.number, tracker=tracker.name, key=made.key, url=made.url
            )
        await self._repository.record(incident, lambda _: (event,))

    async def _follow_back(self, tracker: Tracker, incident: str, follow_up: FollowUp) -> None:
        now, key = self._repository.clock(), (incident, follow_up.number)
        known = follow_up.tracker == tracker.name and bool(follow_up.key)
        due = known and self._asked.over(key, now) and not self._tracker_silent
        if not due or not isinstance(tracker, FollowsBack):
            return
        state = await attempt(tracker.state(follow_up.key), incident, tracker.name)
        if isinstance(state, DeliveryFailure):
            self._tracker_silent = state.temporary
            self._asked.failures[key] = self._asked.failures.get(key, 0) + 1
            self._asked.until[key] = now + _ASK_BACKOFF.pause(self._asked.failures[key])
            _log.warning("a tracker does not tell of an issue", of=incident, why=state.text)
            return
        self._asked.failures.pop(key, None)
        self._asked.until[key] = now + ASK
        if state == "open":
            self._open_there.add(key)
            return
        if follow_up.closed_there and key not in self._open_there:
            return  # it was opened again here after that
        self._open_there.discard(key)
        moved = e.FollowUpMoved(
            follow_up=follow_up.number,
            status=state,
            reason=f"{follow_up.key} was closed",
            tracker=tracker.name,
        )
        await self._repository.record(incident, lambda i: (moved,) if _still(i, follow_up) else ())


def _still(incident: Incident, follow_up: FollowUp) -> bool:
    """Whether the follow-up is open as it was looked at."""
    now = incident.learning.follow_ups.get(follow_up.number)
    return now is not None and now.open and (now.due, now.owner) == (follow_up.due, follow_up.owner)
