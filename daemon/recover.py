"""One step of the plan: intent → preflight → run → outcome, each journaled as it comes.

A crash at any point is answered by looking at the world, never by doing it blindly again: an
intent without a prepared step changed nothing; a prepared one is checked by its action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from daemon.casebook import Casebook
from daemon.core import events as e
from daemon.core.decide import freshness
from daemon.core.effects import RunStep
from daemon.core.incident import Incident
from daemon.core.outcome import Outcome, Permanent, Temporary
from daemon.core.plan import Outlook
from daemon.core.ports import Action, ActionContext, Claim, ClaimRefused, Limits, Refused
from daemon.core.rules import Rule, StepSpec
from daemon.core.suspects import last_healthy
from daemon.core.templates import UnsafeLabel, render_params
from daemon.core.units import format_duration

log = structlog.get_logger()

T = TypeVar("T")

Actions = Mapping[str, Action]
WITHOUT_RULE = timedelta(minutes=10)
"""How long a step may go on whose rule was removed while it ran."""


@dataclass(frozen=True)
class Aim:
    """A step made concrete for one incident."""

    action: Action
    params: Any
    target: str


def aim(spec: StepSpec, labels: Mapping[str, str], actions: Actions) -> Aim | Outlook:
    """The step with this incident's labels filled in, or an Outlook that says what is unfit."""
    action = actions.get(spec.action)
    if action is None:
        return Outlook(unfit="unknown_action", unfit_text=f"there is no action {spec.action!r}")
    try:
        params = action.Params.model_validate(render_params(dict(spec.params), labels))
    except UnsafeLabel as error:
        return Outlook(unfit="unsafe_label", unfit_text=str(error))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Outlook(unfit="bad_parameters", unfit_text=f"{place}: {first['msg']}")
    refused = action.allowed(params)
    if refused is not None:
        return Outlook(unfit="not_allowed", unfit_text=refused)
    target = action.target(params)
    if not target.strip() or "*" in target:
        text = f"{target!r} is no single target; an empty or wildcard target is never acted on"
        return Outlook(unfit="no_single_target", unfit_text=text)
    return Aim(action, params, target)


async def outlook(
    book: Casebook, rule: Rule, incident: Incident, actions: Actions, limits: Limits
) -> dict[int, Outlook]:
    """What stands in the way of each step, as the store sees it now."""
    views = {}
    for number, spec in enumerate(rule.recover, 1):
        aimed = aim(spec, incident.group_labels, actions)
        if isinstance(aimed, Outlook):
            views[number] = aimed
            continue
        guard = await book.journal.guard(
            aimed.target, incident.id, book.clock(), limits.budget_window
        )
        history = await book.journal.changes(aimed.target)
        live = history[-1].item if history else ""
        views[number] = Outlook(target=aimed.target, guard=guard, live=live)
    return views


async def run_step(
    book: Casebook,
    incident: str,
    rule: Rule | None,
    order: RunStep,
    actions: Actions,
    limits: Limits,
) -> None:
    """Carry one step through to its outcome. Cancelled, it leaves what a restart understands."""
    current = await book.load(incident)
    state = current.step(order.step)
    if state.status == "waiting":
        if rule is None or not await _take(book, current, rule, order, actions, limits):
            return
        current = await book.load(incident)
        state = current.step(order.step)
    spec = rule.step(order.step) if rule and order.step <= len(rule.recover) else None
    action = actions.get(state.action)
    if action is None:
        text = f"the action {state.action!r} is no longer there; look at the target by hand"
        await _finish(book, incident, order.step, _unknown("action_gone", text))
        return
    within = spec.within if spec is not None else WITHOUT_RULE
    try:
        async with asyncio.timeout(within.total_seconds()):
            outcome = await _act(book, current, order.step, action, rule)
    except TimeoutError:
        text = f"it did not end within {format_duration(within)}; look at {state.target} by hand"
        outcome = Outcome(result="unknown", reason="deadline_exceeded", detail=text)
    except _Ended as ended:
        outcome = ended.outcome
    await _finish(book, incident, order.step, outcome)


async def _take(
    book: Casebook, incident: Incident, rule: Rule, order: RunStep, actions: Actions, limits: Limits
) -> bool:
    """Journal the intent and take the target's lock, in one transaction."""
    spec = rule.step(order.step)
    aimed = aim(spec, incident.group_labels, actions)
    if isinstance(aimed, Outlook):
        return False
    started = e.StepStarted(
        step=order.step,
        action=spec.action,
        target=aimed.target,
        params=aimed.params.model_dump(mode="json", by_alias=True),
        authority=order.authority,
    )
    claimed = Claim(
        target=aimed.target,
        step=order.step,
        limits=replace(limits, lifted=order.lifted),
    )

    def start(now: Incident) -> tuple[e.Event, ...]:
        free = now.step(order.step).status == "waiting" and not now.paused_by
        return (started,) if free and now.running is None and now.recovered_at is None else ()

    try:
        after = await book.record(incident.id, start, claim=claimed)
    except ClaimRefused as refusal:
        text, reason = refusal.text, refusal.reason
        refused = e.StepRefused(step=order.step, reason=reason, text=text)
        await book.record(
            incident.id, lambda i: () if i.step(order.step).refusal == reason else (refused,)
        )
        return False
    return after.step(order.step).status == "running"


