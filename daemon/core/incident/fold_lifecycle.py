"""The fold of what happens to the incident itself: alerts, measurements, and how it goes on."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.fold_call_answers import recovered_again
from daemon.core.incident.impact import add_reading, begin_impact
from daemon.core.incident.organization import worse
from daemon.core.incident.state import RECENT_READINGS, Incident
from daemon.core.measurement.problem import (
    UNMEASURED,
    Problem,
    RecoveryReading,
    RecoveryState,
    Severity,
)
from daemon.core.values.replace import replace


def apply_lifecycle(incident: Incident, at: datetime, event: e.LifecycleEvent) -> Incident:
    """The incident after one more event of its own course."""
    match event:
        case e.AlertsReceived():
            return _alerts(incident, at, event)
        case e.AlertsSuppressed():
            return replace(incident, suppressed=event.suppressed)
        case e.ProblemDefined() | e.ProblemReassessed() | e.RecoveryMeasured():
            return _measurement(incident, at, event)
        case e.ChangeReported():
            return replace(incident, told=(*incident.told, event))
        case e.Recovered():
            return replace(
                incident,
                recovered_at=at,
                recovered_by=event.step,
                call_answers=recovered_again(incident.call_answers),
                impaired_in_a_row=0,
                # Nobody is asked while it is well; if it comes back, they are asked anew.
                people=replace(incident.people, sign_of_life_request=None),
            )
        case e.Relapsed():
            return _relapsed(incident, at)
        case e.DiagnosisOpened():
            decided = incident.decided_at or at
            return replace(incident, diagnosis=event, diagnosed_at=at, decided_at=decided)
        case e.IncidentPaused():
            return replace(incident, paused_by=event.person)
        case e.IncidentResumed():
            return replace(incident, paused_by="")
        case e.IncidentClosed():
            return _closed(incident, at, event)
        case e.ReviewWritten():
            known = replace(incident.learning, reviewed=event.revision)
            return replace(incident, review=event.path, learning=known)
        case e.SamplesRecorded():
            return replace(incident, recorded=True)
        case e.DeadlineMissed():
            return replace(incident, missed={**incident.missed, event.item: at})
        case e.SentimentHeard():
            return _sentiment(incident, at, event)
        case e.IncidentOpened() | e.Noted() | e.EffectClaimed() | e.WrittenByNewer():
            return incident
        case _:
            assert_never(event)


def _closed(incident: Incident, at: datetime, event: e.IncidentClosed) -> Incident:
    """A merge that was begun is carried out by this, or has come to nothing."""
    known = incident.organization
    into = known.merging.into if known.merging and event.reason == "merged" else ""
    organization = replace(known, merging=None, merged_into=into, held=None)
    return replace(incident, closed=event, closed_at=at, organization=organization)


def _alerts(incident: Incident, at: datetime, event: e.AlertsReceived) -> Incident:
    again = incident.all_resolved and any(a.status == "firing" for a in event.alerts)
    # A restart of Prometheus ends every alert and fires it anew; the metrics know better.
    unbroken = incident.confirmed is not None and incident.recovered_at is None
    return replace(
        incident,
        alerts={**incident.alerts, **{a.identity: a for a in event.alerts}},
        alerts_changed_at=at,
        alertmanager_url=event.external_url or incident.alertmanager_url,
        incomplete=event.incomplete,
        refired=incident.refired + (1 if again and not unbroken else 0),
    )


def _measurement(
    incident: Incident,
    at: datetime,
    event: e.ProblemDefined | e.ProblemReassessed | e.RecoveryMeasured,
) -> Incident:
    match event:
        case e.ProblemDefined():
            return _defined(incident, at, event)
        case e.ProblemReassessed():
            return _reassessed(incident, at, event)
        case e.RecoveryMeasured():
            return _measured(incident, at, event)
        case _:
            assert_never(event)


def _defined(incident: Incident, at: datetime, event: e.ProblemDefined) -> Incident:
    problem = event.problem
    quantified = problem.verdict not in UNMEASURED
    incident = replace(
        incident,
        problem=problem,
        suspicion=event.suspicion,
        told_weighed=len(incident.told),
        measured_at=incident.measured_at or (at if quantified else None),
    )
    if problem.verdict == "confirmed":
        confirmed_at = incident.confirmed_at or problem.at
        impact = begin_impact(incident.impact, problem)
        incident = replace(incident, confirmed=problem, confirmed_at=confirmed_at, impact=impact)
        incident = _as_severe(incident, at, problem.severity)
    return _recent(incident, problem.at, _state_of(problem))


def _reassessed(incident: Incident, at: datetime, event: e.ProblemReassessed) -> Incident:
    """When it was confirmed stays, and the measurement itself is told by a reading."""
    incident = replace(incident, suspicion=event.suspicion)
    if event.problem is None:
        return incident
    incident = replace(incident, problem=event.problem, confirmed=event.problem)
    return _as_severe(incident, at, event.problem.severity)


def _state_of(problem: Problem) -> RecoveryState:
    if problem.verdict == "confirmed":
        return "impaired"
    return "healthy" if problem.healthy else "unreadable"


def _measured(incident: Incident, at: datetime, event: e.RecoveryMeasured) -> Incident:
    if event.step:
        step = incident.step(event.step)
        step = replace(step, readings=(*step.readings, event.reading))
        incident = replace(incident, steps={**incident.steps, event.step: step})
    else:
        incident = replace(incident, told_weighed=len(incident.told))
    incident = _as_severe(incident, at, event.reading.severity)
    return with_reading(incident, event.reading)


def with_reading(incident: Incident, reading: RecoveryReading) -> Incident:
    """The incident after one more measurement, whoever took it."""
    confirmed = incident.confirmed
    if confirmed is not None:
        impact = add_reading(incident.impact, reading, counts=confirmed.kind == "counts")
        incident = replace(incident, impact=impact)
    return _recent(replace(incident, reading=reading), reading.at, reading.state)


def _recent(incident: Incident, measured: datetime, state: RecoveryState) -> Incident:
    row = incident.impaired_in_a_row + 1 if state == "impaired" else 0
    recent = (*incident.recent[1 - RECENT_READINGS :], (measured, state))
    return replace(incident, recent=recent, impaired_in_a_row=row)


def _as_severe(incident: Incident, at: datetime, severity: Severity) -> Incident:
    """Severity rises and does not fall: sev1 is the greatest and sorts first."""
    state = incident.drill_state
    if state.promoted and severity and (not state.measured or severity < state.measured):
        incident = replace(incident, drill_state=replace(state, measured=severity))
    known = incident.organization
    if known.severity is not None:
        measured = worse(known.severity_measured, severity)
        incident = replace(incident, organization=replace(known, severity_measured=measured))
    if not severity or (incident.severity and incident.severity <= severity):
        return incident
    return replace(incident, severity=severity, severity_rose_at=at)


def _relapsed(incident: Incident, at: datetime) -> Incident:
    """The plan is gone through anew, so whether it fits is open again."""
    steps = {
        number: replace(
            step,
            approved_by="",
            ask_reason="",
            asking=False,
            ordered=False,
            observed=None,
            observation=None,
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
        # Whoever was called for by a jump of before is not called for by it again.
        people=replace(incident.people, no_plan=None, past_jumps=len(incident.people.jumps)),
        steps=steps,
    )


def _sentiment(incident: Incident, at: datetime, event: e.SentimentHeard) -> Incident:
    recent = (*incident.sentiment[1 - RECENT_READINGS :], event)
    measured_at = at if event.source == e.METRICS else incident.sentiment_measured_at
    return replace(incident, sentiment=recent, sentiment_at=at, sentiment_measured_at=measured_at)
