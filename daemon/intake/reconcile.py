"""Compares what Alertmanager lists with the incidents, again and again.

What it does not tell of is taken in as a delivery of its own kind, through the inbox as all are;
so it is sorted, dropped if stale, and paged as if it had been told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from daemon.core.alertmanager import Alert, fresh
from daemon.core.incident import events as e
from daemon.core.incident.alert_routes import taker
from daemon.core.incident.state import Incident
from daemon.core.ports.alerts import AlertsApi
from daemon.core.ports.inbox import Inbox
from daemon.core.ports.journal import IncidentSearch
from daemon.core.reconciliation import judgement
from daemon.core.reconciliation.deliveries import ended, taken_in
from daemon.core.reconciliation.listing import (
    Firing,
    Listing,
    PeerListing,
    Silence,
    firing_of,
    merge_listings,
)
from daemon.core.reconciliation.suppressions import suppressions, without_ours
from daemon.core.rules.rule import RuleBook, incident_key
from daemon.core.values.drill_key import drill_of
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.intake.dispatch import matching
from daemon.intake.intake import Intake
from daemon.intake.receivers import Receivers
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

_AGAIN = timedelta(minutes=30)
"""After so long an alert that was taken in and still is in no incident is taken in again."""


@dataclass(frozen=True)
class ReconcilePace:
    """How often to look, and how long a peer must have been running for its silence to count."""

    every: timedelta
    settle: timedelta


class Reconciler:
    """Looks at all peers of one Alertmanager; one that is away is told of once."""

    def __init__(
        self,
        peers: Sequence[AlertsApi],
        receivers: Receivers,
        intake: Intake,
        inbox: Inbox,
        repository: IncidentRepository,
        rules: Callable[[], RuleBook],
        pace: ReconcilePace,
        observer: Observer = QUIET,
    ) -> None:
        self._peers = {peer.name: peer for peer in peers}
        self._receivers = receivers
        self._intake = intake
        self._inbox = inbox
        self._repository = repository
        self._rules = rules
        self._pace = pace
        self._observer = observer
        self._memory = judgement.Memory()
        self._silent: set[str] = set()
        self._timed: frozenset[str] = frozenset()
        self._taken: dict[Firing, datetime] = {}
        # (incident key, firing): the newest incident of that key has it, and is over.
        self._over: set[tuple[str, Firing]] = set()

    async def run(self) -> None:
        """Look at once, and then again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Temporary as error:
                text = "what Alertmanager lists cannot be compared now; looking again"
                _log.warning(text, error=str(error))
            except Exception:
                _log.exception("comparing with what Alertmanager lists crashed; looking again")
                self._observer.crashed("reconciler")
            await asyncio.sleep(self._pace.every.total_seconds())

    async def look(self) -> None:
        """Look once. Raises Temporary if the store does not answer."""
        await self._receivers.recall()
        looks = await self._ask()
        if not looks:
            self._memory = replace(self._memory, missed={})
            return
        await self._receivers.learn(one for look in looks for one in look.listed)
        ours = self._receivers.ours
        incidents = await self._open_incidents()
        merged = [one for one in merge_listings(looks) if one.receiver in ours]
        listed = without_ours(merged, incidents.values())
        now, before = self._repository.clock(), self._memory
        self._memory = judgement.remembering(before, looks, incidents.values(), now)
        await self._take_in(await self._lost(listed, incidents, before, now, looks), now)
        await self._end(incidents.values(), looks, now)
        await self._tell_suppressed(incidents.values(), listed)

    async def _open_incidents(self) -> dict[str, Incident]:
        """The open incidents by their key, as far as they can be read; no drills, of whose alerts
        Alertmanager knows nothing."""
        opened = await self._repository.journal.open_heads()
        heads = [head for head in opened if not drill_of(head.key)]
        read = {head.key: await self._read(head.incident) for head in heads}
        return {key: incident for key, incident in read.items() if incident is not None}

    async def _read(self, identity: str) -> Incident | None:
        try:
            return await self._repository.load(identity)
        except (Permanent, ValueError, UnknownIncident) as error:
            text = "an incident is unreadable; it is compared with nothing"
            _log.error(text, incident=identity, error=str(error))
            return None

    # ── the peers ────────────────────────────────────────────────────────────────────────────

    async def _ask(self) -> list[PeerListing]:
        names = self._receivers.candidates
        answers = await asyncio.gather(
            *(self._ask_one(peer, names) for peer in self._peers.values())
        )
        looks = [look for look in answers if look is not None]
        self._observer.alertmanagers(len(looks), len(self._peers) - len(looks))
        return looks

    async def _ask_one(self, peer: AlertsApi, names: Collection[str]) -> PeerListing | None:
        try:
            look = await peer.look(names)
        except (Temporary, Permanent) as error:
            if peer.name not in self._silent:
                text = "an Alertmanager does not answer; what it keeps to itself is not noticed"
                _log.warning(text, alertmanager=peer.name, error=str(error))
            self._silent.add(peer.name)
            return None
        if peer.name in self._silent:
            _log.info("the Alertmanager answers again", alertmanager=peer.name)
            self._silent.remove(peer.name)
        return look

    # ── what was lost ────────────────────────────────────────────────────────────────────────

    async def _lost(
        self,
        listed: Sequence[Listing],
        incidents: Mapping[str, Incident],
        before: judgement.Memory,
        now: datetime,
        looks: Sequence[PeerListing],
    ) -> list[Listing]:
        """The active alerts that no incident knows and Alertmanager will not tell of soon."""
        patience, timed = self._pace.every, frozenset[str]().union(*(look.timed for look in looks))
        self._tell_timed(timed & set(self._receivers.ours))
        active = [
            one
            for one in listed
            if one.state == "active"
            and one.receiver not in timed
            and judgement.settled_down(one, before, now, patience)
        ]
        firings = {one.firing for one in active}
        self._taken = {f: at for f, at in self._taken.items() if f in firings and now < at + _AGAIN}
        self._over = {known for known in self._over if known[1] in firings}
        unknown = [one for one in active if await self._unknown(one, incidents)]
        if not unknown:
            return []
        ends = await self._inbox.ended(sorted({one.alert.identity for one in unknown}))
        return [one for one in unknown if self._fires(one, ends, now)]

    def _fires(self, listing: Listing, ends: Mapping[str, datetime], now: datetime) -> bool:
        """Whether it is no firing that is known to be over."""
        if fresh([listing.alert], ends):
            return True
        return judgement.fires_again(listing, ends[listing.alert.identity], now, self._pace.every)

    async def _unknown(self, listing: Listing, incidents: Mapping[str, Incident]) -> bool:
        """Whether an incident that it belongs to, the newest of its key, has not heard of it."""
        if listing.firing in self._taken:
            return False
        for rule, labels in matching(self._rules(), listing.group_labels, listing.alert):
            key = incident_key(rule.rule if rule else "", labels)
            if (key, listing.firing) in self._over:
                continue
            incident = self._holder(key, listing.alert, incidents)
            if incident is None:
                newest = await self._repository.journal.heads(1, IncidentSearch(key=key))
                incident = await self._read(newest[0].incident) if newest else None
                if newest and incident is None:
                    continue
            if incident is None or not judgement.knows(incident, listing.alert):
                return True
            if incident.closed is not None:
                self._over.add((key, listing.firing))
        return False

    @staticmethod
    def _holder(key: str, alert: Alert, incidents: Mapping[str, Incident]) -> Incident | None:
        """The open incident that an alert of that key belongs to."""
        holder = incidents.get(key)
        routing = {i.id: i for i in incidents.values() if i.organization.routes}
        routes = [(name, one.organization.routes) for name, one in routing.items()]
        routed = taker(routes, key, alert, holder.id if holder else None)
        return holder if routed is None else routing.get(routed, holder)

    async def _take_in(self, lost: Sequence[Listing], now: datetime) -> None:
        for body in taken_in(lost, now):
            await self._intake.receive(body)
        if lost:
            self._observer.reconciled("taken", len(lost))
            names = sorted({one.alert.name for one in lost})
            text = "alerts that Alertmanager lists and did not tell of are taken in"
            _log.warning(text, count=len(lost), alerts=names[:10])
        self._taken |= {one.firing: now for one in lost}

    def _tell_timed(self, timed: frozenset[str]) -> None:
        if timed - self._timed:
            text = (
                "routes with time intervals: this Alertmanager does not show what they mute, so "
                "nothing that it does not tell of is taken in for these receivers"
            )
            _log.warning(text, receivers=sorted(timed), mend="Alertmanager 0.28 or newer shows it")
        self._timed = timed

    # ── what is over ─────────────────────────────────────────────────────────────────────────

    async def _end(
        self, incidents: Collection[Incident], looks: Sequence[PeerListing], now: datetime
    ) -> None:
        absent = judgement.missing(self._memory, incidents, now)
        if len(looks) < len(self._peers):
            # Of what was suppressed before our start nobody knows which peer listed it.
            absent = [one for one in absent if one.alert.identity in self._memory.seen]
        if absent:
            # It may have been routed elsewhere, and that is no end.
            lookups = (self._peers[look.peer].present() for look in looks)
            try:
                present = frozenset[str]().union(*await asyncio.gather(*lookups))
            except (Temporary, Permanent):
                self._memory = replace(self._memory, missed={})
                return
            absent = [one for one in absent if one.alert.identity not in present]
        after, over = judgement.tally(self._memory, absent, looks, self._pace.settle, now)
        for body in ended(over, now):
            await self._intake.receive(body)
        self._memory = after
        if over:
            self._observer.reconciled("ended", len(over))
            names = sorted({one.alert.name for one in over})
            _log.info("alerts that Alertmanager lists no more have ended", alerts=names[:10])
        for one in over:
            self._taken.pop(firing_of(one.alert), None)

    # ── what is suppressed ───────────────────────────────────────────────────────────────────

    async def _tell_suppressed(
        self, incidents: Collection[Incident], listed: Sequence[Listing]
    ) -> None:
        # Active in one group is active, whatever mutes another.
        by_alert = {
            one.alert.identity: one for one in sorted(listed, key=lambda one: one.state == "active")
        }
        ours = {name for incident in incidents for name in incident.alerts}
        silence_ids = {s for name in ours & by_alert.keys() for s in by_alert[name].silences}
        try:
            silences = {name: await self._silence(name) for name in sorted(silence_ids)}
        except Temporary:
            return  # the next look may know more
        known = {name: silence for name, silence in silences.items() if silence is not None}
        for incident in incidents:
            found = suppressions(incident, by_alert, known)
            if found != incident.suppressed:
                await self._repository.record(incident.id, partial(_suppressed, found))

    async def _silence(self, identity: str) -> Silence | None:
        """The silence, by the first peer that has it; None if none tells of it. Raises
        Temporary."""
        away: Temporary | None = None
        for peer in self._peers.values():
            try:
                return await peer.silence(identity)
            except Temporary as error:
                away = error
            except Permanent:
                continue
        if away is not None:
            raise away
        return None


def _suppressed(
    suppressed: tuple[e.Suppression, ...], incident: Incident
) -> tuple[e.AlertsSuppressed, ...]:
    if incident.closed is not None or incident.suppressed == suppressed:
        return ()
    return (e.AlertsSuppressed(suppressed=suppressed),)
