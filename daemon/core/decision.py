"""What a decision is, and what it needs to know besides the incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core import events as e
from daemon.core.approvals import Approvals
from daemon.core.effects import Effect
from daemon.core.guardrails import Limits
from daemon.core.plan import Outlook
from daemon.core.roster import Roster


@dataclass(frozen=True)
class Decision:
    """Facts to append, effects to start, and when to decide again if nothing happens."""

    record: tuple[e.Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake_at: datetime | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a decision needs beyond the incident: the roster, the approvals, the store's view."""

    roster: Roster
    approvals: Approvals
    limits: Limits
    outlook: Mapping[int, Outlook] = field(default_factory=dict)


def once(event: e.Event) -> Decision:
    """Record one fact."""
    return Decision(record=(event,))


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that are known."""
    return min((m for m in moments if m is not None), default=None)
