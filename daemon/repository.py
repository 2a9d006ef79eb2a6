"""The one way to change an incident: read it, work out events from it, append, or try again.

Two acknowledgements at the same moment, here or on another replica, both read "no commander";
only one append finds its sequence number free, and the other is worked out anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from daemon.core.changes.suspects import Mark
from daemon.core.incident.events import DAEMON, Draft, Event, StepVerified
from daemon.core.incident.fold import apply, fold
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Claim, Conflict, HeadState, Journal

Change = Callable[[Incident], Sequence[Event]]
Listener = Callable[[Incident | None, Incident, Sequence[Event]], None]
"""Hears of every append: the incident before (None: it opens), after, and what was appended."""
Clock = Callable[[], datetime]


class UnknownIncident(LookupError):
    """There is no incident with this id."""


class Casebook:
    """Reads and appends incidents; wakes whoever waits for one.

    Incidents that were read stay in memory as long as they are open; the journal's sequence
    number tells at every append whether that memory is still the truth.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock
        self._known: dict[str, Incident] = {}
        self._bells: dict[str, asyncio.Event] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.opened: asyncio.Queue[str] = asyncio.Queue()
        self.listeners: list[Listener] = []
        self.onlookers: list[Callable[[], None]] = []

    @property
    def known(self) -> Collection[Incident]:
        """The open incidents that were read so far; a conductor reads all of them."""
        return self._known.values()

    def bell(self, incident: str) -> asyncio.Event:
        """Rings at each change of the incident."""
        return self._bells.setdefault(incident, asyncio.Event())

    async def load(self, incident: str) -> Incident:
        """The incident as it stands. Raises UnknownIncident, Temporary."""
        if incident in self._known:
            return self._known[incident]
        entries = await self.journal.read(incident)
        if not entries:
            raise UnknownIncident(f"there is no incident {incident}")
        return self._remember(fold(entries))

    async def open(self, incident: str, key: str, events: Sequence[Event]) -> Incident:
        """Start an incident. Raises KeyTaken if one is open for this key."""
        drafts = [Draft(at=self.clock(), event=event) for event in events]
        first = drafts[0]
        opened = Incident(incident, first.at, first.event, 1)  # type: ignore[arg-type]
        for draft in drafts[1:]:
            opened = apply(opened, draft.at, draft.event)
        opened = _at_seq(opened, len(drafts))
        await self.journal.open(incident, key, drafts, _head(opened, self.clock()))
        self._remember(opened)
        self._tell(None, opened, events)
        self.opened.put_nowait(incident)
        return opened

    async def record(
        self,
        incident: str,
        change: Change,
        *,
        by: str = DAEMON,
        claim: Claim | None = None,
        release: bool = False,
    ) -> Incident:
        """Append what `change` makes of the incident; it must be pure, for it may run twice.

        Raises ClaimRefused, Temporary, UnknownIncident.
        """
        await self.load(incident)  # an unknown one leaves no lock behind
        async with self._locks.setdefault(incident, asyncio.Lock()):
            return await self._record(incident, change, by, claim, release)

    async def _record(
        self, incident: str, change: Change, by: str, claim: Claim | None, release: bool
    ) -> Incident:
        while True:
            before = await self.load(incident)
            now = self.clock()
            events = change(before)
            if not events:
                return before
            after = before
            for event in events:
                after = apply(after, now, event, by)
            after = _at_seq(after, before.seq + len(events))
            drafts = [Draft(at=now, by=by, event=event) for event in events]
            try:
                await self.journal.append(
                    incident,
                    before.seq,
                    drafts,
                    _head(after, now),
                    claim=claim,
                    release=release,
                    marks=_marks(before, events),
                )
            except Conflict:
                self._known.pop(incident, None)
                continue
            self._remember(after)
            self._tell(before, after, events)
            self.bell(incident).set()
            return after

    async def note_wake(self, incident: Incident, wake_at: datetime | None) -> None:
        """Store when the incident must be looked at next: the timer that a restart finds."""
        try:
            await self.journal.append(incident.id, incident.seq, [], _head(incident, wake_at))
        except Conflict:
            return  # it has moved on, and is being decided anew

    def ring_all(self) -> None:
        """Make every incident look again; something that concerns them all has changed."""
        for bell in self._bells.values():
            bell.set()
        self.all_changed()

    def all_changed(self) -> None:
        """Tell the onlookers that something has changed which is part of no incident."""
        for onlooker in self.onlookers:
            onlooker()

    def forget(self, incident: str) -> None:
        """Drop what is kept for an incident that is over."""
        self._known.pop(incident, None)
        self._bells.pop(incident, None)
        self._locks.pop(incident, None)

    def _tell(self, before: Incident | None, after: Incident, events: Sequence[Event]) -> None:
        for listener in self.listeners:
            listener(before, after, events)

    def _remember(self, incident: Incident) -> Incident:
        if incident.closed is None:
            self._known[incident.id] = incident
        else:
            self._known.pop(incident.id, None)
        return incident


def _at_seq(incident: Incident, seq: int) -> Incident:
    return replace(incident, seq=seq)


def _head(incident: Incident, wake_at: datetime | None) -> HeadState:
    """The head row. After an append a decision is due at once, so `wake_at` is then now."""
    return HeadState.of(incident, wake_at)


def _marks(incident: Incident, events: Sequence[Event]) -> Mapping[tuple[str, str], Mark]:
    """What a verdict says of the items that its step switched between."""
    marks: dict[tuple[str, str], Mark] = {}
    for event in events:
        if not isinstance(event, StepVerified):
            continue
        step = incident.step(event.step)
        if step.outcome is None or step.outcome.result != "done":
            continue  # what is live after anything else is not known
        came_from, went_to = (step.intent or {}).get("from"), (step.intent or {}).get("to")
        if event.verdict == "recovered":
            if came_from:
                marks[(step.target, came_from)] = "bad"
            if went_to:
                marks[(step.target, went_to)] = "healthy"
        elif event.verdict == "worse" and went_to:
            marks[(step.target, went_to)] = "bad"
    return marks
