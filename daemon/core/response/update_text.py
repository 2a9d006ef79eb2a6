"""The words of an update, from facts alone: measured numbers, actions, verdicts, people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from daemon.core.incident.observation import observed_now, observing_text
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Impact
from daemon.core.response.rooms import place_links, places_line
from daemon.core.values.units import percent, printable, quantity


def draft(
    incident: Incident,
    *,
    since: datetime | None,
    pause: timedelta | None,
    sent_at: datetime | None,
    public: bool,
    description: str,
) -> str:
    """The update in words. `since`: when this audience was told last. `pause`: until the next;
    None if this is the last. `sent_at`: None if nobody knows yet when somebody will send it.

    Public wording names no person, no target and no action.
    """
    lines = _public(incident, description) if public else _internal(incident, since)
    if pause is not None and sent_at is not None:
        lines.append(f"Next update by {hour(sent_at + pause)}.")
    elif pause is not None:
        lines.append(f"Next update within {pause.total_seconds() / 60:.0f} minutes.")
    elif incident.closed is None:
        lines.append("We keep watching; the next update comes if it returns, or when it is over.")
    return "\n".join(lines)


def facts_in_short(incident: Incident) -> str:
    """What a draft depends on besides numbers: when this changes, so must the draft."""
    steps = [f"{n}:{s.verdict or s.status}" for n, s in sorted(incident.steps.items())]
    observed = [f"observed{x.step}" for x in filter(None, [observed_now(incident)])]
    facts = (incident.severity, incident.phase, *steps, f"relapse{incident.relapses}")
    return "/".join((*facts, *observed, *place_links(incident)))


def hour(moment: datetime) -> str:
    """A time of day in an update: '14:10 UTC'."""
    return f"{moment.astimezone(UTC):%H:%M} UTC"


def _internal(incident: Incident, since: datetime | None) -> list[str]:
    over = incident.recovered_at is not None or incident.closed is not None
    severity = f" ({incident.severity})" if incident.severity and not over else ""
    lines = [f"{incident.title}{severity}"]
    changes = _changes(incident, since)
    if since is not None:
        lines.append(f"Since {hour(since)}: {'; '.join(changes) or 'nothing has changed'}.")
    measured = _measured(incident)
    if measured:
        lines.append(measured)
    done = [
        f"{step.action} on {printable(step.target)}: {step.so_far}"
        for _, step in sorted(incident.steps.items())
        if step.started_at is not None
    ]
    lines.append(f"Done: {'; '.join(done) or 'nothing was changed yet'}.")
    lines.append(f"Next: {_next(incident)}.")
    problem = incident.confirmed or incident.problem
    if problem is not None:
        lines += _numbers("Impact", problem.impact)
    sentiment = _sentiment(incident, since)
    if sentiment:
        lines.append(f"Heard outside: {sentiment}.")
    communicator = incident.people.holder("communicator")
    people = f"Commander: {incident.commander or 'nobody yet'}"
    lines.append(f"{people}; Communicator: {communicator}." if communicator else f"{people}.")
    places = places_line(incident)
    return [*lines, places] if places else lines


def _public(incident: Incident, description: str) -> list[str]:
    problem = incident.confirmed or incident.problem
    subject = " ".join(description.split()).rstrip(".")
    subject = subject or (problem.symptom if problem and problem.symptom else "our service")
    known = (problem.onset or problem.begun_by) if problem else None
    begun = known or incident.opened_at
    if incident.recovered_at is not None:
        return [
            f"Restored: {subject}. The problem lasted from {hour(begun)} "
            f"to {hour(incident.recovered_at)}."
        ]
    if incident.closed_at is not None:
        return [
            f"It is over: {subject}. The problem began at {hour(begun)}, and our work on it ended "
            f"at {hour(incident.closed_at)}."
        ]
    early = incident.stage == "early"
    doing = "We are looking into it." if early else "We are working on restoring the service."
    return [f"We see a problem since {hour(begun)}: {subject}.", doing]


def _changes(incident: Incident, since: datetime | None) -> list[str]:
    """What has happened since then, in the order of its weight."""
    if since is None:
        return []
    changes = []
    if incident.closed_at is not None and incident.closed_at > since:
        changes.append("the incident is closed")
    if incident.recovered_at is not None and incident.recovered_at > since:
        changes.append("service is restored")
    if incident.relapsed_at is not None and incident.relapsed_at > since:
        changes.append("the problem came back")
    if incident.severity_rose_at is not None and incident.severity_rose_at > since:
        changes.append(f"severity rose to {incident.severity}")
    for number, step in sorted(incident.steps.items()):
        if step.verdict_at is not None and step.verdict_at > since:
            changes.append(f"step {number} ({step.action}) ended {step.so_far}")
        elif step.started_at is not None and step.started_at >= since:  # the update came first
            changes.append(f"step {number} ({step.action}) was started")
    if incident.diagnosed_at is not None and incident.diagnosed_at > since:
        changes.append("the diagnosis was opened")
    return changes


def _measured(incident: Incident) -> str:
    """The latest reading against the one that confirmed the problem."""
    reading, problem = incident.reading, incident.confirmed
    if reading is not None and reading.text:
        return f"Measured at {hour(reading.at)}: {printable(reading.text)} ({reading.state})."
    if reading is None or problem is None or reading.loss is None or problem.loss is None:
        return ""
    return (
        f"Measured at {hour(reading.at)}: loss {percent(max(reading.loss, 0.0))}, "
        f"was {percent(problem.loss)} ({reading.state})."
    )


def _next(incident: Incident) -> str:
    if incident.closed is not None:
        return "the review"
    if incident.recovered_at is not None:
        return "watching for a relapse"
    if incident.running is not None:
        return f"{incident.running.action} is running, then its effect is measured"
    if incident.verifying is not None:
        return f"the effect of {incident.verifying.action} is being measured"
    waiting = [s for s in incident.steps.values() if s.awaits_approval]
    if waiting:
        return f"step {waiting[0].number} waits for the Commander's approval"
    if incident.diagnosis is not None:
        owner = incident.people.holder("diagnosis") or "nobody yet"
        return f"the cause is looked for (owner: {owner})"
    if incident.paused_by:
        return f"automation is paused by {incident.paused_by}; people decide"
    if not incident.rule:
        return "people look into it; no rule measures it, and nothing is done by itself"
    return observing_text(incident) or "the recovery plan is being decided"


def _numbers(heading: str, impacts: tuple[Impact, ...]) -> list[str]:
    known = [f"{printable(i.name)} {quantity(i.value)}" for i in impacts if i.value is not None]
    return [f"{heading}: {', '.join(known)}."] if known else []


def _sentiment(incident: Incident, since: datetime | None) -> str:
    """The newest word from each source; what was told before is not told again."""
    newest: dict[str, str] = {}
    for sentiment in incident.sentiment:
        newest[sentiment.source] = printable(sentiment.text)
    if since is not None and (incident.sentiment_at is None or incident.sentiment_at <= since):
        return ""
    return "; ".join(f"{text} ({source})" for source, text in newest.items())
