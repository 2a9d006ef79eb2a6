"""What a decision is: facts to append, effects to ask the shell for, when to look again.

Effects are requests, not commands: asking twice does nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.events.call_answers import Ending
from daemon.core.incident.events.collaboration import RoomDeed
from daemon.core.incident.events.lifecycle import EffectClaimed
from daemon.core.incident.events.organization import Counterpart
from daemon.core.incident.events.pages import Settled


@dataclass(frozen=True)
class SendPage:
    """Deliver the queued page."""

    page: str


@dataclass(frozen=True)
class AmendPage:
    """Let whoever got this page know the numbers that came after it."""

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
    """See how far the step would come, and change nothing: the rule only observes, or people are
    `asked` about the step."""

    step: int
    asked: bool = False


@dataclass(frozen=True)
class WriteReview:
    """Write the review document."""


@dataclass(frozen=True)
class RecordSamples:
    """Keep the samples and the changes of a closed incident, for replays."""


@dataclass(frozen=True)
class Publish:
    """Bring this version of an update to one channel."""

    update: str
    channel: str
    version: int


@dataclass(frozen=True)
class Settle:
    """Tell a pager that keeps state by itself that somebody came, or that it is over.

    `alert` is one of `paging.alert_of`.
    """

    person: str
    method: str
    alert: str
    state: Settled


@dataclass(frozen=True)
class TellEnding:
    """Tell a person who was called that it is over, by a way that wakes nobody.

    `recoveries`: how often it has recovered by now.
    """

    person: str
    method: str
    ending: Ending
    recoveries: int


@dataclass(frozen=True)
class AcknowledgeStorm:
    """Acknowledge, in the name of a person who answered a storm's page, what is theirs of it."""

    person: str


@dataclass(frozen=True)
class SetSilence:
    """Silence the incident's group in Alertmanager, or for longer, as its journal wants it."""


@dataclass(frozen=True)
class LiftSilence:
    """End the silence in Alertmanager that belongs to the incident."""


@dataclass(frozen=True)
class Listen:
    """Ask the rule's sentiment queries."""


@dataclass(frozen=True)
class GatherDossier:
    """Look for the cause in the metrics, the journal and the alerts; nothing waits for it."""


@dataclass(frozen=True)
class TendRoom:
    """Open, keep or archive the room and the call; see `RoomDeed`. Asked twice it does nothing
    twice: what is there already is found."""

    deed: RoomDeed


@dataclass(frozen=True)
class WriteCounterpart:
    """Write into the journal of another incident what was begun in this one."""

    what: Counterpart
    other: str


ReachesPeople = (
    SendPage
    | AmendPage
    | Publish
    | Settle
    | TellEnding
    | AcknowledgeStorm
    | SetSilence
    | LiftSilence
    | TendRoom
)
Effect = (
    ReachesPeople
    | MeasureProblem
    | ReadRecovery
    | RunStep
    | Rehearse
    | WriteReview
    | RecordSamples
    | Listen
    | GatherDossier
    | WriteCounterpart
)


@dataclass(frozen=True)
class Decision:
    """Facts to append, effects to start, and when to decide again if nothing happens.

    `a | b` is both: the facts and the effects of a before those of b, the earlier moment.
    """

    record: tuple[e.Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake_at: datetime | None = None

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.record or self.effects or self.wake_at)

    def __or__(self, other: Decision) -> Decision:
        if not (self and other):  # as most sums are: these are made at each decision
            return self or other
        return Decision(
            (*self.record, *other.record),
            (*self.effects, *other.effects),
            earliest(self.wake_at, other.wake_at),
        )

    @property
    def without_record(self) -> Decision:
        """Its effects and its moment alone, for what is recorded before it."""
        return Decision((), self.effects, self.wake_at)


def recording(*facts: e.Event) -> Decision:
    """Append these facts."""
    return Decision(record=facts)


def first_recording(decisions: Iterable[Decision]) -> Decision:
    """The first that records facts, for on these the others may come out differently; if none
    does, all of them together. What comes after the first that records is not worked out."""
    total = Decision()
    for decision in decisions:
        if decision.record:
            return decision
        total |= decision
    return total


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that are known."""
    return min((m for m in moments if m is not None), default=None)


def needs_claim(effect: Effect) -> bool:
    """Whether it must not be done twice; everything else is a question, or may be said again."""
    return isinstance(effect, SendPage | AmendPage | Publish | RunStep)


def reads_journal(effect: Effect) -> bool:
    """Whether it tells what the journal has, and so comes after the facts decided with it."""
    return isinstance(
        effect,
        TellEnding
        | AcknowledgeStorm
        | SetSilence
        | LiftSilence
        | TendRoom
        | GatherDossier
        | WriteReview
        | RecordSamples,
    )


def claim_of(effect: Effect) -> EffectClaimed | None:
    """What is written down before such an effect begins; None if it needs no claim.

    A step that is not at work yet is claimed by its StepStarted, which takes the lock of its
    target too; this is for one that a restart found at work.
    """
    match effect:
        case SendPage():
            return EffectClaimed(effect="page", about=effect.page)
        case AmendPage():
            return EffectClaimed(effect="amendment", about=effect.page)
        case Publish():
            about = f"{effect.update} version {effect.version} to {effect.channel}"
            return EffectClaimed(effect="update", about=about)
        case RunStep():
            return EffectClaimed(effect="step", about=str(effect.step))
        case _:
            return None


_LABELS: Mapping[type[Effect], tuple[str, tuple[str, ...]]] = {
    MeasureProblem: ("define", ()),
    ReadRecovery: ("verify", ("step",)),
    RunStep: ("step", ("step",)),
    Rehearse: ("rehearsal", ("step",)),
    SendPage: ("page", ("page",)),
    AmendPage: ("amendment", ("page",)),
    Publish: ("update", ("update", "channel")),
    Settle: ("settle", ("method",)),
    TellEnding: ("ending", ("method",)),
    AcknowledgeStorm: ("storm", ("person",)),
    SetSilence: ("silence", ()),
    LiftSilence: ("silence", ()),
    Listen: ("listen", ()),
    GatherDossier: ("dossier", ()),
    TendRoom: ("room", ("deed",)),
    WriteReview: ("review", ()),
    RecordSamples: ("record", ()),
    WriteCounterpart: ("counterpart", ("what", "other")),
}


def effect_label(effect: Effect) -> tuple[str, dict[str, str | int]]:
    """What an effect is called in logs and traces, and what tells it from others of its kind."""
    name, telling = _LABELS[type(effect)]
    return name, {one: getattr(effect, one) for one in telling if getattr(effect, one)}
