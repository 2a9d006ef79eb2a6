"""What a decision is, and what it needs to know besides the incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.core.effects import Effect
from daemon.core.incident import events as e


@dataclass(frozen=True)
class Decision:
    """Facts to append, effects to start, and when to decide again if nothing happens."""

    record: tuple[e.Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake_at: datetime | None = None


def once(event: e.Event) -> Decision:
    """Record one fact."""
    return Decision(record=(event,))


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that are known."""
    return min((m for m in moments if m is not None), default=None)
