"""What Alertmanager lists, held against what our incidents know. Pure.

Alertmanager tells of changes, but not of all: an alert that ends under a silence or an inhibition
is never told as resolved, and if it fires anew soon after, that outage is not told either until
`repeat_interval`. What it lists (`/api/v2/alerts/groups`) shows both.

Its silence about an alert is weaker than its word: it keeps alerts in memory only, so a fresh start
lists nothing until Prometheus has sent everything again. See `tally`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from daemon.core.alertmanager import (
    RECONCILED,
    Alert,
    Labels,
    milliseconds,
    quoted_receiver,
)
from daemon.core.incident.events import Suppression
from daemon.core.incident.state import Incident

State = Literal["active", "suppressed", "unprocessed"]
Firing = tuple[str, int]
"""One firing of one alert: its identity, and its start in Unix milliseconds."""


@dataclass(frozen=True)
class Listing:
    """An alert in one of its groups, as one peer lists it. `receiver` is the name as configured."""

    alert: Alert
    receiver: str
    group_labels: Labels
    state: State = "active"
    silences: tuple[str, ...] = ()
    inhibitors: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()

    @property
    def firing(self) -> Firing:
        """Which firing of the alert this is."""
        return firing_of(self.alert)


@dataclass(frozen=True)
class Look:
    """What one peer answered. `age`: how long it has been running. `timed`: receivers of routes
    with time intervals, if it does not show which of their alerts it mutes."""

    peer: str
    age: timedelta
    listed: tuple[Listing, ...] = ()
    timed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Silence:
    """A silence as it stands: until when, by whom, why."""

    until: datetime
    by: str
    comment: str


@dataclass(frozen=True)
class Seen:
    """When an alert was listed last, with which start (Unix milliseconds), by which peers."""

    at: datetime
    start: int
    by: frozenset[str]


@dataclass(frozen=True)
class Memory:
    """What the looks so far leave to the next one, by the alert's identity.

    `missed`: at which look an alert was missed first. `ended`: whose end was told already.
    """

    seen: Mapping[str, Seen] = field(default_factory=dict)
    missed: Mapping[str, datetime] = field(default_factory=dict)
    ended: frozenset[Firing] = frozenset()


@dataclass(frozen=True)
class Over:
    """An alert of an incident that nobody lists any more, and when it must have ended."""

    incident: Incident
    alert: Alert
    at: datetime


def firing_of(alert: Alert) -> Firing:
    """Which firing of which alert this is."""
    return alert.identity, milliseconds(alert.starts_at)


def merged(looks: Iterable[Look]) -> list[Listing]:
    """What the peers list together: active for one is active, and the latest start counts."""
    found: dict[tuple[str, str, str], Listing] = {}
    for look in looks:
        for listing in look.listed:
            group = json.dumps(sorted(listing.group_labels.items()))
            place = listing.receiver, group, listing.alert.identity
            if place not in found or _weight(listing) > _weight(found[place]):
                found[place] = listing
    return list(found.values())


def _weight(listing: Listing) -> tuple[bool, int]:
    return listing.state == "active", milliseconds(listing.alert.starts_at)


def knows(incident: Incident, alert: Alert) -> bool:
    """Whether the incident has heard of this very firing, and not that it is over; or of a later
    one, for a peer may lag behind."""
    known = incident.alerts.get(alert.identity)
    if known is None or known.status != "firing":
        return False
    return milliseconds(known.starts_at) >= milliseconds(alert.starts_at)


def settled_down(listing: Listing, memory: Memory, now: datetime, patience: timedelta) -> bool:
    """Whether an active alert is no news that Alertmanager is about to tell or inhibit: it was
    listed at the look before, or it has been firing for a while."""
    seen = memory.seen.get(listing.alert.identity)
    before = seen is not None and seen.start == milliseconds(listing.alert.starts_at)
    return before or now - listing.alert.starts_at >= patience


def remembering(
    memory: Memory, looks: Sequence[Look], incidents: Collection[Incident], now: datetime
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
    wanted = {identity for identity, _ in firing}
    seen = {name: one for name, one in memory.seen.items() if name in wanted}
    seen |= {name: Seen(now, start[name], frozenset(by[name])) for name in by}
    missed = {name: at for name, at in memory.missed.items() if name in wanted - by.keys()}
    return Memory(seen, missed, memory.ended & firing)


def missing(memory: Memory, incidents: Collection[Incident], now: datetime) -> list[Over]:
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
        found.append(Over(incident, alert, seen.at if seen else now))
    return found


def tally(
    memory: Memory, absent: Iterable[Over], looks: Sequence[Look], settle: timedelta, now: datetime
) -> tuple[Memory, list[Over]]:
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
            over.append(Over(one.incident, one.alert, max(at, one.alert.starts_at + _AFTER)))
    ended = memory.ended | {firing_of(one.alert) for one in over}
    return Memory(memory.seen, missed, ended), over


_AFTER = timedelta(milliseconds=1)


def _firing(incidents: Iterable[Incident]) -> list[tuple[Incident, Alert]]:
    return [
        (incident, alert)
        for incident in incidents
        for alert in incident.alerts.values()
        if alert.status == "firing"
    ]


# ── what is suppressed ───────────────────────────────────────────────────────────────────────


def suppressions(
    incident: Incident, listed: Mapping[str, Listing], silences: Mapping[str, Silence]
) -> tuple[Suppression, ...]:
    """What keeps the incident's firing alerts from being told. `listed` by the alert's identity.

    Of an alert that is not listed, what was said last stays true.
    """
    found: dict[Suppression, list[str]] = {}
    for alert in incident.alerts.values():
        name = alert.identity
        if alert.status != "firing":
            continue
        if name in listed:
            reasons = _reasons(listed[name], listed, silences)
        else:
            old = (one for one in incident.suppressed if name in one.alerts)
            reasons = [one.model_copy(update={"alerts": ()}) for one in old]
        for reason in reasons:
            found.setdefault(reason, []).append(name)
    return tuple(
        reason.model_copy(update={"alerts": tuple(sorted(names))})
        for reason, names in found.items()
    )


def _reasons(
    listing: Listing, listed: Mapping[str, Listing], silences: Mapping[str, Silence]
) -> list[Suppression]:
    found = []
    for name in listing.silences:
        silence = silences.get(name)
        if silence is None:
            found.append(Suppression(how="silenced"))
        else:
            by, why = silence.by, silence.comment
            found.append(Suppression(how="silenced", until=silence.until, by=by, reason=why))
    for name in listing.inhibitors:
        by = listed[name].alert.name if name in listed else ""
        found.append(Suppression(how="inhibited", by=by))
    found += [Suppression(how="muted", by=interval) for interval in listing.intervals]
    return sorted(set(found), key=lambda one: one.model_dump_json())


# ── as deliveries ────────────────────────────────────────────────────────────────────────────


def delivery_of(
    receiver: str, group_labels: Mapping[str, str], alerts: Sequence[Alert], at: datetime
) -> bytes:
    """The body of a delivery that says what a look has shown, in Alertmanager's own format.

    The moment is part of what it is known by: the same alert may be lost, end and be back.
    """
    firing = any(alert.status == "firing" for alert in alerts)
    body = {
        "version": "4",
        "groupKey": f"{RECONCILED}{at.isoformat()}:{json.dumps(sorted(group_labels.items()))}",
        "receiver": quoted_receiver(receiver),
        "status": "firing" if firing else "resolved",
        "groupLabels": dict(group_labels),
        "alerts": [alert.model_dump(mode="json", by_alias=True) for alert in alerts],
    }
    return json.dumps(body).encode()


def taken_in(listings: Iterable[Listing], at: datetime) -> list[bytes]:
    """Deliveries of alerts that were lost, one for each group."""
    groups: dict[str, list[Listing]] = {}
    for one in listings:
        key = json.dumps([one.receiver, sorted(one.group_labels.items())])
        groups.setdefault(key, []).append(one)
    return [
        delivery_of(some[0].receiver, some[0].group_labels, [one.alert for one in some], at)
        for some in groups.values()
    ]


def ended(overs: Iterable[Over], at: datetime) -> list[bytes]:
    """Deliveries of alerts that are over, one for each incident."""
    incidents: dict[str, list[Over]] = {}
    for over in overs:
        incidents.setdefault(over.incident.id, []).append(over)
    return [
        delivery_of(
            "",
            some[0].incident.group_labels,
            [
                one.alert.model_copy(update={"status": "resolved", "ends_at": one.at})
                for one in some
            ],
            at,
        )
        for some in incidents.values()
    ]


# ── its configuration ────────────────────────────────────────────────────────────────────────


def timed_receivers(config: Any) -> frozenset[str]:
    """The receivers of routes that tell at certain times only; `config` as read from YAML."""
    route = config.get("route") if isinstance(config, dict) else None
    return frozenset(_timed(route, "")) if isinstance(route, dict) else frozenset()


def _timed(route: Mapping[str, Any], inherited: str) -> Iterable[str]:
    receiver = str(route.get("receiver") or inherited)
    if route.get("mute_time_intervals") or route.get("active_time_intervals"):
        yield receiver
    for child in route.get("routes") or ():
        yield from _timed(child, receiver)
