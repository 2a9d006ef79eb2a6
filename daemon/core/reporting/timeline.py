"""One event as one line for people: the words of the live story, the pages and the review."""

from __future__ import annotations

import re
from collections.abc import Sequence

from daemon.core.incident import events as e
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.response.role_titles import ROLE_NAMES
from daemon.core.values.units import clock_time, percent, printable

SILENCES = 5
COMMENT = 200
"""So many silences of an incident are told of, and so many characters of what is said of each: the
buttons below them have to stay in sight."""


def describe(event: e.Event) -> str:
    """One event as one line for people."""
    match event:
        case e.IncidentOpened():
            return f"incident opened: {event.title}" + ("" if event.rule else " (no rule matches)")
        case e.AlertsReceived() | e.AlertsSuppressed():
            return _alerts(event)
        case e.ProblemDefined():
            text = f"{event.problem.verdict}: {event.problem.text}"
            return f"{text}; {event.suspicion.text}" if event.suspicion else text
        case e.RecoveryMeasured():
            return f"measured: {_reading(event.reading)}"
        case e.Recovered() | e.Relapsed():
            return f"{_words(event)}: {event.text}"
        case e.Noted() | e.DeadlineMissed():
            return event.text
        case e.EffectClaimed():
            return f"begins with {event.effect} {event.about}"
        case e.SentimentHeard():
            return f"heard outside ({event.source}): {event.text}"
        case e.DiagnosisOpened() | e.IncidentClosed():
            return f"{_words(event)} ({event.reason}): {event.text}"
        case e.IncidentPaused():
            return f"automation paused by {event.person}: {event.reason}"
        case e.IncidentResumed():
            return f"automation resumed by {event.person}"
        case e.ReviewWritten():
            return f"review written: {event.path}"
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
            | e.StepProgressed()
            | e.StepFinished()
            | e.StepVerified()
        ):
            return _describe_step(event)
        case (
            e.UpdateDrafted()
            | e.UpdateAssigned()
            | e.UpdateReleased()
            | e.UpdateEdited()
            | e.UpdatePublished()
            | e.UpdateFailed()
            | e.UpdatesSnoozed()
        ):
            return _describe_update(event)
        case (
            e.PageQueued()
            | e.PageDelivered()
            | e.PageFailed()
            | e.PagerSettled()
            | e.PagerUnsettled()
            | e.PagerSaid()
            | e.EscalationJumped()
            | e.EscalationDefect()
            | e.TeamEngaged()
            | e.TeamAnswered()
        ):
            return _describe_call(event)
        case _:
            return _describe_crew(event)


def for_people(event: e.Event) -> bool:
    """Whether people read of it; claims are for whoever looks into the journal itself."""
    return not isinstance(event, e.EffectClaimed)


def suppression(suppressed: Sequence[e.Suppression]) -> str:
    """Why Alertmanager tells nothing of some alerts, for a sentence."""
    told = [_suppressed(one) for one in suppressed[:SILENCES]]
    more = len(suppressed) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _suppressed(one: e.Suppression) -> str:
    if one.how == "silenced":
        until = f" until {one.until:%Y-%m-%d %H:%M} UTC" if one.until else ""
        text = f"silenced{until}{f' by {one.by}' if one.by else ''}"
        text += f": {_short(one.reason)}" if one.reason else ""
    elif one.how == "inhibited":
        text = f"inhibited by {one.by or 'another alert'}"
    else:
        text = f"muted by the time interval {one.by}"
    return printable(f"{text} ({len(one.alerts)} alerts)" if len(one.alerts) > 1 else text)


def _short(comment: str) -> str:
    return comment if len(comment) <= COMMENT else f"{comment[: COMMENT - 1]}…"


def _describe_call(
    event: e.PageQueued
    | e.PageDelivered
    | e.PageFailed
    | e.PagerSettled
    | e.PagerUnsettled
    | e.PagerSaid
    | e.EscalationJumped
    | e.EscalationDefect
    | e.TeamEngaged
    | e.TeamAnswered,
) -> str:
    match event:
        case e.PageQueued():
            return f"calling {event.person}: {event.text}"
        case e.PageDelivered():
            return f"page {event.page} delivered by {event.method}: {event.proof}"
        case e.PageFailed():
            return f"page {event.page} failed by {event.method}: {event.error}"
        case e.PagerSettled():
            return f"{event.method} of {event.person} told {event.state}: {event.proof}"
        case e.PagerUnsettled():
            return f"{event.method} of {event.person} not told {event.state}: {event.error}"
        case e.PagerSaid():
            who = event.person or event.who or "automation"
            return f"{event.source}: {event.said} by {who} at {clock_time(event.occurred_at)}"
        case e.EscalationJumped():
            return f"{event.person} escalates to tier {event.tier + 1}"
        case e.EscalationDefect():
            return f"DEFECT in the escalation: {event.text}"
        case e.TeamEngaged():
            return f"team {event.team} called in by {event.person}"
        case e.TeamAnswered():
            return f"team {event.team} is here: {event.person}"


