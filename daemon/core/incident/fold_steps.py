"""A step of the plan is the fold of its events, too."""

from __future__ import annotations

from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.state import TAKEN_BACK, StepState
from daemon.core.rules.rule import StepSpec
from daemon.core.values.replace import replace

StepEvent = (
    e.ApprovalRequested
    | e.StepApproved
    | e.StepProposed
    | e.StepVetoed
    | e.StepRefused
    | e.StepSkipped
    | e.StepObserved
    | e.EvidenceTaken
    | e.StepStarted
    | e.StepPrepared
    | e.StepFinished
    | e.StepVerified
)


def apply_step(step: StepState, at: datetime, event: StepEvent) -> StepState:
    """The step after one more event of it."""
    match event:
        case e.ApprovalRequested():
            return replace(step, asked=event.reason)
        case e.StepApproved():
            return replace(
                step,
                # Whoever starts a step that was passed over takes it up again.
                status="waiting" if event.first else step.status,
                approved_by=event.person,
                approved_at=at,
                approved_content=event.content,
                ordered=event.first,
            )
        case e.StepProposed():
            spec = StepSpec.model_validate(
                {"action": event.action, "with": event.params, "within": event.within}
            )
            return replace(step, action=event.action, proposed=spec, proposed_by=event.person)
        case e.StepVetoed():
            # One that prepares is ended by its own attempt, which holds the target's lock.
            preparing = step.status == "running"
            return replace(
                step, status="running" if preparing else "vetoed", vetoed_by=event.person
            )
        case e.StepRefused():
            return replace(step, refusal=event.reason)
        case e.StepSkipped():
            return replace(step, status="skipped", refusal=event.reason)
        case e.StepObserved():
            return replace(step, observed=event.reason, rehearsed=event.rehearsed)
        case e.StepStarted():
            return _started(step, at, event)
        case e.EvidenceTaken():
            return replace(step, evidence=event)
        case e.StepPrepared():
            return replace(step, summary=event.summary, intent=event.intent)
        case e.StepFinished():
            if event.outcome.reason == "vetoed":
                return replace(step, status="vetoed", summary="", intent=None)
            if event.outcome.reason in TAKEN_BACK:
                return replace(
                    step,
                    status="waiting",
                    summary="",
                    intent=None,
                    taken_back=event.outcome.reason,
                    taken_back_at=at,
                )
            return replace(step, status="finished", finished_at=at, outcome=event.outcome)
        case e.StepVerified():
            return replace(step, verdict=event.verdict, verdict_at=at, verdict_text=event.text)


def _started(step: StepState, at: datetime, event: e.StepStarted) -> StepState:
    return replace(
        step,
        status="running",
        action=event.action,
        target=event.target,
        params=event.params,
        authority=event.authority,
        started_at=at,
        refusal="",
    )
