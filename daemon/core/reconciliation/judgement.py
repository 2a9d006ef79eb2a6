"""What Alertmanager lists, held against what our incidents know. Pure.

Alertmanager tells of changes, but not of all: an alert that ends under a silence or an inhibition
is never told as resolved, and if it fires anew soon after, that outage is not told either until
`repeat_interval`. What it lists (`/api/v2/alerts/groups`) shows both.

Its silence about an alert is weaker than its word: it keeps alerts in memory only, so a fresh start
lists nothing until Prometheus has sent everything again. See `tally`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.alertmanager import Alert, milliseconds
from daemon.core.incident.state import Incident
from daemon.core.reconciliation.listing import Firing, Listing, PeerListing, firing_of

_AFTER = timedelta(milliseconds=1)
"""An end is so much later than its start, at least."""


@dataclass(frozen=True)
class LastListed:
    """When an alert was listed last, with which start (Unix milliseconds), by which peers."""

    at: datetime
    start: int
    by: frozenset[str]


@dataclass(frozen=True)
class Memory:
    """What the looks so far leave to the next one, by the alert's identity.

    `missed`: at which look an alert was missed first. `ended`: whose end was told already.
    """

    seen: Mapping[str, LastListed] = field(default_factory=dict)
    missed: Mapping[str, datetime] = field(default_factory=dict)
    ended: frozenset[Firing] = frozenset()


@dataclass(frozen=True)
class EndedAlert:
    """An alert of an incident that nobody lists any more, and when it must have ended."""

    incident: Incident
    alert: Alert
    at: datetime


def knows(incident: Incident, alert: Alert) -> bool:
    """Whether the incident has heard of this very firing, and not that it is over; or of a later
    one, for a peer may lag behind."""
    known = incident.alerts.get(alert.identity)
    if known is None or known.status != "firing":
        return False
    return milliseconds(known.starts_at) >= milliseconds(alert.starts_at)


def fires_again(listing: Listing, ended: datetime, now: datetime, patience: timedelta) -> bool:
    """Whether an alert that ended at that time fires again, though its start lies before that end.

    vmalert dates what fires 30 s back. Where that overlaps the firing before, Alertmanager makes
    one of the two, with the first start: its webhook then says the same as it did at first. That
    it heard of the alert after the end tells it from a peer that missed the end.
    """
    updated = listing.updated_at
    return updated is not None and updated > ended and now - ended >= patience


def settled_down(listing: Listing, memory: Memory, now: datetime, patience: timedelta) -> bool:
    """Whether an active alert is no news that Alertmanager is about to tell or inhibit: it was
    listed at the look before, or it has been firing for a while."""
    seen = memory.seen.get(listing.alert.identity)
    before = seen is not None and seen.start == milliseconds(listing.alert.starts_at)
    return before or now - listing.alert.starts_at >= patience


def remembering(
    memory: Memory, looks: Sequence[PeerListing], incidents: Collection[Incident], now: datetime
) -> Memory:
    """The memory after these looks: what is listed, and of what was, whatever an open incident
    still takes for firing."""
    by: dict[str, set[str]] = {}
    start: dict[str, int] = {}
    for look in looks:
        for listing in look.listed:
            identity, begun = listing.firing
            by.setdefault(identity, set()).add(look.peer)
            start[identity] = max(begun, start.get(identity, begun))
    firing = {firing_of(alert) for _, alert in _firing(incidents)}
    firing_identities = {identity for identity, _ in firing}
    seen = {name: one for name, one in memory.seen.items() if name in firing_identities}
    seen |= {name: LastListed(now, start[name], frozenset(by[name])) for name in by}
    missed = {
        name: at for name, at in memory.missed.items() if name in firing_identities - by.keys()
    }
    return Memory(seen, missed, memory.ended & firing)


def missing(memory: Memory, incidents: Collection[Incident], now: datetime) -> list[EndedAlert]:
    """What is firing for an open incident, was listed at an earlier look, and is not at this.

    What no peer ever listed came from somewhere else and is not theirs to end. That an alert was
    suppressed is in the journal, so a restart of ours does not forget those that matter most.
    """
    found = []
    for incident, alert in _firing(incidents):
        seen = memory.seen.get(alert.identity)
        suppressed = any(alert.identity in one.alerts for one in incident.suppressed)
        listed_now = seen is not None and seen.at == now
        if (seen is None and not suppressed) or listed_now or firing_of(alert) in memory.ended:
            continue
        found.append(EndedAlert(incident, alert, seen.at if seen else now))
    return found


def tally(
    memory: Memory,
    absent: Iterable[EndedAlert],
    looks: Sequence[PeerListing],
    settle: timedelta,
    now: datetime,
) -> tuple[Memory, list[EndedAlert]]:
    """Which of the alerts that no peer lists are over: those missed at the look before as well.

    Nothing is over by a look in which a peer has been running for less than `settle`, for it may
    not know yet what fires; nor while no peer answers that listed the alert.
    """
    if any(look.age < settle for look in looks):
        return Memory(memory.seen, {}, memory.ended), []
    answering = {look.peer for look in looks}
    missed: dict[str, datetime] = {}
    over = []
    for one in absent:
        name = one.alert.identity
        seen, first = memory.seen.get(name), memory.missed.get(name)
        if seen is not None and not seen.by & answering:
            continue
        if first is None:
            missed[name] = now
        else:
            at = seen.at if seen is not None else first
            over.append(EndedAlert(one.incident, one.alert, max(at, one.alert.starts_at + _AFTER)))
    ended = memory.ended | {firing_of(one.alert) for one in over}
    return Memory(memory.seen, missed, ended), over


def _firing(incidents: Iterable[Incident]) -> list[tuple[Incident, Alert]]:
    return [
        (incident, alert)
        for incident in incidents
        for alert in incident.alerts.values()
        if alert.status == "firing"
    ]
