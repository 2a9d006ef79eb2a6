"""What Alertmanager lists: its alerts in their groups, as each of its peers has them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from daemon.core.alertmanager import Alert, Labels, milliseconds

AlertState = Literal["active", "suppressed", "unprocessed"]
Firing = tuple[str, int]
"""One firing of one alert: its identity, and its start in Unix milliseconds."""


@dataclass(frozen=True)
class Listing:
    """An alert in one of its groups, as one peer lists it. `receiver` is the name as configured;
    `updated_at`: when the peer last heard of the alert."""

    alert: Alert
    receiver: str
    group_labels: Labels
    state: AlertState = "active"
    silences: tuple[str, ...] = ()
    inhibitors: tuple[str, ...] = ()
    intervals: tuple[str, ...] = ()
    updated_at: datetime | None = None

    @property
    def firing(self) -> Firing:
        """Which firing of the alert this is."""
        return firing_of(self.alert)


@dataclass(frozen=True)
class PeerListing:
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


def firing_of(alert: Alert) -> Firing:
    """Which firing of which alert this is."""
    return alert.identity, milliseconds(alert.starts_at)


def merge_listings(looks: Iterable[PeerListing]) -> list[Listing]:
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
