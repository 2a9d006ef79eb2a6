"""What keeps Alertmanager from telling of an incident's alerts: silences and their like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from daemon.core.incident.events import Suppression
from daemon.core.incident.state import Incident
from daemon.core.reconciliation.listing import Listing, Silence


def without_ours(listed: Iterable[Listing], incidents: Iterable[Incident]) -> list[Listing]:
    """The list as if no acknowledgement had silenced anything: what our own silences alone keep
    back is active, and nobody's doing."""
    ours = {i.silence.silence for i in incidents if i.silence is not None}
    return [_without(listing, ours) for listing in listed]


def _without(listing: Listing, ours: set[str]) -> Listing:
    silences = tuple(silence for silence in listing.silences if silence not in ours)
    if silences == listing.silences:
        return listing
    kept_back = silences or listing.inhibitors or listing.intervals
    return replace(listing, silences=silences, state=listing.state if kept_back else "active")


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
