"""An incident is the fold of its events: `apply` is the state after one more of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.fold_steps import StepEvent, apply_step
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.responders import PERSON_PREFIX, CrewEvent, apply_crew, sign_of_life
from daemon.core.incident.state import RECENT_READINGS, Incident, PageState, RecoveryState, Settling
from daemon.core.incident.updates import apply_word
from daemon.core.measurement.problem import UNMEASURED, RecoveryReading, Severity
from daemon.core.values.replace import replace

METRICS = "metrics"
"""The source of what the rule's sentiment queries say."""


def fold(entries: Iterable[e.Entry]) -> Incident:
    """Read a journal into an Incident. Raises ValueError if it does not begin with an opening."""
    incident: Incident | None = None
    seq = 0
    for entry in entries:
        if incident is None:
            if not isinstance(entry.event, e.IncidentOpened):
                raise ValueError(f"the journal of {entry.incident} does not begin with an opening")
            incident = Incident(entry.incident, entry.at, entry.event)
        else:
            incident = apply_event(incident, entry.at, entry.event, entry.by)
        seq = entry.seq
    if incident is None:
        raise ValueError("an empty journal is no incident")
    return replace(incident, seq=seq)


def apply_event(incident: Incident, at: datetime, event: e.Event, by: str = e.DAEMON) -> Incident:
    """The incident after one more event by that actor."""
    alive_at, person = at, by.removeprefix(PERSON_PREFIX) if by.startswith(PERSON_PREFIX) else ""
    if isinstance(event, e.PagerSaid):
        alive_at, person = event.occurred_at, event.person
    crew = sign_of_life(incident.crew, alive_at, person)
    if crew is not incident.crew:
        incident = replace(incident, crew=crew)
    match event:
        case e.AlertsReceived():
            return _alerts(incident, at, event)
        case e.AlertsSuppressed():
            return replace(incident, suppressed=event.suppressed)
        case e.ProblemDefined() | e.RecoveryMeasured():
            return _measured(incident, at, event)
        case (
            e.Recovered()
            | e.Relapsed()
            | e.DiagnosisOpened()
            | e.IncidentPaused()
            | e.IncidentResumed()
            | e.IncidentClosed()
            | e.ReviewWritten()
            | e.DeadlineMissed()
            | e.SentimentHeard()
        ):
            return _course(incident, at, event)
        case (
            e.PageQueued()
            | e.PageDelivered()
            | e.PageFailed()
            | e.PagerSettled()
            | e.PagerUnsettled()
            | e.EscalationDefect()
        ):
            return _called(incident, at, event)
        case (
            e.UpdateDrafted()
            | e.UpdateAssigned()
            | e.UpdateReleased()
            | e.UpdateEdited()
            | e.UpdatePublished()
            | e.UpdateFailed()
            | e.UpdatesSnoozed()
        ):
            return replace(incident, word=apply_word(incident.word, at, event))
        case e.Noted() | e.StepProgressed() | e.IncidentOpened() | e.EffectClaimed():
            return incident
        case (
            e.ApprovalRequested()
            | e.StepApproved()
            | e.StepProposed()
            | e.StepVetoed()
            | e.StepRefused()
            | e.StepSkipped()
            | e.StepObserved()
            | e.EvidenceTaken()
            | e.StepStarted()
            | e.StepPrepared()
            | e.StepFinished()
            | e.StepVerified()
        ):
            return _step(incident, at, event)
        case _:
            return _staffed(incident, at, event)


def _staffed(incident: Incident, at: datetime, event: CrewEvent) -> Incident:
    if isinstance(event, e.RoleTaken) and event.role == "communicator":
        first = incident.first_communicator_at or at
        incident = replace(incident, first_communicator_at=first)
    if isinstance(event, e.NoPlanDeclared):
        incident = replace(incident, decided_at=incident.decided_at or at)
    return replace(incident, crew=apply_crew(incident.crew, at, event))


def _alerts(incident: Incident, at: datetime, event: e.AlertsReceived) -> Incident:
    again = incident.all_resolved and any(a.status == "firing" for a in event.alerts)
    # A restart of Prometheus ends every alert and fires it anew; the metrics know better.
    unbroken = incident.confirmed is not None and incident.recovered_at is None
    return replace(
        incident,
        alerts={**incident.alerts, **{a.identity: a for a in event.alerts}},
        alerts_changed_at=at,
        incomplete=event.incomplete,
        refired=incident.refired + (1 if again and not unbroken else 0),
    )


