"""What people do to an incident: each deed is the events it adds, or a reason why it cannot be.

Pure like everything here: the shell authenticates the person and appends the events.
"""

from __future__ import annotations

from daemon.core import events as e
from daemon.core.incident import Incident
from daemon.core.roles import arrive
from daemon.core.rules import Rule


class NotPossible(ValueError):
    """The deed does not fit the incident as it stands; the text says why."""


def acknowledge(incident: Incident, person: str, via: str) -> tuple[e.Event, ...]:
    """Respond. The first person becomes Commander."""
    _open(incident)
    return arrive(incident, person, via)


def approve(incident: Incident, rule: Rule | None, step: int, person: str) -> tuple[e.Event, ...]:
    """Allow a step to run; only the Commander may."""
    _open(incident)
    _known_step(rule, step)
    _commander(incident, person, "approve a step")
    status = incident.step(step).status
    if status != "waiting":
        raise NotPossible(f"step {step} is {status}; only a waiting step can be approved")
    assert rule is not None  # noqa: S101 - by _known_step
    return (e.StepApproved(step=step, person=person, content=rule.content_hash(step)),)


def veto(incident: Incident, rule: Rule | None, step: int, person: str) -> tuple[e.Event, ...]:
    """Forbid a step for this incident; any authenticated person may stop the automation."""
    _open(incident)
    _known_step(rule, step)
    status = incident.step(step).status
    if status == "vetoed":
        return ()
    if status != "waiting":
        raise NotPossible(f"step {step} is {status}; a veto comes too late, but `pause` does not")
    return (e.StepVetoed(step=step, person=person),)


def pause(incident: Incident, person: str, reason: str) -> tuple[e.Event, ...]:
    """Stop the automation of this incident; what runs is finished, nothing more is started."""
    _open(incident)
    return () if incident.paused_by else (e.IncidentPaused(person=person, reason=reason),)


def resume(incident: Incident, person: str) -> tuple[e.Event, ...]:
    """Let the automation go on."""
    _open(incident)
    return (e.IncidentResumed(person=person),) if incident.paused_by else ()


def say(incident: Incident, text: str) -> tuple[e.Event, ...]:
    """Put a note on the timeline."""
    if not text.strip():
        raise NotPossible("the note is empty")
    return (e.Noted(text=text.strip()[:2000]),)


def close(incident: Incident, person: str, reason: str) -> tuple[e.Event, ...]:
    """End the incident by a person's word."""
    if incident.closed is not None:
        return ()
    if incident.running is not None:
        raise NotPossible("a recovery step is running; close it when that has ended")
    text = f"{person}: {reason.strip()}" if reason.strip() else f"closed by {person}"
    return (e.IncidentClosed(reason="by_person", text=text),)


def _open(incident: Incident) -> None:
    if incident.closed is not None:
        raise NotPossible(f"incident {incident.id} is closed")


def _commander(incident: Incident, person: str, deed: str) -> None:
    if incident.commander != person:
        who = incident.commander or "nobody; acknowledge the incident first"
        raise NotPossible(f"only the Commander may {deed}; that is {who}")


def _known_step(rule: Rule | None, step: int) -> None:
    count = len(rule.recover) if rule else 0
    if not 1 <= step <= count:
        raise NotPossible(f"there is no step {step}; the plan has {count}")
