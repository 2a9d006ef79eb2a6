"""The journal's whole vocabulary: what can have happened to an incident, in the past tense.

An event is a fact; it is never changed, only added to. FORMAT counts the revisions of this
vocabulary and is stored with every entry. An entry carries the hash of the one before it, so a
journal that was edited shows it (`stopgap audit verify`).
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from daemon.core.alerts import Alert, Labels
from daemon.core.outcome import Outcome
from daemon.core.problem import Problem, Reading
from daemon.core.suspects import Suspicion
from daemon.core.units import Frozen, Moment

FORMAT = 1

Verdict = Literal["recovered", "partial", "unchanged", "worse", "inconclusive", "self_recovered"]


class IncidentOpened(Frozen):
    """An alert reached us that no open incident covers. `rule` is empty if no rule matched."""

    kind: Literal["IncidentOpened"] = "IncidentOpened"
    key: str
    rule: str
    group_labels: Labels
    title: str
    team: str


class AlertsReceived(Frozen):
    """What Alertmanager says now of these alerts. `incomplete`: its message was cut short."""

    kind: Literal["AlertsReceived"] = "AlertsReceived"
    alerts: tuple[Alert, ...]
    incomplete: bool = False


class ProblemDefined(Frozen):
    """The metrics were measured, and this is what they say."""

    kind: Literal["ProblemDefined"] = "ProblemDefined"
    problem: Problem
    suspicion: Suspicion | None = None


class PageQueued(Frozen):
    """The intent to call a person. `round` and `tier` place it in the escalation policy."""

    kind: Literal["PageQueued"] = "PageQueued"
    page: str
    person: str
    reason: str
    text: str
    round: int = 0
    tier: int = 0


class PageDelivered(Frozen):
    """A pager or channel took the page; `proof` is what it answered."""

    kind: Literal["PageDelivered"] = "PageDelivered"
    page: str
    method: str
    proof: str


class PageFailed(Frozen):
    """One way of reaching the person did not work. `last`: there is no other way left."""

    kind: Literal["PageFailed"] = "PageFailed"
    page: str
    method: str
    error: str
    last: bool


class ResponderArrived(Frozen):
    """A person answered. `via` says how: cli, api, web, a pager."""

    kind: Literal["ResponderArrived"] = "ResponderArrived"
    person: str
    via: str


class CommanderAppointed(Frozen):
    """This person commands the incident from now on."""

    kind: Literal["CommanderAppointed"] = "CommanderAppointed"
    person: str
    reason: str


class ApprovalRequested(Frozen):
    """The step waits for the Commander's word."""

    kind: Literal["ApprovalRequested"] = "ApprovalRequested"
    step: int
    reason: str
    text: str


class StepApproved(Frozen):
    """A person approved the step as it stood: `content` is its hash (`Rule.content_hash`)."""

    kind: Literal["StepApproved"] = "StepApproved"
    step: int
    person: str
    content: str


class StepVetoed(Frozen):
    """A person forbade the step; it will not run in this incident."""

    kind: Literal["StepVetoed"] = "StepVetoed"
    step: int
    person: str


class StepRefused(Frozen):
    """The daemon would not start the step, and this is why. It may later."""

    kind: Literal["StepRefused"] = "StepRefused"
    step: int
    reason: str
    text: str


class StepSkipped(Frozen):
    """The step does not apply to this problem; the next one is looked at."""

    kind: Literal["StepSkipped"] = "StepSkipped"
    step: int
    reason: str
    text: str


class StepStarted(Frozen):
    """The step has taken its target's lock. Nothing is changed before StepPrepared."""

    kind: Literal["StepStarted"] = "StepStarted"
    step: int
    action: str
    target: str
    params: dict[str, Any]
    authority: str


class StepPrepared(Frozen):
    """Preflight passed; this is what will now be done. The world may change from here on."""

    kind: Literal["StepPrepared"] = "StepPrepared"
    step: int
    summary: str
    intent: dict[str, str]


class StepProgressed(Frozen):
    """The action says how far it is."""

    kind: Literal["StepProgressed"] = "StepProgressed"
    step: int
    text: str


class StepFinished(Frozen):
    """The action ended and gave back its target's lock."""

    kind: Literal["StepFinished"] = "StepFinished"
    step: int
    outcome: Outcome


class RecoveryMeasured(Frozen):
    """One measurement on the way to a verdict."""

    kind: Literal["RecoveryMeasured"] = "RecoveryMeasured"
    step: int
    reading: Reading


class StepVerified(Frozen):
    """What the metrics say the step has achieved."""

    kind: Literal["StepVerified"] = "StepVerified"
    step: int
    verdict: Verdict
    text: str


class Recovered(Frozen):
    """Service is restored, by the metrics. `step` is 0 when nothing we did restored it."""

    kind: Literal["Recovered"] = "Recovered"
    step: int
    text: str


class Relapsed(Frozen):
    """The problem came back during the relapse watch."""

    kind: Literal["Relapsed"] = "Relapsed"
    text: str


class DiagnosisOpened(Frozen):
    """Fast recovery has failed or is not possible; people look for the cause."""

    kind: Literal["DiagnosisOpened"] = "DiagnosisOpened"
    reason: str
    text: str


class IncidentPaused(Frozen):
    """A person stopped the automation of this incident."""

    kind: Literal["IncidentPaused"] = "IncidentPaused"
    person: str
    reason: str


class IncidentResumed(Frozen):
    """A person let the automation go on."""

    kind: Literal["IncidentResumed"] = "IncidentResumed"
    person: str


class Noted(Frozen):
    """Something worth keeping on the timeline."""

    kind: Literal["Noted"] = "Noted"
    text: str


class IncidentClosed(Frozen):
    """The incident is over."""

    kind: Literal["IncidentClosed"] = "IncidentClosed"
    reason: Literal["recovered", "not_confirmed", "alerts_resolved", "by_person"]
    text: str


class ReviewWritten(Frozen):
    """The review document was written."""

    kind: Literal["ReviewWritten"] = "ReviewWritten"
    path: str


Event = Annotated[
    IncidentOpened
    | AlertsReceived
    | ProblemDefined
    | PageQueued
    | PageDelivered
    | PageFailed
    | ResponderArrived
    | CommanderAppointed
    | ApprovalRequested
    | StepApproved
    | StepVetoed
    | StepRefused
    | StepSkipped
    | StepStarted
    | StepPrepared
    | StepProgressed
    | StepFinished
    | RecoveryMeasured
    | StepVerified
    | Recovered
    | Relapsed
    | DiagnosisOpened
    | IncidentPaused
    | IncidentResumed
    | Noted
    | IncidentClosed
    | ReviewWritten,
    Field(discriminator="kind"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)

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


def encode(event: Event) -> str:
    """The event as it is stored: compact JSON with sorted keys."""
    return json.dumps(_EVENT.dump_python(event, mode="json"), sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Event:
    """Read what `encode` wrote. Raises ValueError if it is not of this vocabulary."""
    return _EVENT.validate_json(text)


def chain(previous: str, *columns: str | int) -> str:
    """The digest of an entry: hex SHA-256 over the digest before it and the stored columns.

    The columns are incident, seq, at, by, kind, format, body: in this order, as stored.
    """
    return hashlib.sha256(json.dumps([previous, *columns]).encode()).hexdigest()
