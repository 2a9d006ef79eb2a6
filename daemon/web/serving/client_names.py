"""Whose certificate a client has shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def client_names(peer: Mapping[str, Any] | None) -> Collection[str]:
    """Whose certificate a client has shown: its common name and alternative names. Without one,
    or without a check of it, nobody's."""
    if not peer:
        return ()
    subject = {
        value for part in peer.get("subject", ()) for name, value in part if name == "commonName"
    }
    return subject | {value for _, value in peer.get("subjectAltName", ())}
