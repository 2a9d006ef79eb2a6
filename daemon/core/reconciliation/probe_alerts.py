"""The test alert by which `stopgap doctor` proves the way from Alertmanager to the daemon.

It goes the way of all alerts, and the daemon knows it by its label: a signature over all its other
labels, by a key of the store, for an hour. What carries that label and is not exactly what was
signed is an alert like any other, so nobody can hide trouble by it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from daemon.core.alertmanager import Labels

PROBE_LABEL = "stopgap_test_alert"
PROBE_NOTE = "test-alerts"
"""Under this name the store has the numbers of those that arrived, the newest last."""
REMEMBERED = 20
VALID_FOR = timedelta(hours=1)
"""For so long it is known: Alertmanager may tell of its end, or tell of it again."""


def signed_labels(labels: Mapping[str, str], number: str, secret: str, now: datetime) -> Labels:
    """The labels with that label. `number` tells one test alert from another; no dot is in it."""
    until = str(int((now + VALID_FOR).timestamp()))
    return {**labels, PROBE_LABEL: f"{number}.{until}.{_mac(labels, number, until, secret)}"}


def probe_number(labels: Mapping[str, str], secrets: Iterable[str], now: datetime) -> str:
    """The number of the test alert that has these labels; empty if it is none that a key of ours
    has signed of late."""
    number, _, rest = labels.get(PROBE_LABEL, "").partition(".")
    until, _, signature = rest.partition(".")
    if not number or not (until.isascii() and until.isdigit() and len(until) <= 12):
        return ""
    if int(until) < now.timestamp():
        return ""
    others = {name: value for name, value in labels.items() if name != PROBE_LABEL}
    known = [_mac(others, number, until, secret) for secret in secrets]
    # All are compared, so that the time taken does not tell which one fits.
    return (
        number
        if sum(hmac.compare_digest(one.encode(), signature.encode()) for one in known)
        else ""
    )


def _mac(labels: Mapping[str, str], number: str, until: str, secret: str) -> str:
    told = json.dumps(["stopgap test alert", number, until, sorted(labels.items())])
    return hmac.new(secret.encode(), told.encode(), hashlib.sha256).hexdigest()
