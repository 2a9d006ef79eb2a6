"""What people do to the recovery plan: approve, start, skip, veto, propose.

Like all deeds: the events that it adds, or NotPossible with the reason why it cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from daemon.core.incident import events as e
from daemon.core.incident.reasons import SKIPPED_BY_PERSON
from daemon.core.incident.state import Incident
from daemon.core.recovery.plan import PROPOSED_FROM, content_of, plan_of
from daemon.core.response.commands import NOTE_LENGTH, by_commander, still_open
from daemon.core.response.roles import NotPossible
from daemon.core.rules.rule import Rule

MOST_PROPOSED = 20
"""So many alternatives may be proposed in one incident."""


def approve(incident: Incident, rule: Rule | None, step: int, person: str) -> tuple[e.Event, ...]:
    """Allow a step to run when its turn comes; only the Commander may."""
    known = _known(incident, rule, step)
    by_commander(incident, person, "approve a step")
    status = incident.step(step).status
    if status != "waiting":
        raise NotPossible(f"step {step} is {status}; only a waiting step can be approved")
    return (e.StepApproved(step=step, person=person, content=content_of(incident, known, step)),)


def start(incident: Incident, rule: Rule | None, step: int, person: str) -> tuple[e.Event, ...]:
    """Start a step now, out of turn and against its conditions; only the Commander may.

    A freeze, the target's lock and the action's own preflight still hold.
    """
    known = _known(incident, rule, step)
    by_commander(incident, person, "start a step")
    if incident.recovered_at is not None:
        raise NotPossible("service is recovered; a step is started again only if it relapses")
    running = incident.running
    if running is not None:
        raise NotPossible(f"step {running.number} is running; one at a time")
    state = incident.step(step)
    if state.status == "vetoed":
        raise NotPossible(f"step {step} was vetoed; if that is over, `propose` the same again")
    if state.status not in {"waiting", "skipped"}:
        raise NotPossible(f"step {step} is {state.status}; to do it again, `propose` the same")
    content = content_of(incident, known, step)
    return (e.StepApproved(step=step, person=person, content=content, first=True),)


def skip(
    incident: Incident, rule: Rule | None, step: int, person: str, reason: str
) -> tuple[e.Event, ...]:
    """Pass a step over, so that the next alternative is looked at; only the Commander may."""
    _known(incident, rule, step)
    by_commander(incident, person, "skip a step")
    status = incident.step(step).status
    if status == "skipped":
        return ()
    if status != "waiting":
        raise NotPossible(f"step {step} is {status}; only a waiting step can be skipped")
    text = reason.strip()[:NOTE_LENGTH] or "no reason given"
    return (e.StepSkipped(step=step, reason=SKIPPED_BY_PERSON, text=text, person=person),)


def veto(incident: Incident, rule: Rule | None, step: int, person: str) -> tuple[e.Event, ...]:
    """Forbid a step for this incident; any authenticated person may stop the automation.

    One that still prepares, and has changed nothing, is stopped.
    """
    _known(incident, rule, step)
    state = incident.step(step)
    status = state.status
    if status == "vetoed" or state.vetoed_by:
        return ()
    preparing = status == "running" and state.intent is None
    if status not in {"waiting", "skipped"} and not preparing:
        raise NotPossible(f"step {step} is {status}; a veto comes too late, but `pause` does not")
    return (e.StepVetoed(step=step, person=person),)


def propose(
    incident: Incident,
    rule: Rule | None,
    action: str,
    params: Mapping[str, Any],
    within: timedelta,
    reason: str,
    person: str,
) -> tuple[e.Event, ...]:
    """Add an alternative from the catalogue; it runs once the Commander approves it.

    The shell has checked the parameters against the action's own. The number is the next free
    one from PROPOSED_FROM on.
    """
    still_open(incident)
    if rule is None:
        raise NotPossible("no rule measures this incident, so no recovery could be verified")
    if person not in incident.responders:
        raise NotPossible("acknowledge the incident first; its responders propose alternatives")
    before = [n for n, state in incident.steps.items() if state.proposed is not None]
    if len(before) >= MOST_PROPOSED:
        raise NotPossible(f"{MOST_PROPOSED} alternatives were proposed already; that is enough")
    return (
        e.StepProposed(
            step=max(before, default=PROPOSED_FROM - 1) + 1,
            person=person,
            action=action,
            params=dict(params),
            within=within,
            reason=reason.strip()[:NOTE_LENGTH],
        ),
    )


def _known(incident: Incident, rule: Rule | None, step: int) -> Rule:
    """The rule, if its plan or the people's proposals have that step."""
    still_open(incident)
    numbers = plan_of(incident, rule) if rule else {}
    if rule is None or step not in numbers:
        listed = ", ".join(map(str, numbers)) or "no step"
        raise NotPossible(f"there is no step {step}; the plan has {listed}")
    return rule
