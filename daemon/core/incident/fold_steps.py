"""The fold of the steps: a step of the plan is the fold of its events, too."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.dry_run import DryRun
from daemon.core.incident.fold_lifecycle import with_reading
from daemon.core.incident.reasons import VETOED, is_taken_back
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepStage, StepState
from daemon.core.rules.rule import StepSpec
from daemon.core.values.outcome import Outcome
from daemon.core.values.replace import replace


def apply_step(incident: Incident, at: datetime, event: e.StepEvent) -> Incident:
    """The incident after one more event of a step of its plan."""
    if isinstance(event, e.EvidenceTaken) and event.reading is not None:
        incident = with_reading(incident, event.reading)
    if isinstance(event, e.StepStarted):
        incident = replace(incident, decided_at=incident.decided_at or at)
    before = incident.step(event.step)
    step = _apply(before, at, event)
    if step is before:
        return incident
    return replace(incident, steps={**incident.steps, event.step: step})


def _apply(step: StepState, at: datetime, event: e.StepEvent) -> StepState:
    match event:
        case e.ApprovalRequested():
            return replace(step, ask_reason=event.reason, asking=True)
        case e.StepApproved():
            return replace(
                step,
                # Whoever starts a step that was passed over takes it up again.
                status="waiting" if event.first else step.status,
                asking=False,
                approvals=step.approvals + 1,
                approved_by=event.person,
                approved_at=at,
                approved_content=event.content,
                approved_saw=event.saw,
                ordered=event.first,
            )
        case e.StepProposed():
            spec = StepSpec.model_validate(
                {"action": event.action, "with": event.params, "within": event.within}
            )
            return replace(step, action=event.action, proposed=spec, proposed_by=event.person)
        case e.StepVetoed():
            return _vetoed(step, event)
        case e.StepRefused():
            return replace(step, refusal=event.reason, refusal_text=event.text)
        case e.StepSkipped():
            return replace(step, status="skipped", refusal=event.reason)
        case e.StepReopened():
            return replace(step, status="waiting", refusal="", reopened=True)
        case e.StepObserved() | e.StepRehearsed():
            return _looked_at(step, at, event)
        case e.StepStarted():
            return _started(step, at, event)
        case e.EvidenceTaken() | e.StepPrepared():
            return _prepared(step, at, event)
        case e.StageReached() | e.StageRuled():
            return _staged(step, at, event)
        case e.StepFinished():
            return _finished(step, at, event.outcome)
        case e.StepVerified():
            return replace(step, verdict=event.verdict, verdict_at=at, verdict_text=event.text)
        case e.AutonomyWithdrawn() | e.AutonomyRestored():
            return replace(step, withdrew_autonomy=isinstance(event, e.AutonomyWithdrawn))
        case e.StepProgressed():
            return replace(step, begun_at=at)
        case _:
            assert_never(event)


def _looked_at(step: StepState, at: datetime, event: e.StepObserved | e.StepRehearsed) -> StepState:
    if isinstance(event, e.StepRehearsed):
        return replace(step, dry_run=DryRun(at, event))
    return replace(step, observed=event.reason, rehearsed=event.rehearsed, observation=event)


def _prepared(step: StepState, at: datetime, event: e.EvidenceTaken | e.StepPrepared) -> StepState:
    if isinstance(event, e.EvidenceTaken):
        return replace(step, evidence=event)
    return replace(step, summary=event.summary, intent=event.intent, begun_at=at)


def _staged(step: StepState, at: datetime, event: e.StageReached | e.StageRuled) -> StepState:
    if isinstance(event, e.StageReached):
        return replace(step, stage=StepStage(at, event))
    # Of the metrics and a person, who was first has it: the action may have gone on by then.
    if step.stage is None or step.stage.ruling is not None:
        return step
    return replace(step, stage=replace(step.stage, ruling=event))


def _vetoed(step: StepState, event: e.StepVetoed) -> StepState:
    # One that prepares is ended by its own attempt, which holds the target's lock.
    preparing = step.status == "running"
    return replace(step, status="running" if preparing else "vetoed", vetoed_by=event.person)


def _started(step: StepState, at: datetime, event: e.StepStarted) -> StepState:
    return replace(
        step,
        status="running",
        action=event.action,
        target=event.target,
        params=event.params,
        authority=event.authority,
        automatic=not step.approved_by,
        started_at=at,
        refusal="",
    )


def _finished(step: StepState, at: datetime, outcome: Outcome) -> StepState:
    if outcome.result != "refused":
        # It may have changed the world, so its effect is measured, whatever word it chose.
        return replace(step, status="finished", finished_at=at, outcome=outcome)
    if outcome.reason == VETOED:
        return replace(step, status="vetoed", summary="", intent=None)
    if is_taken_back(outcome.reason):
        return replace(
            step,
            status="waiting",
            summary="",
            intent=None,
            taken_back=outcome.reason,
            taken_back_at=at,
        )
    return replace(step, status="finished", finished_at=at, outcome=outcome)
