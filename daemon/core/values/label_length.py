"""How long the value of a label may be, and what stands for a longer one.

Alertmanager sends again after no refusal: one expression that somebody put into a label would cost
its whole group the notification. So the value is cut, with a mark that depends on all of it. What
differs stays different, and each replica, and each delivery of the alert, has the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

SURELY_SHORT = 4096
"""No text of so many characters has more bytes than a label may have."""
MAX_LABEL_BYTES = 4 * SURELY_SHORT  # no character has more than four bytes
_MARKED = re.compile(r" … \(\d+ bytes, SHA-256 [0-9a-f]{16}\)\Z")


def bounded(labels: dict[str, str]) -> dict[str, str]:
    """The labels, with the values that are too long shortened."""
    long = {name: value for name, value in labels.items() if _is_long(value)}
    return {**labels, **{n: _shortened(value) for n, value in long.items()}} if long else labels


def shortened_in(labels: Mapping[str, str]) -> list[str]:
    """The names of the labels that are there with a shortened value."""
    return [n for n, value in labels.items() if value.endswith(")") and _MARKED.search(value)]


def _is_long(value: str) -> bool:
    return len(value) > SURELY_SHORT and len(value.encode()) > MAX_LABEL_BYTES


def _shortened(value: str) -> str:
    whole = value.encode()
    mark = f" … ({len(whole)} bytes, SHA-256 {hashlib.sha256(whole).hexdigest()[:16]})"
    kept = whole[: MAX_LABEL_BYTES - len(mark.encode())]
    return kept.decode(errors="ignore") + mark
