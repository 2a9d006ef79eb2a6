"""What happens to a virtual daemon from outside: deliveries, changes, people, freezes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.core.changes.suspects import Change
from daemon.core.recovery.guardrails import Freeze
from daemon.core.response.command import Command


@dataclass(frozen=True)
class DeliveryArrives:
    """Alertmanager posts a webhook's body."""

    at: datetime
    body: bytes


@dataclass(frozen=True)
class ChangeArrives:
    """A change becomes known, which may have been made before (`change.at`)."""

    at: datetime
    change: Change


@dataclass(frozen=True)
class PersonMoves:
    """A person gives a command to an incident: the one with this key (`rules.incident_key`), or
    without a key the newest that is open, or else the newest of all."""

    at: datetime
    person: str
    command: Command
    key: str = ""


@dataclass(frozen=True)
class FreezeBegins:
    """Somebody freezes a scope."""

    at: datetime
    freeze: Freeze


@dataclass(frozen=True)
class FreezeEnds:
    """Somebody lifts the freeze of a scope."""

    at: datetime
    scope: str
    by: str


Happening = DeliveryArrives | ChangeArrives | PersonMoves | FreezeBegins | FreezeEnds
"""One of these. Of several at the same moment each comes after the one before it in the list."""


@dataclass(frozen=True)
class MoveRefused:
    """A person was told that what they wanted is not possible."""

    move: PersonMoves
    text: str
