"""The one way to change an incident: read it, work out events from it, append, or try again.

Two acknowledgements at the same moment, here or on another replica, both read "no commander";
only one append finds its sequence number free, and the other is worked out anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from weakref import WeakValueDictionary

import structlog

from daemon.appends import AppendTracker
from daemon.core.incident.events import DAEMON, Draft, Entry, Event
from daemon.core.incident.fold import apply_event, fold, fold_onto
from daemon.core.incident.outcomes import is_news
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Claim, Debts, HeadState, Journal, Owed, SequenceConflict
from daemon.core.ports.replicas import SOLE, NotOwner, Ownership
from daemon.core.ports.urgency import Urgency, urgency_of
from daemon.core.recovery.health_marks import health_marks
from daemon.core.values.outcome import Permanent, Temporary
from daemon.owed_appends import OwedAppends, with_news

_log = structlog.get_logger()

DecideEvents = Callable[[Incident], Sequence[Event]]
IncidentListener = Callable[[Incident | None, Incident, Sequence[Event]], None]
"""Hears of every append: the incident before (None: it opens), after, and what was appended."""
Clock = Callable[[], datetime]


READ_TOGETHER = 100
"""So many incidents are read by one statement."""


class UnknownIncident(LookupError):
    """There is no incident with this id."""


class Stale(Exception):
    """The incident has moved on since this was decided: nothing was appended, decide anew."""


class Unheard(NamedTuple):
    """The entries of an incident after that one, as they were a moment ago."""

    after: int
    entries: Sequence[Entry]


class IncidentRepository:
    """Reads and appends incidents; wakes whoever waits for one.

    Incidents that were read stay in memory as long as they are open; the journal's sequence
    number tells at every append whether that memory is still the truth.

    What was done in the world and cannot be written down is owed, and counts in everything that is
    read here: `daemon.owed_appends`.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        debts: Debts | None = None,
        ownership: Ownership = SOLE,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.ownership = ownership
        """Which incidents are this process's to conduct, of those of several replicas."""
        self.attempts: set[tuple[str, str]] = set()
        """The (incident, page) that are being delivered just now, whoever does it."""
        self._owed = OwedAppends(debts)
        self._known: dict[str, Incident] = {}
        self._bells: dict[str, asyncio.Event] = {}
        # Each lives as long as somebody holds it or waits for it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.opened: asyncio.Queue[str] = asyncio.Queue()
        """The open incidents that somebody has to conduct, some of them several times: those that
        were opened here, and those that were read for the first time."""
        self.listeners: list[IncidentListener] = []
        """Hear of every append, on whichever replica it was made."""
        self.own_listeners: list[IncidentListener] = []
        """Hear of the appends that were made here, and of no others."""
        self.opening_listeners: list[Callable[[Incident], None]] = []
        """Hear of an incident of ours that is being opened, which may yet fail."""
        self.onlookers: list[Callable[[], None]] = []
        self.position: int | None = None
        """How far the store as a whole has come, as all replicas count it; None where we are the
        only one, and nobody counts."""
        self.position_listeners: list[Callable[[], None]] = []
        self.readings = 0
        """So often an incident came to be as it stands without that the listeners heard of it."""
        self.appends = AppendTracker()

    @property
    def known(self) -> Collection[Incident]:
        """The open incidents that were read so far; a conductor reads all of them."""
        return self._known.values()

    def at_hand(self, incident: str) -> Incident | None:
        """An open incident that was read so far, as it stands."""
        return self._known.get(incident)

    def bell(self, incident: str) -> asyncio.Event:
        """Rings at each change of the incident."""
        return self._bells.setdefault(incident, asyncio.Event())

    def ring(self, incident: str) -> None:
        """Make whoever waits for the incident look again; nobody does for one that is over."""
        if incident in self._bells:
            self._bells[incident].set()

    async def load(self, incident: str) -> Incident:
        """The incident as it stands. Raises UnknownIncident, Temporary."""
        if incident in self._known:
            return self._known[incident]
        entries = await self.journal.read(incident)
        if not entries:
            raise UnknownIncident(f"there is no incident {incident}")
        if incident in self._known:
            return self._known[incident]  # read and perhaps changed meanwhile: ours is older
        found = self._remember(self._owed.counted_in(fold(entries)))
        if found.closed is None:
            # Whoever opened it may never have got to know that it was stored.
            self.opened.put_nowait(incident)
        return found

    async def load_whole(self, incident: str) -> tuple[Incident, list[Entry]]:
        """The incident as it stands, and its entries up to there: what is appended between the two
        readings is in neither. Raises UnknownIncident, Temporary."""
        found = await self.load(incident)
        entries = await self.journal.read(incident)
        return found, [entry for entry in entries if entry.seq <= found.seq]

    async def load_together(self, incidents: Sequence[str]) -> None:
        """Read these into memory, many by one statement; what `load` finds there it does not read.
        What is unreadable is left to `load`, which tells of it. Raises Temporary."""
        unread = [name for name in incidents if name not in self._known]
        for first in range(0, len(unread), READ_TOGETHER):
            portion = unread[first : first + READ_TOGETHER]
            try:
                found = await self.journal.read_together(dict.fromkeys(portion, 0))
            except (Permanent, ValueError):
                continue  # one of them, but not which
            for name, entries in found.items():
                if name in self._known:
                    continue  # read and perhaps changed meanwhile
                with suppress(ValueError):
                    self._remember(self._owed.counted_in(fold(entries)))

    def _moved_on(self, incident: Incident) -> bool:
        """Whether it is no longer as it was read then; what was decided on that is void."""
        known = self._known.get(incident.id)
        return known is not incident and (known is not None or incident.closed is None)

    async def open(self, incident: str, key: str, events: Sequence[Event]) -> Incident:
        """Start an incident. Raises KeyTaken if one is open for this key."""
        drafts = [Draft(at=self.clock(), event=event) for event in events]
        first = drafts[0]
        opened = Incident(incident, first.at, first.event, 1)  # type: ignore[arg-type]
        for draft in drafts[1:]:
            opened = apply_event(opened, draft.at, draft.event)
        opened = replace(opened, seq=len(drafts))
        state, owner = HeadState.of(opened, self.clock()), self.ownership.opens(incident)
        if self.ownership.owns(incident):
            for listener in self.opening_listeners:
                listener(opened)
        try:
            with self.appends.ours(incident, len(drafts)):
                await self.journal.open(incident, key, drafts, state, owner=owner)
        except BaseException:
            self.ownership.lost(incident, "")
            raise
        if incident not in self._known:  # else somebody has found it, and perhaps changed it
            self._keep(opened)
        self._notify(None, opened, events)
        if self.ownership.owns(incident):
            self.opened.put_nowait(incident)
        return opened

    async def record(
        self,
        incident: str,
        change: DecideEvents,
        *,
        by: str = DAEMON,
        release: bool = False,
        fenced: bool = False,
    ) -> Incident:
        """Append what `change` makes of the incident; it must be pure, for it may run twice.
        `fenced`: only while the incident is this replica's to conduct, for what follows from it is
        done to the world.

        Raises Temporary, UnknownIncident; NotOwner if it is fenced.
        """
        await self.load(incident)  # an unknown one leaves no lock behind
        async with self._lock(incident):
            while True:
                before = await self.load(incident)
                events = change(before)
                if not events:
                    return before
                try:
                    return await self._append(
                        before, events, by, release=release, fenced=fenced or release
                    )
                except SequenceConflict:
                    continue

    async def claim(
        self, incident: Incident, events: Sequence[Event], lock: Claim | None = None
    ) -> Incident:
        """Append these to the incident as it was decided on, or nothing: the right to carry out
        what they announce. `lock` takes the target of a step that starts. No bell rings, for
        whoever claims has decided just now.

        Raises Stale, ClaimRefused, NotOwner, Temporary.
        """
        async with self._lock(incident.id):
            if self._moved_on(incident):
                raise Stale
            try:
                return await self._append(incident, events, claim=lock, ring=False, fenced=True)
            except SequenceConflict:
                raise Stale from None

    async def report(self, incident: str, *events: Event, release: bool = False) -> Incident:
        """Append what the world has answered, as far as it is news; `release` as in `append`.

        It has happened, so it is not forgotten, even if the task is cancelled meanwhile: while
        the store cannot be written, it is owed, and nothing is done about the incident until
        that is paid. Only how a step ended (`release`) is forgotten once another replica conducts
        the incident: that one looks at the target itself, and may be at work on it. Raises
        UnknownIncident.
        """
        writing = asyncio.create_task(self._report(incident, events, release))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    async def _report(self, incident: str, events: Sequence[Event], release: bool) -> Incident:
        def unrecorded(current: Incident) -> Sequence[Event]:
            return [event for event in events if is_news(current, event)]

        try:
            return await self.record(incident, unrecorded, release=release)
        except NotOwner as refusal:
            if not self._is_ours(refusal):
                _log.warning("another replica looks how the step ended", why=str(refusal))
                return await self.load(incident)
            _log.warning("how a step ended is kept until the lease is renewed", why=str(refusal))
        except (Temporary, Permanent) as error:
            kinds = ", ".join(event.kind for event in events)
            _log.error(
                "the store takes no outcome; it is kept until it can", of=kinds, why=str(error)
            )
        now = self.clock()
        drafts = tuple(Draft(at=now, event=event) for event in events)
        self._owed.add(Owed(incident=incident, drafts=drafts, release=release))
        known = self._known.pop(incident, None)
        if known is not None:
            self._remember(with_news(known, drafts)[0])
        await self._owed.keep()
        return await self.load(incident)

    @property
    def owing(self) -> Collection[str]:
        """The incidents of which something is owed to the journal."""
        return self._owed.incidents

    async def pay(self, incident: str) -> None:
        """Append what is owed. Raises Temporary while that cannot be done."""
        if incident not in self.owing:
            return
        async with self._lock(incident):
            while incident in self.owing:
                try:
                    await self._append(await self.load(incident), ())
                except SequenceConflict:
                    continue
                except UnknownIncident:
                    kept = str(self._owed.of(incident))
                    _log.error("owed to an incident that is gone", kept=kept)
                    await self._owed.paid(incident)

    async def _append(
        self,
        before: Incident,
        events: Sequence[Event],
        by: str = DAEMON,
        *,
        claim: Claim | None = None,
        release: bool = False,
        ring: bool = True,
        fenced: bool = False,
    ) -> Incident:
        """Append after `before`, in which what is owed is counted already. Raises
        SequenceConflict or NotOwner, and then `before` is forgotten."""
        now, owed = self.clock(), self._owed.of(before.id)
        after = before
        for event in events:
            after = apply_event(after, now, event, by)
        drafts = [*(owed.drafts if owed else ()), *(Draft(at=now, by=by, event=x) for x in events)]
        if not drafts:
            await self._owed.paid(before.id)  # all of it was known already
            return before
        after = replace(after, seq=before.seq + len(drafts))
        appended = [draft.event for draft in drafts]
        try:
            with self.appends.ours(before.id, after.seq):
                await self.journal.append(
                    before.id,
                    before.seq,
                    drafts,
                    HeadState.of(after, now),
                    claim=claim,
                    release=release or (owed is not None and owed.release),
                    marks=health_marks(before, appended),
                    urgency=urgency_of(before, appended, by),
                    fence=self.ownership.fence if fenced or (owed and owed.release) else None,
                )
        except SequenceConflict:
            self._known.pop(before.id, None)
            raise
        except NotOwner as refusal:
            self._known.pop(before.id, None)
            self.ownership.lost(before.id, refusal.owner)
            if fenced:
                raise
            await self._forgo_outcome(before.id, refusal)
            raise SequenceConflict from refusal
        self._keep(after)
        self._notify(before, after, appended)
        if ring:
            self.ring(before.id)
        await self._owed.paid(before.id)
        return after

    def _is_ours(self, refusal: NotOwner) -> bool:
        """Whether it was refused for our lease alone, which may be renewed yet."""
        fence = self.ownership.fence
        return fence is not None and refusal.owner == fence.replica

    async def _forgo_outcome(self, incident: str, refusal: NotOwner) -> None:
        """Owe no longer how a step ended that another replica looks after. Raises Temporary while
        the incident may yet be ours."""
        if self._is_ours(refusal):
            raise Temporary(f"{refusal}; it is tried again when the lease is renewed")
        await self._owed.forgo_outcomes(incident)

    def _lock(self, incident: str) -> asyncio.Lock:
        return self._locks.setdefault(incident, asyncio.Lock())

    async def note_wake(self, incident: Incident, wake_at: datetime | None) -> None:
        """Store when the incident must be looked at next: the timer that a restart finds."""
        try:
            await self.journal.append(
                incident.id, incident.seq, [], HeadState.of(incident, wake_at), urgency=Urgency.LOW
            )
        except SequenceConflict:
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

    def reach(self, position: int) -> None:
        """The store has come so far, and what others did until then was heard."""
        if position != self.position:
            self.position = position
            for listener in self.position_listeners:
                listener()

    def read_anew(self, incident: str) -> None:
        """Believe the journal about this incident next time, for others have written there."""
        self._known.pop(incident, None)

    def leave(self, incident: str) -> None:
        """Nobody here waits for the incident any more. While it is open, it stays known: another
        replica conducts it, and we hear of that."""
        self._bells.pop(incident, None)

    def _notify(self, before: Incident | None, after: Incident, events: Sequence[Event]) -> None:
        for listener in (*self.own_listeners, *self.listeners):
            listener(before, after, events)

    async def read_ahead(self, grown: Mapping[str, Sequence[int]]) -> Mapping[str, Unheard]:
        """What `hear` will need of these incidents, many by one statement; of what is unreadable
        nothing, for `hear` tells of it. Raises Temporary."""
        ahead: dict[str, Unheard] = {}
        foreign = [name for name, ends in grown.items() if not self.appends.all_ours(name, ends)]
        for first in range(0, len(foreign), READ_TOGETHER):
            portion = foreign[first : first + READ_TOGETHER]
            after = {name: self._heard_until(self._known.get(name)) for name in portion}
            try:
                found = await self.journal.read_together(after)
            except (Permanent, ValueError):
                continue  # one of them, but not which
            ahead |= {name: Unheard(after[name], found.get(name, ())) for name in portion}
        return ahead

    def _heard_until(self, known: Incident | None) -> int:
        # What is owed is counted in anew.
        return 0 if known is None or known.id in self.owing else known.seq

    async def hear(self, incident: str, ends: Sequence[int], ahead: Unheard | None = None) -> None:
        """Appends have ended at these entries, perhaps not ours: what others have appended is taken
        up, the bell rings and the listeners hear of it. `ahead`: what `read_ahead` has read for
        this. Raises Temporary, Permanent."""
        async with self._lock(incident):
            before = self._known.get(incident)
            if self.appends.only_ours(incident, ends):
                if before is None:
                    self.appends.over(incident)
                return
            until = self._heard_until(before)
            base = before if until else None
            if ahead is not None and ahead.after == until:
                entries = ahead.entries
            else:
                entries = await self.journal.read(incident, until)
            if base is None and not entries:
                return  # it has moved to the archive
            after = fold_onto(base, entries)
            known = before.seq if before is not None else None
            ranges = self.appends.foreign(incident, ends, known, is_open=after.closed is None)
            if after.closed is not None:
                self.appends.over(incident)
            if not ranges:
                return
            if after is not before:
                self._known.pop(incident, None)
                after = self._remember(self._owed.counted_in(after))
            first = ranges[0].after
            if not entries or entries[0].seq > first + 1:
                entries = await self.journal.read(incident, first)
        told = [x.event for x in entries if any(r.after < x.seq <= r.upto for r in ranges)]
        for listener in self.listeners:
            listener(before or (after if first else None), after, told)
        if incident in self._bells:
            self._bells[incident].set()
        elif after.closed is not None:
            self.leave(incident)

    def _remember(self, incident: Incident) -> Incident:
        self.readings += 1
        return self._keep(incident)

    def _keep(self, incident: Incident) -> Incident:
        if incident.closed is None:
            self._known[incident.id] = incident
        else:
            self._known.pop(incident.id, None)
        return incident
