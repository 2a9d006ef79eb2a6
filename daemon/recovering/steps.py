"""One step of the plan: take its target, try it, journal how it ended.

A crash at any point is answered by looking at the world, never by doing it blindly again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from daemon.core.decision import RunStep
from daemon.core.incident import events as e
from daemon.core.incident.reasons import attempt_ended, is_taken_back
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Claim, ClaimRefused
from daemon.core.ports.replicas import NotOurs, NotOwner
from daemon.core.recovery.plan import Outlook, plan_of, scope_of
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import format_duration
from daemon.recovering.action_calls import ActionEnded
from daemon.recovering.attempt import Attempt
from daemon.recovering.step_context import StepContext, aim
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

WITHOUT_RULE = timedelta(minutes=10)
"""How long a step may go on whose rule was removed while it ran."""


@dataclass(frozen=True)
class StepStart:
    """The intent of a step that begins, and the lock of its target."""

    event: e.StepStarted
    lock: Claim


async def run_step(
    repository: IncidentRepository,
    incident: str,
    rule: Rule | None,
    order: RunStep,
    step_context: StepContext,
) -> None:
    """Carry one step that was started through to its outcome.

    Whoever calls this has claimed it (`IncidentRepository.claim`). Cancelled, it leaves what a
    restart understands.
    """
    current = await repository.load(incident)
    state = current.step(order.step)
    if state.status != "running":
        return
    spec = plan_of(current, rule).get(order.step) if rule else None
    action = step_context.actions.get(state.action)
    if action is None:
        text = f"the action {state.action!r} is no longer there; look at the target by hand"
        await _finish(
            repository, incident, order.step, attempt_ended("unknown", "action_gone", text)
        )
        return
    within = spec.within if spec is not None else WITHOUT_RULE
    attempt = Attempt(repository, step_context, rule, order.step, action, within)
    try:
        await attempt.outlive(current)
        async with asyncio.timeout(within.total_seconds()):
            outcome = await attempt.carry_out(current)
    except TimeoutError:
        text = f"it did not end within {format_duration(within)}; look at {state.target} by hand"
        outcome = attempt_ended("unknown", "deadline_exceeded", text)
    except ActionEnded as end:
        outcome = end.outcome
    except (Temporary, Permanent, NotOwner, NotOurs):
        raise  # the store's, or another replica's: it is carried on when that is well, or there
    except Exception as error:
        # It would crash again, and again, and hold its target for ever.
        _log.exception("a step crashed", step=order.step)
        text = f"{type(error).__name__}: {error}; look at {state.target} by hand"
        outcome = attempt_ended("unknown", "step_crashed", text)
    await _finish(repository, incident, order.step, outcome)


async def rehearse(
    repository: IncidentRepository,
    incident: str,
    rule: Rule,
    number: int,
    step_context: StepContext,
) -> None:
    """Write down how far a step would have come, for a rule that only observes."""
    current = await repository.load(incident)
    spec = plan_of(current, rule)[number]
    aimed = aim(spec, current.group_labels, step_context.actions)
    if isinstance(aimed, Outlook):
        return
    params = aimed.params.model_dump(mode="json", by_alias=True)
    as_if = replace(current.step(number), action=spec.action, target=aimed.target, params=params)
    imagined = replace(current, steps={**current.steps, number: as_if})
    try:
        async with asyncio.timeout(spec.within.total_seconds()):
            outcome = await Attempt(repository, step_context, rule, number, aimed.action).rehearse(
                imagined
            )
    except TimeoutError:
        outcome = attempt_ended("unknown", "deadline_exceeded", "its preflight did not end in time")
    except ActionEnded as end:
        outcome = end.outcome
    allowed = outcome.result == "done"
    text = f"every condition and every guardrail allows it: {outcome.detail}"
    seen = e.StepObserved(
        step=number,
        action=spec.action,
        target=aimed.target,
        reason="" if allowed else outcome.reason,
        text=text if allowed else outcome.detail,
        rehearsed=True,
    )
    events: list[e.Event] = [seen]
    if outcome.result == "refused" and not is_taken_back(outcome.reason):
        # As in earnest: the next alternative would have been looked at.
        events.append(e.StepSkipped(step=number, reason=outcome.reason, text=outcome.detail))

    def note(now: Incident) -> list[e.Event]:
        over = now.closed is not None or now.recovered_at is not None
        waits = now.step(number).status == "waiting" and not now.step(number).rehearsed
        return events if waits and not over else []

    await repository.record(incident, note)


def start_step(
    incident: Incident, rule: Rule, order: RunStep, step_context: StepContext, now: datetime
) -> StepStart | None:
    """What is written down for a step to begin, and the lock that it takes with it; None if it
    cannot be made concrete for this incident any more."""
    spec = plan_of(incident, rule)[order.step]
    aimed = aim(spec, incident.group_labels, step_context.actions)
    if isinstance(aimed, Outlook):
        return None
    scope = scope_of(incident, rule, step_context.dependencies())
    return StepStart(
        e.StepStarted(
            step=order.step,
            action=spec.action,
            target=aimed.target,
            params=aimed.params.model_dump(mode="json", by_alias=True),
            authority=order.authority,
        ),
        Claim(
            target=aimed.target,
            step=order.step,
            scope=scope,
            limits=step_context.limits,
            lifted=order.lifted,
            closed=step_context.closed(scope.freezes, now),
        ),
    )


async def refuse(
    repository: IncidentRepository, incident: str, step: int, refusal: ClaimRefused
) -> None:
    """Journal why the store gave the lock to nobody; the same reason once."""
    refused = e.StepRefused(step=step, reason=refusal.reason, text=refusal.text)
    await repository.record(
        incident, lambda i: () if i.step(step).refusal == refusal.reason else (refused,)
    )


async def _finish(
    repository: IncidentRepository, incident: str, number: int, outcome: Outcome
) -> None:
    """Journal the outcome and give the lock back, whatever happens to this task meanwhile."""
    _log.info("step finished", **outcome.model_dump())
    await repository.report(incident, e.StepFinished(step=number, outcome=outcome), release=True)
