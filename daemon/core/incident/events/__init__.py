"""The journal's whole vocabulary: what can have happened to an incident, in the past tense.

An event is a fact; it is never changed, only added to. FORMAT counts the revisions of this
vocabulary and is stored with every entry. An entry carries the hash of the one before it, so a
journal that was edited shows it (`stopgap audit verify`).
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, TypeAdapter

from daemon.core.incident.events.lifecycle import (
    AlertsReceived,
    AlertsSuppressed,
    DeadlineMissed,
    DiagnosisOpened,
    EffectClaimed,
    IncidentClosed,
    IncidentOpened,
    IncidentPaused,
    IncidentResumed,
    Noted,
    ProblemDefined,
    Recovered,
    RecoveryMeasured,
    Relapsed,
    ReviewWritten,
    SentimentHeard,
    Suppression,
    received,
)
from daemon.core.incident.events.pages import (
    Asks,
    EscalationDefect,
    EscalationJumped,
    PageDelivered,
    PageFailed,
    PageQueued,
    PagerSaid,
    PagerSettled,
    PagerUnsettled,
    TeamAnswered,
    TeamEngaged,
)
from daemon.core.incident.events.responders import (
    AnswerKind,
    CommanderAppointed,
    CommanderAsked,
    CommandVacated,
    LinkUsed,
    NoPlanDeclared,
    RequestKind,
    ResponderArrived,
    ResponderLeft,
    Role,
    RoleAnswered,
    RoleLeft,
    RoleRequested,
    RoleTaken,
)
from daemon.core.incident.events.steps import (
    ApprovalRequested,
    EvidenceTaken,
    StepApproved,
    StepFinished,
    StepObserved,
    StepPrepared,
    StepProgressed,
    StepProposed,
    StepRefused,
    StepSkipped,
    StepStarted,
    StepVerified,
    StepVetoed,
    Verdict,
)
from daemon.core.incident.events.updates import (
    UpdateAssigned,
    UpdateDrafted,
    UpdateEdited,
    UpdateFailed,
    UpdatePublished,
    UpdateReleased,
    UpdatesSnoozed,
)
from daemon.core.values.seal import UNKEYED
from daemon.core.values.units import Frozen, Moment

__all__ = [
    "DAEMON",
    "FORMAT",
    "AlertsReceived",
    "AlertsSuppressed",
    "AnswerKind",
    "ApprovalRequested",
    "Asks",
    "CommandVacated",
    "CommanderAppointed",
    "CommanderAsked",
    "DeadlineMissed",
    "DiagnosisOpened",
    "Draft",
    "EffectClaimed",
    "Entry",
    "EscalationDefect",
    "EscalationJumped",
    "Event",
    "EvidenceTaken",
    "IncidentClosed",
    "IncidentOpened",
    "IncidentPaused",
    "IncidentResumed",
    "LinkUsed",
    "NoPlanDeclared",
    "Noted",
    "PageDelivered",
    "PageFailed",
    "PageQueued",
    "PagerSaid",
    "PagerSettled",
    "PagerUnsettled",
    "ProblemDefined",
    "Recovered",
    "RecoveryMeasured",
    "Relapsed",
    "RequestKind",
    "ResponderArrived",
    "ResponderLeft",
    "ReviewWritten",
    "Role",
    "RoleAnswered",
    "RoleLeft",
    "RoleRequested",
    "RoleTaken",
    "SentimentHeard",
    "StepApproved",
    "StepFinished",
    "StepObserved",
    "StepPrepared",
    "StepProgressed",
    "StepProposed",
    "StepRefused",
    "StepSkipped",
    "StepStarted",
    "StepVerified",
    "StepVetoed",
    "Suppression",
    "TeamAnswered",
    "TeamEngaged",
    "UpdateAssigned",
    "UpdateDrafted",
    "UpdateEdited",
    "UpdateFailed",
    "UpdatePublished",
    "UpdateReleased",
    "UpdatesSnoozed",
    "Verdict",
    "chain",
    "decode",
    "encode",
    "received",
    "step_refused",
]

FORMAT = 1

Event = Annotated[
    IncidentOpened
    | AlertsReceived
    | AlertsSuppressed
    | ProblemDefined
    | RecoveryMeasured
    | Recovered
    | Relapsed
    | DiagnosisOpened
    | IncidentPaused
    | IncidentResumed
    | Noted
    | EffectClaimed
    | IncidentClosed
    | ReviewWritten
    | SentimentHeard
    | DeadlineMissed
    | PageQueued
    | PageDelivered
    | PageFailed
    | PagerSettled
    | PagerUnsettled
    | PagerSaid
    | EscalationJumped
    | EscalationDefect
    | TeamEngaged
    | TeamAnswered
    | ResponderArrived
    | ResponderLeft
    | CommanderAppointed
    | CommandVacated
    | CommanderAsked
    | RoleTaken
    | RoleLeft
    | RoleRequested
    | RoleAnswered
    | NoPlanDeclared
    | LinkUsed
    | ApprovalRequested
    | StepApproved
    | StepProposed
    | StepVetoed
    | StepRefused
    | StepSkipped
    | StepObserved
    | EvidenceTaken
    | StepStarted
    | StepPrepared
    | StepProgressed
    | StepFinished
    | StepVerified
    | UpdateDrafted
    | UpdateAssigned
    | UpdateReleased
    | UpdateEdited
    | UpdatePublished
    | UpdateFailed
    | UpdatesSnoozed,
    Field(discriminator="kind"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)

chain = UNKEYED.digest
"""The digest of an entry where no key is set (`Seal.digest`): over the digest before it and the
columns incident, seq, at, by, kind, format, body, in this order, as stored."""

DAEMON = "stopgap"
"""The actor of everything that no person did."""


class Draft(Frozen):
    """An event about to be appended: when, and by whom."""

    at: Moment
    by: str = DAEMON
    event: Event


class Entry(Frozen):
    """An event in the journal. `digest` covers everything here and the entry before."""

    incident: str
    seq: int
    at: Moment
    by: str
    event: Event
    digest: str


def step_refused(event: Event) -> bool:
    """Whether it says that an action ended before it changed anything."""
    return isinstance(event, StepFinished) and event.outcome.result == "refused"


def encode(event: Event) -> str:
    """The event as it is stored: compact JSON with sorted keys."""
    return json.dumps(_EVENT.dump_python(event, mode="json"), sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Event:
    """Read what `encode` wrote. Raises ValueError if it is not of this vocabulary."""
    return _EVENT.validate_json(text)
