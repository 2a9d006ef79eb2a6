"""The clock; nobody else has one."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """What time it is, in UTC."""
    return datetime.now(UTC)
