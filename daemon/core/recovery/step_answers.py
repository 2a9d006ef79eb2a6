"""What can become of the next alternative of a recovery plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daemon.core.incident.reasons import AskReason, Hindrance, SkipReason


@dataclass(frozen=True)
class StartStep:
    """Start it. `lifted`: a person approved, which lifts all but freezes and the lock.

    `ordered`: a person starts it now, whatever the metrics say.
    """

    step: int
    authority: str
    lifted: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Skip:
    """It does not apply here; look at the next alternative."""

    step: int
    reason: SkipReason
    text: str


@dataclass(frozen=True)
class Refuse:
    """Not now: frozen or locked, whoever approves; another incident is to be recovered first; or
    the evidence may still grow. It is looked at again."""

    step: int
    reason: Hindrance | Literal["awaiting_onset"]
    text: str


@dataclass(frozen=True)
class AskApproval:
    """It needs the Commander's word."""

    step: int
    reason: AskReason
    text: str


@dataclass(frozen=True)
class Observe:
    """The rule only observes: it would have been started (no reason), or asked for."""

    step: int
    reason: AskReason | Literal[""]
    text: str


@dataclass(frozen=True)
class Exhausted:
    """No alternative is left."""


Next = StartStep | Skip | Refuse | AskApproval | Observe | Exhausted