def _called(
    incident: Incident,
    at: datetime,
    event: e.PageQueued
    | e.PageDelivered
    | e.PageFailed
    | e.PagerSettled
    | e.PagerUnsettled
    | e.EscalationDefect,
) -> Incident:
    match event:
        case e.EscalationDefect():
            return replace(incident, defects=(*incident.defects, at))
        case e.PagerSettled() | e.PagerUnsettled():
            key = (event.person, event.method, event.alert)
            before = incident.settling.get(key, Settling())
            if isinstance(event, e.PagerSettled):
                after = Settling(event.state, at)
            else:
                after = replace(
                    before,
                    failures=before.failures + 1,
                    failed_at=at,
                    given_up=event.state if event.last else before.given_up,
                )
            return replace(incident, settling={**incident.settling, key: after})
        case e.PageQueued():
            crew = incident.crew
            occasion = event.occasion
            if occasion is None:  # written before occasions were: it is the present one
                occasion = occasion_of(incident, event.purpose, event.about)
            page = PageState(event, at, occasion, crew.campaign, len(crew.jumps))
        case e.PageDelivered():
            page = replace(incident.pages[event.page], delivered_at=at, delivered_by=event.method)
        case e.PageFailed():
            page = incident.pages[event.page]
            page = replace(
                page,
                failed_methods=(*page.failed_methods, event.method),
                worth_trying=page.worth_trying or event.temporary,
                given_up=event.last,
            )
    return replace(incident, pages={**incident.pages, event.page: page})


def _measured(
    incident: Incident, at: datetime, event: e.ProblemDefined | e.RecoveryMeasured
) -> Incident:
    state: RecoveryState
    if isinstance(event, e.ProblemDefined):
        problem = event.problem
        quantified = problem.verdict not in UNMEASURED
        confirmed = problem.verdict == "confirmed"
        state = "impaired" if confirmed else "healthy" if problem.healthy else "unreadable"
        incident = replace(
            incident,
            problem=problem,
            suspicion=event.suspicion,
            measured_at=incident.measured_at or (at if quantified else None),
        )
        if confirmed:
            confirmed_at = incident.confirmed_at or problem.at
            incident = replace(incident, confirmed=problem, confirmed_at=confirmed_at)
            incident = _as_severe(incident, at, problem.severity)
    else:
        if event.step:
            step = incident.step(event.step)
            step = replace(step, readings=(*step.readings, event.reading))
            incident = replace(incident, steps={**incident.steps, event.step: step})
        incident = _as_severe(incident, at, event.reading.severity)
        return _seen(incident, event.reading)
    return _recent(incident, problem.at, state)


def _seen(incident: Incident, reading: RecoveryReading) -> Incident:
    return _recent(replace(incident, reading=reading), reading.at, reading.state)


def _recent(incident: Incident, measured: datetime, state: RecoveryState) -> Incident:
    row = incident.impaired_in_a_row + 1 if state == "impaired" else 0
    recent = (*incident.recent[1 - RECENT_READINGS :], (measured, state))
    return replace(incident, recent=recent, impaired_in_a_row=row)


def _as_severe(incident: Incident, at: datetime, severity: Severity) -> Incident:
    """Severity rises and does not fall: sev1 is the greatest and sorts first."""
    if not severity or (incident.severity and incident.severity <= severity):
        return incident
    return replace(incident, severity=severity, severity_rose_at=at)


def _course(
    incident: Incident,
    at: datetime,
    event: e.Recovered
    | e.Relapsed
    | e.DiagnosisOpened
    | e.IncidentPaused
    | e.IncidentResumed
    | e.IncidentClosed
    | e.ReviewWritten
    | e.DeadlineMissed
    | e.SentimentHeard,
) -> Incident:
    match event:
        case e.Recovered():
            return replace(
                incident,
                recovered_at=at,
                recovered_by=event.step,
                impaired_in_a_row=0,
                # Nobody is asked while it is well; if it comes back, they are asked anew.
                crew=replace(incident.crew, asked=None),
            )
        case e.Relapsed():
            steps = {
                number: replace(
                    step,
                    approved_by="",
                    asked="",
                    ordered=False,
                    observed=None,
                    rehearsed=False,
                )
                for number, step in incident.steps.items()
            }
            return replace(
                incident,
                recovered_at=None,
                relapses=incident.relapses + 1,
                relapsed_at=at,
                diagnosis=None,
                # The plan is gone through anew, so whether it fits is open again.
                crew=replace(incident.crew, no_plan=None),
                steps=steps,
            )
        case e.DiagnosisOpened():
            decided = incident.decided_at or at
            return replace(incident, diagnosis=event, diagnosed_at=at, decided_at=decided)
        case e.IncidentPaused():
            return replace(incident, paused_by=event.person)
        case e.IncidentResumed():
            return replace(incident, paused_by="")
        case e.IncidentClosed():
            return replace(incident, closed=event, closed_at=at)
        case e.ReviewWritten():
            return replace(incident, review=event.path)
        case e.DeadlineMissed():
            return replace(incident, missed={**incident.missed, event.item: at})
        case e.SentimentHeard():
            heard = (*incident.sentiment[1 - RECENT_READINGS :], event)
            incident = replace(incident, sentiment=heard, sentiment_at=at)
            if event.source == METRICS:
                incident = replace(incident, sentiment_measured_at=at)
            return incident


def _step(incident: Incident, at: datetime, event: StepEvent) -> Incident:
    if isinstance(event, e.EvidenceTaken) and event.reading is not None:
        incident = _seen(incident, event.reading)
    if isinstance(event, e.StepStarted):
        incident = replace(incident, decided_at=incident.decided_at or at)
    step = apply_step(incident.step(event.step), at, event)
    return replace(incident, steps={**incident.steps, event.step: step})
