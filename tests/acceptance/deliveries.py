"""Webhook bodies as Alertmanager writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

NEVER = "0001-01-01T00:00:00Z"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def stamp(seconds: float) -> str:
    """So many seconds after the beginning of 2026, as Alertmanager writes a time."""
    return (EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def fingerprint(labels: Mapping[str, str]) -> str:
    """Some hash of the labels alone; Alertmanager's own is another, and it does not matter."""
    return hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]


def alert(
    service: str = "shop",
    *,
    name: str = "ErrorsHigh",
    started: float = 0,
    ended: float | None = None,
    **labels: str,
) -> dict[str, Any]:
    """One alert; times in seconds after the beginning of 2026. It fires unless it has ended."""
    full = {"alertname": name, "service": service, **labels}
    return {
        "status": "firing" if ended is None else "resolved",
        "labels": full,
        "annotations": {"summary": f"{service} fails"},
        "startsAt": stamp(started),
        "endsAt": NEVER if ended is None else stamp(ended),
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": fingerprint(full),
    }


def delivery(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A notification of these alerts, as Alertmanager 0.25 writes it; `fields` replace or add."""
    firing = any(a["status"] == "firing" for a in alerts)
    service = alerts[0]["labels"].get("service", "") if alerts else ""
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="ErrorsHigh", service="{service}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": "stopgap",
        "groupLabels": {"alertname": "ErrorsHigh", "service": service},
        "commonLabels": {"alertname": "ErrorsHigh"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
        **fields,
    }


def encoded(*alerts: dict[str, Any], **fields: Any) -> bytes:
    """The body of that notification."""
    return json.dumps(delivery(*alerts, **fields)).encode()