class _Ended(Exception):
    """The action itself came to an end; what the store raises is something else."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


async def _asked(answer: Awaitable[T], action: str) -> T:
    """Ask other people's code. Raises _Ended whatever way it fails."""
    try:
        return await answer
    except (Temporary, Permanent) as error:
        text = str(error)
        raise _Ended(Outcome(result="failed", reason="action_failed", detail=text)) from error
    except TimeoutError as error:
        raise _Ended(_unknown("action_timed_out", f"{action}: {error}")) from error
    except Exception as error:
        log.exception("an action crashed", action=action)
        raise _Ended(_unknown("action_crashed", f"{type(error).__name__}: {error}")) from error


async def _act(
    book: Casebook, incident: Incident, number: int, action: Action, rule: Rule | None
) -> Outcome:
    state = incident.step(number)
    params = action.Params.model_validate(dict(state.params))
    context = await _context(book, incident, number)
    if state.intent is None:
        ready = await _asked(action.preflight(params, context), state.action)
        if isinstance(ready, Refused):
            return Outcome(result="refused", reason=ready.reason, detail=ready.text)
        intent = dict(ready.intent)
        stopped = await _stopped(book, incident.id)
        if stopped is not None:
            return stopped
        prepared = e.StepPrepared(step=number, summary=ready.summary, intent=intent)
        after = await book.record(incident.id, lambda i: () if i.paused_by else (prepared,))
        if after.step(number).intent is None:
            return _paused(after)
    else:
        intent = dict(state.intent)
        landed = await _asked(action.check(params, intent, context), state.action)
        if landed == "done":
            return Outcome(result="done", reason="found_done", detail="done before the restart")
        if landed == "unknown":
            text = "the daemon stopped while it ran, and nobody can tell whether it happened"
            return _unknown("interrupted", text)
        # What is half done is better ended than left; what has not begun is asked anew.
        if landed == "not_done":
            stopped = await _stopped(book, incident.id) or _stale(book, incident, number, rule)
            if stopped is not None:
                return stopped
        await context.progress("carried on after a restart")
    return await _asked(action.run(params, intent, context), state.action)


async def _stopped(book: Casebook, incident: str) -> Outcome | None:
    """Whether a person has stopped it by now, at the last moment before the world changes."""
    current = await book.load(incident)
    if current.paused_by:
        return _paused(current)
    freeze = await book.journal.frozen(book.clock())
    if freeze is None:
        return None
    text = f"frozen by {freeze.by} before anything was changed: {freeze.reason}"
    return Outcome(result="refused", reason="frozen", detail=text)


def _paused(incident: Incident) -> Outcome:
    text = f"paused by {incident.paused_by} before anything was changed"
    return Outcome(result="refused", reason="paused", detail=text)


def _stale(book: Casebook, incident: Incident, number: int, rule: Rule | None) -> Outcome | None:
    """An intent that is older than a measurement may be: what it rests on must be measured anew."""
    started = incident.step(number).started_at or incident.opened_at
    age = book.clock() - started
    if rule is not None and age <= freshness(rule):
        return None
    shown = format_duration(timedelta(seconds=round(age.total_seconds())))
    text = f"prepared {shown} ago and never begun; the problem is measured again first"
    return Outcome(result="refused", reason="stale_intent", detail=text)


async def _context(book: Casebook, incident: Incident, number: int) -> ActionContext:
    target = incident.step(number).target
    history = await book.journal.changes(target)
    marks = await book.journal.marks(target)
    problem = incident.confirmed
    healthy = None
    if problem is not None and problem.baseline_from and problem.baseline_until:
        healthy = (problem.baseline_from, problem.baseline_until)

    async def progress(text: str) -> None:
        event = e.StepProgressed(step=number, text=text)
        try:
            await book.record(incident.id, lambda _: (event,))
        except Temporary as error:
            # A half-done action is worse than a timeline without this line.
            log.warning("progress not journaled", incident=incident.id, text=text, error=str(error))

    return ActionContext(
        token=f"{incident.id}/{number}",
        now=book.clock(),
        choose=lambda current: last_healthy(current, history, marks, healthy),
        progress=progress,
        expected=_expected(incident, number),
    )


def _expected(incident: Incident, number: int) -> str:
    """The item that the step is to undo: the suspect, if it is one of this very target."""
    suspect = incident.suspicion.change if incident.suspicion else None
    step = incident.step(number)
    if suspect is None or suspect.subject != step.target or step.approved_by:
        return ""
    return suspect.item


async def _finish(book: Casebook, incident: str, number: int, outcome: Outcome) -> None:
    """Journal the outcome and give the lock back, whatever happens to this task meanwhile."""
    finished = e.StepFinished(step=number, outcome=outcome)

    def end(now: Incident) -> tuple[e.Event, ...]:
        return (finished,) if now.step(number).status == "running" else ()

    log.info("step finished", incident=incident, step=number, **outcome.model_dump())
    writing = asyncio.create_task(book.record(incident, end, release=True))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await writing
        raise


def _unknown(reason: str, detail: str) -> Outcome:
    return Outcome(result="unknown", reason=reason, detail=detail)
