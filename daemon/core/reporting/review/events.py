"""The timeline of a review: what matters of it, and all of it."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.reporting.review.document import Grid, Section
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.words import without_codes
from daemon.core.reporting.timeline import timeline_lines

_HEAD = ("Time", "Who", "What")
_MATTERS = (
    e.IncidentOpened,
    e.IncidentDeclared,
    e.SeveritySet,
    e.IncidentRelated,
    e.IncidentAbsorbed,
    e.SplitStarted,
    e.SplitFrom,
    e.TeamReassigned,
    e.PagesHeld,
    e.PagesReleased,
    e.StormJoined,
    e.RoomOpened,
    e.RoomNoted,
    e.VendorTicketOpened,
    e.StepObserved,
    e.ProblemReassessed,
    e.ResponderArrived,
    e.ResponderLeft,
    e.CommanderAppointed,
    e.CommandVacated,
    e.RoleTaken,
    e.NoPlanDeclared,
    e.EscalationJumped,
    e.TeamEngaged,
    e.TeamAnswered,
    e.StepRefused,
    e.ApprovalRequested,
    e.StepApproved,
    e.StepProposed,
    e.StepVetoed,
    e.StepSkipped,
    e.StepStarted,
    e.StepFinished,
    e.DiagnosisOpened,
    e.IncidentPaused,
    e.IncidentResumed,
    e.AutonomyWithdrawn,
    e.Recovered,
    e.Relapsed,
    e.DeadlineMissed,
    e.UpdateReleased,
    e.LastWordDismissed,
    e.IncidentClosed,
)


def timeline_section(review: Review) -> Section:
    """What somebody reads who was not there; what is decided again and again the same is one
    line."""
    return Section("Timeline", (Grid(_HEAD, tuple(_telling(review))),))


def full_timeline_section(review: Review) -> Section:
    """Everything that is in the timeline, the oldest first."""
    rows = tuple(
        (
            review.when(line.at),
            _who(line.by),
            line.text if line.by.startswith(PERSON_PREFIX) else without_codes(line.text),
        )
        for line in reversed(timeline_lines(review.entries))
    )
    return Section("Full timeline", (Grid(_HEAD, rows),), folded=True)


def _telling(review: Review) -> Iterator[tuple[str, str, str]]:
    told: set[str] = set()
    asked = [x.event.text for x in review.entries if isinstance(x.event, e.ApprovalRequested)]
    appointed = {
        (entry.at, entry.event.person)
        for entry in review.entries
        if isinstance(entry.event, e.CommanderAppointed)
    }
    for entry in review.entries:
        event = entry.event
        if isinstance(event, e.ResponderArrived) and (entry.at, event.person) in appointed:
            continue  # that they command now says as much
        if not _matters(event, entry.by):
            continue
        if isinstance(event, e.StepRefused) and any(event.text in text for text in asked):
            continue  # what it was asked for says why
        text = _told(event)
        if isinstance(event, e.StepRefused | e.ApprovalRequested):
            if text in told:
                continue
            told.add(text)
        if not entry.by.startswith(PERSON_PREFIX):
            text = without_codes(text)
        yield review.when(entry.at), _who(entry.by), text


def _matters(event: e.Event, by: str) -> bool:
    match event:
        case e.Noted():
            return by.startswith(PERSON_PREFIX)
        case e.ProblemDefined():
            return event.problem.verdict == "confirmed"
        case e.StepVerified():
            return event.verdict != "recovered"  # of that Recovered tells
        case e.SentimentHeard():
            return event.source != e.METRICS
        case _:
            return isinstance(event, _MATTERS)


def _told(event: e.Event) -> str:
    """The event in a sentence for somebody who was not there."""
    match event:
        case e.ProblemDefined():
            return f"problem confirmed: {event.problem.text}"
        case e.StepRefused():
            return f"step {event.step} not started: {event.text}"
        case e.StepSkipped():
            by = f" by {event.person}" if event.person else ""
            return f"step {event.step} passed over{by}: {event.text}"
        case e.StepFinished():
            ended = "done" if event.outcome.result == "done" else "ended without success"
            return f"step {event.step} {ended}: {event.outcome.detail}"
        case e.StepVerified():
            return f"step {event.step} did not restore service: {event.text}"
        case e.DiagnosisOpened():
            return f"people look for the cause: {event.text}"
        case e.AutonomyWithdrawn():
            return f"the rule asks for each step from now on: {event.text}"
        case e.Recovered():
            return f"service restored: {event.text}"
        case e.IncidentClosed():
            return f"incident closed: {event.text}"
        case e.UpdateReleased():
            audience = event.update.rpartition(".")[0]
            # What goes out by itself says what stands in the lines around it.
            return f"update sent to {audience}" + (f": {event.text}" if event.person else "")
        case _:
            return event.describe()


def _who(by: str) -> str:
    return by.removeprefix(PERSON_PREFIX)
