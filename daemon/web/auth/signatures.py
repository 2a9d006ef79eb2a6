"""Whether a webhook comes from whom it says: signatures and shared secrets, in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from daemon.config.settings import same_secret

_SIGNED = re.compile(r"[A-Za-z0-9_.-]+")
SLACK_PATIENCE = timedelta(seconds=300)
"""An older request, or one from a clock so far ahead, is not taken: it may be a replay."""


def pagerduty_signed(header: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether any signature of the header (`v1=<hex>`, parted by commas) fits any secret."""
    given = [part.strip() for part in header.split(",")]
    expected = [f"v1={_mac(secret, body)}" for secret in secrets]
    # All are compared, so that the time taken does not tell which one fits.
    return sum(same_secret(one, other) for one in given for other in expected) > 0


def slack_signed(timestamp: str, signature: str, body: bytes, secret: str, now: datetime) -> bool:
    """Whether Slack signed this body, and lately. `timestamp` is in Unix seconds."""
    if not _of_lately(timestamp, now):
        return False
    expected = _mac(secret, b"v0:" + timestamp.encode() + b":" + body)
    return same_secret(signature.strip(), f"v0={expected}")


def grafana_signed(
    timestamp: str | None, signature: str, body: bytes, secret: str, now: datetime
) -> bool:
    """Whether Grafana signed this body. `timestamp`: in Unix seconds, which is signed as well and
    must be of lately; None if it is told to send none."""
    signed = body
    if timestamp is not None:
        if not _of_lately(timestamp, now):
            return False
        signed = timestamp.encode() + b":" + body
    return same_secret(signature.strip(), _mac(secret, signed))


def signed_text(token: str) -> bool:
    """Whether its signature is spelled as it was given out. Base64 is read leniently: with other
    last bits, with line breaks in it, so that there would be many spellings of one signature."""
    if not _SIGNED.fullmatch(token):
        return False
    given = token.rpartition(".")[2]
    try:
        read = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(read).decode().rstrip("=") == given


def _of_lately(timestamp: str, now: datetime) -> bool:
    """Whether that is a time in Unix seconds, and not an old one."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(now.timestamp() - int(timestamp)) <= SLACK_PATIENCE.total_seconds()


def _mac(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
