"""One event as one line for people: the words of the live story, the pages and the review."""

from __future__ import annotations

import re

from daemon.core import events as e
from daemon.core.units import percent


def describe(event: e.Event) -> str:
    """One event as one line for people."""
    match event:
        case e.IncidentOpened():
            return f"incident opened: {event.title}" + ("" if event.rule else " (no rule matches)")
        case e.AlertsReceived():
            return _alerts(event)
        case e.ProblemDefined():
            text = f"{event.problem.verdict}: {event.problem.text}"
            return f"{text}; {event.suspicion.text}" if event.suspicion else text
        case e.PageQueued():
            return f"calling {event.person}: {event.text}"
        case e.PageDelivered():
            return f"page {event.page} delivered by {event.method}: {event.proof}"
        case e.PageFailed():
            return f"page {event.page} failed by {event.method}: {event.error}"
        case e.ResponderArrived():
            return f"{event.person} responds (by {event.via})"
        case e.CommanderAppointed():
            return f"{event.person} is Commander: {event.reason}"
        case e.RecoveryMeasured():
            return _reading(event)
        case e.Recovered() | e.Relapsed() | e.Noted():
            return event.text if isinstance(event, e.Noted) else f"{_words(event)}: {event.text}"
        case e.DiagnosisOpened() | e.IncidentClosed():
            return f"{_words(event)} ({event.reason}): {event.text}"
        case e.IncidentPaused():
            return f"automation paused by {event.person}: {event.reason}"
        case e.IncidentResumed():
            return f"automation resumed by {event.person}"
        case e.ReviewWritten():
            return f"review written: {event.path}"
        case _:
            return _describe_step(event)


def _describe_step(
    event: e.ApprovalRequested
    | e.StepApproved
    | e.StepVetoed
    | e.StepRefused
    | e.StepSkipped
    | e.StepStarted
    | e.StepPrepared
    | e.StepProgressed
    | e.StepFinished
    | e.StepVerified,
) -> str:
    step = f"step {event.step}"
    match event:
        case e.ApprovalRequested():
            return f"approval wanted: {event.text}"
        case e.StepApproved():
            return f"{step} approved by {event.person}"
        case e.StepVetoed():
            return f"{step} vetoed by {event.person}"
        case e.StepRefused():
            return f"{step} not started ({event.reason}): {event.text}"
        case e.StepSkipped():
            return f"{step} skipped ({event.reason}): {event.text}"
        case e.StepStarted():
            return f"{step} started: {event.action} on {event.target} ({event.authority})"
        case e.StepPrepared():
            return f"{step} will {event.summary}"
        case e.StepProgressed():
            return f"{step}: {event.text}"
        case e.StepFinished():
            return f"{step} {event.outcome.result} ({event.outcome.reason}): {event.outcome.detail}"
        case e.StepVerified():
            return f"{step} verified: {event.verdict}: {event.text}"


def _alerts(event: e.AlertsReceived) -> str:
    firing = sum(1 for alert in event.alerts if alert.status == "firing")
    text = f"{firing} firing, {len(event.alerts) - firing} resolved"
    names = ", ".join(sorted({alert.name for alert in event.alerts})[:5])
    return f"alerts: {text} ({names})" + (" — incomplete" if event.incomplete else "")


def _reading(event: e.RecoveryMeasured) -> str:
    reading = event.reading
    loss = "" if reading.loss is None else f", loss {percent(reading.loss)}"
    return f"measured: {reading.state} ({reading.reason}){loss}"


def _words(event: e.Event) -> str:
    return re.sub(r"(?<!^)([A-Z])", r" \1", event.kind).lower()
