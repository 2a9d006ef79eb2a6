"""The fold of the misjudgements, from the steps as they stood before the event."""

from __future__ import annotations

from daemon.core.incident import events as e
from daemon.core.incident.misjudgements import LEFT_TO_PEOPLE, Misjudgements
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def misjudged(incident: Incident, event: e.StepEvent) -> Misjudgements:
    """What is known of the errors after an event of a step; `incident` is as it was before."""
    known = incident.misjudgements
    match event:
        case e.StepApproved():
            step = incident.step(event.step)
            reason = step.refusal or step.ask_reason
            if not reason or reason in LEFT_TO_PEOPLE or step.proposed is not None:
                return known
            return replace(known, overruled={**known.overruled, event.step: reason})
        case e.StepPrepared():
            return replace(known, undone=known.undone | _taken_back_by(incident, event))
        case e.AutonomyWithdrawn(reason="act_was_undone"):
            return replace(known, undone=known.undone | {event.step})
        case _:
            return known


def _taken_back_by(incident: Incident, event: e.StepPrepared) -> frozenset[int]:
    """The steps that were started without a person's word, and whose target a person now switches
    back to what it had before."""
    step = incident.step(event.step)
    to = event.intent.get("to")
    if not to or not step.approved_by:
        return frozenset()
    return frozenset(
        other.number
        for other in incident.steps.values()
        if other.automatic
        and other.acted
        and other.number != event.step
        and other.target == step.target
        and (other.intent or {}).get("from") == to
    )
