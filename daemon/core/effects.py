"""What a decision asks the shell to do. Requests, not commands: asking twice does nothing twice."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.incident.events.lifecycle import EffectClaimed
from daemon.core.incident.events.pages import Settled


@dataclass(frozen=True)
class SendPage:
    """Deliver the queued page."""

    page: str


@dataclass(frozen=True)
class MeasureProblem:
    """Define and quantify the problem."""


@dataclass(frozen=True)
class ReadRecovery:
    """Take one reading; `step` 0 when no step is at work."""

    step: int


@dataclass(frozen=True)
class RunStep:
    """Start the step, or after a restart, carry it on."""

    step: int
    authority: str = ""
    lifted: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Rehearse:
    """See how far the step would come, and change nothing: the rule only observes."""

    step: int


@dataclass(frozen=True)
class WriteReview:
    """Write the review document."""


@dataclass(frozen=True)
class Publish:
    """Bring this version of an update to one channel."""

    update: str
    channel: str
    version: int


@dataclass(frozen=True)
class Settle:
    """Tell a pager that keeps state by itself that somebody came, or that it is over.

    `alert` is one of `escalation.alert_of`.
    """

    person: str
    method: str
    alert: str
    state: Settled


@dataclass(frozen=True)
class Listen:
    """Ask the rule's sentiment queries."""


Effect = (
    SendPage
    | MeasureProblem
    | ReadRecovery
    | RunStep
    | Rehearse
    | WriteReview
    | Publish
    | Settle
    | Listen
)


def needs_claim(effect: Effect) -> bool:
    """Whether it must not be done twice; everything else is a question, or may be said again."""
    return isinstance(effect, SendPage | Publish | RunStep)


def claim_of(effect: Effect) -> EffectClaimed | None:
    """What is written down before such an effect begins; None if it needs no claim.

    A step that is not at work yet is claimed by its StepStarted, which takes the lock of its
    target too; this is for one that a restart found at work.
    """
    match effect:
        case SendPage():
            return EffectClaimed(effect="page", about=effect.page)
        case Publish():
            about = f"{effect.update} version {effect.version} to {effect.channel}"
            return EffectClaimed(effect="update", about=about)
        case RunStep():
            return EffectClaimed(effect="step", about=str(effect.step))
        case _:
            return None


def told(effect: Effect) -> tuple[str, dict[str, str | int]]:
    """What an effect is called in logs and traces, and what tells it from others of its kind."""
    match effect:
        case MeasureProblem():
            return "define", {}
        case ReadRecovery():
            return "verify", {"step": effect.step} if effect.step else {}
        case RunStep():
            return "step", {"step": effect.step}
        case Rehearse():
            return "rehearsal", {"step": effect.step}
        case SendPage():
            return "page", {"page": effect.page}
        case Publish():
            return "update", {"update": effect.update, "channel": effect.channel}
        case Settle():
            return "settle", {"method": effect.method}
        case Listen():
            return "listen", {}
        case WriteReview():
            return "review", {}
