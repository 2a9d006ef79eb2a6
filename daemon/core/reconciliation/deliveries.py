"""What a look has shown, as deliveries in Alertmanager's own format. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from daemon.core.alertmanager import RECONCILED, Alert, quoted_receiver
from daemon.core.reconciliation.judgement import EndedAlert
from daemon.core.reconciliation.listing import Listing


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


def ended(overs: Iterable[EndedAlert], at: datetime) -> list[bytes]:
    """Deliveries of alerts that are over, one for each incident."""
    incidents: dict[str, list[EndedAlert]] = {}
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