def _describe_crew(
    event: e.ResponderArrived
    | e.ResponderLeft
    | e.CommanderAppointed
    | e.CommandVacated
    | e.CommanderAsked
    | e.RoleTaken
    | e.RoleLeft
    | e.RoleRequested
    | e.RoleAnswered
    | e.NoPlanDeclared
    | e.LinkUsed,
) -> str:
    match event:
        case e.ResponderArrived():
            return f"{event.person} responds (by {event.via})"
        case e.ResponderLeft():
            return f"{event.person} is off it (by {event.via})"
        case e.CommanderAppointed():
            return f"{event.person} is Commander: {event.reason}"
        case e.CommandVacated():
            return f"nobody commands: {event.reason}"
        case e.CommanderAsked():
            return f"{event.person} is asked for a sign of life by {clock_time(event.until)}"
        case e.RoleTaken():
            return f"{event.person} is {ROLE_NAMES[event.role]}: {event.reason}"
        case e.RoleLeft():
            return f"{ROLE_NAMES[event.role]} is vacant: {event.reason}"
        case e.RoleRequested():
            return f"{event.asked} is asked (request {event.request}): {event.why}"
        case e.RoleAnswered():
            return f"request {event.request} {event.answer}"
        case e.NoPlanDeclared():
            return f"{event.person}: no plan fits: {event.reason}"
        case e.LinkUsed():
            return f"the link in page {event.page} was used"


def _describe_update(
    event: e.UpdateDrafted
    | e.UpdateAssigned
    | e.UpdateReleased
    | e.UpdateEdited
    | e.UpdatePublished
    | e.UpdateFailed
    | e.UpdatesSnoozed,
) -> str:
    match event:
        case e.UpdateDrafted():
            return f"update {event.update} drafted ({event.because})"
        case e.UpdateAssigned():
            return f"update {event.update} is {event.person}'s to send: {event.reason}"
        case e.UpdateReleased():
            by = f"sent by {event.person}" if event.person else "sent"
            return f"update {event.update} {by}: {event.text}"
        case e.UpdateEdited():
            return f"update {event.update} changed by {event.person}: {event.text}"
        case e.UpdatePublished():
            version = f" (version {event.version})" if event.version > 1 else ""
            return f"update {event.update}{version} is in {event.channel}: {event.proof}"
        case e.UpdateFailed():
            return f"update {event.update} did not reach {event.channel}: {event.error}"
        case e.UpdatesSnoozed():
            until = clock_time(event.until)
            return (
                f"updates to {event.audience} put off to {until} by {event.person}: {event.reason}"
            )


def _describe_step(
    event: e.ApprovalRequested
    | e.StepApproved
    | e.StepProposed
    | e.StepVetoed
    | e.StepRefused
    | e.StepSkipped
    | e.StepObserved
    | e.EvidenceTaken
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
            return f"{step} {'started' if event.first else 'approved'} by {event.person}"
        case e.StepProposed():
            why = f": {event.reason}" if event.reason else ""
            return f"{step} proposed by {event.person}: {event.action}{why}"
        case e.StepObserved():
            asks = "would be refused" if event.rehearsed else "would ask"
            would = f"{asks} ({event.reason})" if event.reason else "would start"
            return f"observed only: {step} {would}: {event.action} on {event.target}: {event.text}"
        case e.EvidenceTaken():
            return _evidence(event)
        case e.StepVetoed():
            return f"{step} vetoed by {event.person}"
        case e.StepRefused():
            return f"{step} not started ({event.reason}): {event.text}"
        case e.StepSkipped():
            by = f" by {event.person}" if event.person else ""
            return f"{step} skipped{by} ({event.reason}): {event.text}"
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


def _alerts(event: e.AlertsReceived | e.AlertsSuppressed) -> str:
    if isinstance(event, e.AlertsSuppressed):
        if not event.suppressed:
            return "Alertmanager tells of all its alerts again"
        return f"Alertmanager keeps it to itself: {suppression(event.suppressed)}"
    firing = sum(1 for alert in event.alerts if alert.status == "firing")
    text = f"{firing} firing, {len(event.alerts) - firing} resolved"
    names = ", ".join(sorted({alert.name for alert in event.alerts})[:5])
    return f"alerts: {text} ({names})" + (" — incomplete" if event.incomplete else "")


def _reading(reading: RecoveryReading) -> str:
    loss = "" if reading.loss is None else f", loss {percent(reading.loss)}"
    return f"{reading.state} ({reading.reason}){loss}"


def _evidence(event: e.EvidenceTaken) -> str:
    measured = _reading(event.reading) if event.reading else "not measured"
    stands = "; ".join(f"{name} {value}" for name, value in event.target.items())
    text = f"evidence before step {event.step}: {measured}"
    if event.monitoring:
        text += f"; the monitoring is not believed: {event.monitoring}"
    return f"{text}; {stands}" if stands else text


def _words(event: e.Event) -> str:
    return re.sub(r"(?<!^)([A-Z])", r" \1", event.kind).lower()
