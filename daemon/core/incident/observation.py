"""What a rule that only observes would have done in an incident, in words."""

from __future__ import annotations

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.values.units import printable


def observed_now(incident: Incident) -> e.StepObserved | None:
    """What would be done now and is not, for the rule only observes; None if there is nothing."""
    if incident.closed is not None or incident.recovered_at is not None:
        return None
    waiting = (s for _, s in sorted(incident.steps.items()) if s.status == "waiting")
    return next((s.observation for s in waiting if s.observation and not s.approved_by), None)


def would(observed: e.StepObserved) -> str:
    """It without a subject: 'would start step 1, rollback on shop'."""
    step = f"step {observed.step}, {observed.action} on {printable(observed.target)}"
    if not observed.reason:
        return f"would start {step}"
    if observed.rehearsed:
        return f"would not start {step} ({printable(observed.text)})"
    return f"would ask for {step} ({printable(observed.text)})"


def observing_text(incident: Incident) -> str:
    """What would be done, and whose it is; empty if nothing would be."""
    observed = observed_now(incident)
    if observed is None:
        return ""
    short, _, _ = would(observed).partition(" (")  # why, the plan tells
    return f"observing only: Stopgap {short}; it is yours to do"
