"""The scopes of API tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Scope = Literal["read", "respond", "admin", "changes", "alerts", "sentiment", "findings"]
SCOPES: Mapping[Scope, str] = {
    "read": "see everything",
    "respond": "see everything, and do what responders do",
    "admin": "all that an admin does",
    "changes": "report changes, as CI/CD does",
    "alerts": "deliver alerts, as Alertmanager does",
    "sentiment": "report what the public says",
    "findings": "add findings to diagnoses, as an investigator does",
}
"""What a token may be for."""
