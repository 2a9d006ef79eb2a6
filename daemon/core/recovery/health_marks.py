"""What a verdict teaches of the items that its step switched between: one to go back to, or not.

A rollback chooses by these marks (`daemon.core.changes.change.last_healthy`), so only a step that
was done marks anything: what is live after any other is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.core.changes.change import HealthMark
from daemon.core.incident.events import Event, StepVerified
from daemon.core.incident.state import Incident


def health_marks(
    incident: Incident, events: Sequence[Event]
) -> Mapping[tuple[str, str], HealthMark]:
    """The mark of each (target, item) that the verdicts among these events tell of."""
    marks: dict[tuple[str, str], HealthMark] = {}
    for event in events:
        if not isinstance(event, StepVerified):
            continue
        step = incident.step(event.step)
        if step.outcome is None or step.outcome.result != "done":
            continue
        came_from, went_to = (step.intent or {}).get("from"), (step.intent or {}).get("to")
        if event.verdict == "recovered":
            if came_from:
                marks[(step.target, came_from)] = "bad"
            if went_to:
                marks[(step.target, went_to)] = "healthy"
        elif event.verdict == "worse" and went_to:
            marks[(step.target, went_to)] = "bad"
    return marks
