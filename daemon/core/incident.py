"""The incident: the fold of its events. Nothing about it is known that is not in its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from daemon.core import events as e
from daemon.core.alerts import Alert, Labels
from daemon.core.outcome import Outcome
from daemon.core.problem import Problem, Reading, Severity
from daemon.core.suspects import Suspicion
from daemon.core.units import printable

Phase = Literal[
    "defining",
    "observing",
    "deciding",
    "recovering",
    "verifying",
    "diagnosing",
    "watching",
    "closed",
]
StepStatus = Literal["waiting", "vetoed", "skipped", "running", "finished"]

TAKEN_BACK = frozenset({"paused", "frozen", "stale_intent"})
"""Refusals at the last moment, before anything was changed: the step waits as before."""
RECENT = 50
"""How many of the newest measurements are kept for judging a streak."""

Health = Literal["impaired", "degraded", "healthy", "unreadable"]


@dataclass(frozen=True)
class StepState:
    """One alternative of the plan, as far as it has come."""

    number: int
    status: StepStatus = "waiting"
    action: str = ""
    target: str = ""
    refusal: str = ""
    asked: str = ""
    approved_by: str = ""
    approved_at: datetime | None = None
    approved_content: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    authority: str = ""
    started_at: datetime | None = None
    summary: str = ""
    intent: Mapping[str, str] | None = None
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    readings: tuple[Reading, ...] = ()
    verdict: e.Verdict | None = None
    verdict_text: str = ""

    @property
    def acted(self) -> bool:
        """Whether it may have changed the world, so that its effect must be measured."""
        return self.outcome is not None and self.outcome.result != "refused"


@dataclass(frozen=True)
class PageState:
    """One call to one person."""

    queued: e.PageQueued
    at: datetime
    failed_methods: tuple[str, ...] = ()
    delivered_at: datetime | None = None
    given_up: bool = False

    @property
    def pending(self) -> bool:
        """Whether somebody still has to deliver it."""
        return self.delivered_at is None and not self.given_up


@dataclass(frozen=True)
class Incident:
    """One incident as it stands after `seq` events."""

    id: str
    opened_at: datetime
    opened: e.IncidentOpened
    seq: int = 0
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    alerts_changed_at: datetime | None = None
    incomplete: bool = False
    problem: Problem | None = None
    confirmed: Problem | None = None
    confirmed_at: datetime | None = None
    suspicion: Suspicion | None = None
    recent: tuple[tuple[datetime, Health], ...] = ()
    refired: int = 0
    impaired_in_a_row: int = 0
    severity: Severity = ""
    responders: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    commander: str = ""
    pages: Mapping[str, PageState] = field(default_factory=dict)
    steps: Mapping[int, StepState] = field(default_factory=dict)
    recovered_at: datetime | None = None
    recovered_by: int = 0
    relapses: int = 0
    diagnosis: e.DiagnosisOpened | None = None
    paused_by: str = ""
    closed: e.IncidentClosed | None = None
    closed_at: datetime | None = None
    review: str = ""

    @property
    def evidence(self) -> tuple[datetime, Health] | None:
        """The newest measurement: when, and what it showed."""
        return self.recent[-1] if self.recent else None

    @property
    def key(self) -> str:
        """What at most one open incident may have."""
        return self.opened.key

    @property
    def rule(self) -> str:
        """The name of its rule; empty if no rule matched its alerts."""
        return self.opened.rule

    @property
    def group_labels(self) -> Labels:
        """The labels that tell it from other incidents of its rule."""
        return self.opened.group_labels

    @property
    def title(self) -> str:
        """Its title: the statement once there is one, the alert before that."""
        problem = self.confirmed or self.problem
        if problem is None or not problem.symptom:
            return self.opened.title
        name = printable(" ".join(self.group_labels.values()))
        return f"{name}: {problem.text}" if name else problem.text

    @property
    def phase(self) -> Phase:
        """Where it stands, in one word."""
        if self.closed is not None:
            return "closed"
        if self.recovered_at is not None:
            return "watching"
        if self.running is not None:
            return "recovering"
        if self.verifying is not None:
            return "verifying"
        if self.diagnosis is not None:
            return "diagnosing"
        if self.confirmed is not None:
            return "deciding"
        return "defining" if self.problem is None else "observing"

    @property
    def running(self) -> StepState | None:
        """The step that has started and not finished."""
        return next((s for s in self.steps.values() if s.status == "running"), None)

    @property
    def verifying(self) -> StepState | None:
        """The step that has acted and has no verdict yet."""
        return next((s for s in self.steps.values() if s.acted and s.verdict is None), None)

    @property
    def last_verdict(self) -> e.Verdict | None:
        """The verdict on the step that acted last."""
        acted = [s for s in self.steps.values() if s.verdict is not None and s.finished_at]
        return max(acted, key=lambda s: s.finished_at or self.opened_at).verdict if acted else None

    @property
    def all_resolved(self) -> bool:
        """Whether Alertmanager says of every alert that it is over. A hint, no more."""
        if self.incomplete or not self.alerts:
            return False
        return all(alert.status == "resolved" for alert in self.alerts.values())

    def step(self, number: int) -> StepState:
        """The state of a step, also of one that nothing has happened to."""
        return self.steps.get(number, StepState(number))


def fold(entries: Iterable[e.Entry]) -> Incident:
    """Read a journal into an Incident. Raises ValueError if it does not begin with an opening."""
    incident: Incident | None = None
    for entry in entries:
        if incident is None:
            if not isinstance(entry.event, e.IncidentOpened):
                raise ValueError(f"the journal of {entry.incident} does not begin with an opening")
            incident = Incident(entry.incident, entry.at, entry.event, entry.seq)
        else:
            incident = replace(apply(incident, entry.at, entry.event), seq=entry.seq)
    if incident is None:
        raise ValueError("an empty journal is no incident")
    return incident


def apply(incident: Incident, at: datetime, event: e.Event) -> Incident:
    """The incident after one more event."""
    match event:
        case e.AlertsReceived():
            alerts = {**incident.alerts, **{a.identity: a for a in event.alerts}}
            again = incident.all_resolved and any(a.status == "firing" for a in event.alerts)
            return replace(
                incident,
                alerts=alerts,
                alerts_changed_at=at,
                incomplete=event.incomplete,
                refired=incident.refired + (1 if again and incident.alerts else 0),
            )
        case e.ResponderArrived():
            return replace(
                incident,
                responders=(*incident.responders, event.person),
                acknowledged_at=incident.acknowledged_at or at,
            )
        case e.CommanderAppointed():
            return replace(incident, commander=event.person)
        case e.PageQueued() | e.PageDelivered() | e.PageFailed():
            return _page(incident, at, event)
        case e.ProblemDefined() | e.RecoveryMeasured():
            return _measured(incident, event)
        case e.IncidentPaused():
            return replace(incident, paused_by=event.person)
        case e.IncidentResumed():
            return replace(incident, paused_by="")
        case (
            e.Recovered()
            | e.Relapsed()
            | e.DiagnosisOpened()
            | e.IncidentClosed()
            | e.ReviewWritten()
        ):
            return _course(incident, at, event)
        case e.Noted() | e.StepProgressed() | e.IncidentOpened():
            return incident
        case _:
            return _step(incident, at, event)


def _page(
    incident: Incident, at: datetime, event: e.PageQueued | e.PageDelivered | e.PageFailed
) -> Incident:
    if isinstance(event, e.PageQueued):
        page = PageState(event, at)
    elif isinstance(event, e.PageDelivered):
        page = replace(incident.pages[event.page], delivered_at=at)
    else:
        page = incident.pages[event.page]
        page = replace(
            page, failed_methods=(*page.failed_methods, event.method), given_up=event.last
        )
    return replace(incident, pages={**incident.pages, event.page: page})


def _measured(incident: Incident, event: e.ProblemDefined | e.RecoveryMeasured) -> Incident:
    state: Health
    if isinstance(event, e.ProblemDefined):
        problem = event.problem
        at = problem.at
        confirmed = problem.verdict == "confirmed"
        state = "impaired" if confirmed else "healthy" if problem.healthy else "unreadable"
        incident = replace(incident, problem=problem, suspicion=event.suspicion)
        if confirmed:
            incident = replace(
                incident,
                confirmed=problem,
                confirmed_at=incident.confirmed_at or at,
                severity=min(
                    filter(None, (incident.severity, problem.severity)), default=incident.severity
                ),
            )
    else:
        at, state = event.reading.at, event.reading.state
        if event.step:
            step = incident.step(event.step)
            step = replace(step, readings=(*step.readings, event.reading))
            incident = replace(incident, steps={**incident.steps, event.step: step})
        if event.reading.severity:
            incident = replace(
                incident, severity=min(filter(None, (incident.severity, event.reading.severity)))
            )
    row = incident.impaired_in_a_row + 1 if state == "impaired" else 0
    recent = (*incident.recent[1 - RECENT :], (at, state))
    return replace(incident, recent=recent, impaired_in_a_row=row)


def _course(
    incident: Incident,
    at: datetime,
    event: e.Recovered | e.Relapsed | e.DiagnosisOpened | e.IncidentClosed | e.ReviewWritten,
) -> Incident:
    match event:
        case e.Recovered():
            return replace(incident, recovered_at=at, recovered_by=event.step, impaired_in_a_row=0)
        case e.Relapsed():
            steps = {
                number: replace(step, approved_by="", asked="")
                for number, step in incident.steps.items()
            }
            return replace(
                incident,
                recovered_at=None,
                relapses=incident.relapses + 1,
                diagnosis=None,
                steps=steps,
            )
        case e.DiagnosisOpened():
            return replace(incident, diagnosis=event)
        case e.IncidentClosed():
            return replace(incident, closed=event, closed_at=at)
        case e.ReviewWritten():
            return replace(incident, review=event.path)


def _step(
    incident: Incident,
    at: datetime,
    event: e.ApprovalRequested
    | e.StepApproved
    | e.StepVetoed
    | e.StepRefused
    | e.StepSkipped
    | e.StepStarted
    | e.StepPrepared
    | e.StepFinished
    | e.StepVerified,
) -> Incident:
    step = incident.step(event.step)
    match event:
        case e.ApprovalRequested():
            step = replace(step, asked=event.reason)
        case e.StepApproved():
            step = replace(
                step, approved_by=event.person, approved_at=at, approved_content=event.content
            )
        case e.StepVetoed():
            step = replace(step, status="vetoed")
        case e.StepRefused():
            step = replace(step, refusal=event.reason)
        case e.StepSkipped():
            step = replace(step, status="skipped", refusal=event.reason)
        case e.StepStarted():
            step = replace(
                step,
                status="running",
                action=event.action,
                target=event.target,
                params=event.params,
                authority=event.authority,
                started_at=at,
                refusal="",
            )
        case e.StepPrepared():
            step = replace(step, summary=event.summary, intent=event.intent)
        case e.StepFinished():
            if event.outcome.reason in TAKEN_BACK:
                step = replace(step, status="waiting", summary="", intent=None)
            else:
                step = replace(step, status="finished", finished_at=at, outcome=event.outcome)
        case e.StepVerified():
            step = replace(step, verdict=event.verdict, verdict_text=event.text)
    return replace(incident, steps={**incident.steps, event.step: step})
