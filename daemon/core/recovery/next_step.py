"""The next step of the recovery plan, or the enumerated reason why not.

The order of the questions is the order of their weight: does the step apply to this problem at
all, does anything forbid every action now, does it need a person. What is decided here is checked
once more by the store in the transaction that takes the target's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from daemon.core.incident.reasons import AWAITED, AWAITING_ONSET
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.recovery import doubts
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.growth import awaits_onset
from daemon.core.recovery.guardrails import Limits, hindered
from daemon.core.recovery.orders import order_overtaken, until_it_lapses
from daemon.core.recovery.plan import NO_DEPENDENCIES, Outlook, open_steps, plan_of, scope_of
from daemon.core.recovery.step_answers import (
    AskApproval,
    Exhausted,
    Next,
    Observe,
    Refuse,
    Skip,
    StartStep,
)
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule, StepSpec


def next_step(
    incident: Incident,
    rule: Rule,
    outlook: Mapping[int, Outlook],
    approvals: Approvals,
    limits: Limits,
    now: datetime,
    dependencies: RuleDependencies = NO_DEPENDENCIES,
    withdrawn: str = "",
) -> Next:
    """What to do about the first alternative that is still open. `withdrawn`: why the rule has
    lost its autonomy; empty if it has not."""
    for number, spec in open_steps(incident, rule).items():
        state, view = incident.step(number), outlook[number]
        misfit = _misfit(number, spec, state, incident, view, limits, now)
        if misfit is not None:
            return misfit
        scope = scope_of(incident, rule, dependencies)
        lifted = bool(state.approved_by)
        hindrance = hindered(view.guard, limits, scope, now, lifted=lifted)
        late = order_overtaken(number, state, hindrance, now)
        if late is not None:
            return late
        if hindrance is not None and hindrance.absolute:
            return Refuse(number, hindrance.reason, until_it_lapses(state, hindrance.text))
        if lifted:
            authority = f"{'started' if state.ordered else 'approved'} by {state.approved_by}"
            start = StartStep(number, authority, lifted=True, ordered=state.ordered)
            return doubts.lapsed(number, incident, rule, state, now) or start
        observing = rule.mode == "observe" and state.proposed is None
        answer = (
            doubts.changed_since(number, spec, incident, view)
            or doubts.somebodys_rollback(number, spec, incident)
            or doubts.doubtful(number, spec, incident)
            or doubts.cautious(number, incident)
            or doubts.vague(number, incident, view)
            or doubts.commanders(number, spec, rule)
            or (None if observing else doubts.distrusted(number, rule, withdrawn))
            or (None if observing else doubts.unapproved(number, rule, approvals, now))
            or doubts.aged(number, incident, limits, now)
            or (AskApproval(number, hindrance.reason, hindrance.text) if hindrance else None)
            or doubts.upstream_alerts(number, state, scope, view, now)
        )
        if answer and hindrance and answer.reason != hindrance.reason:
            # Whoever approves lifts it, and so must know of it.
            answer = replace(answer, text=f"{answer.text}; besides, {hindrance.text}")
        if observing:
            text = answer.text if answer else "every condition and every guardrail allows it"
            return Observe(number, answer.reason if answer else "", text)
        if answer and answer.reason in AWAITED:
            return Refuse(number, answer.reason, answer.text)
        return answer or StartStep(number, approvals.state_of(rule, number, now)[1])
    return Exhausted()


def applies(
    number: int, incident: Incident, rule: Rule, view: Outlook, limits: Limits, now: datetime
) -> bool:
    """Whether a step fits this problem by what is known, whatever else forbids it."""
    spec, state = plan_of(incident, rule)[number], incident.step(number)
    return _misfit(number, spec, state, incident, view, limits, now) is None


def _misfit(
    number: int,
    spec: StepSpec,
    state: StepState,
    incident: Incident,
    view: Outlook,
    limits: Limits,
    now: datetime,
) -> Skip | Refuse | None:
    if view.unfit:
        return Skip(number, view.unfit, view.unfit_text)
    if spec.when == "always" or state.approved_by:
        return None
    suspicion = incident.suspicion
    if suspicion is None:
        text = "the rule watches no changes, and none was reported"
        return Skip(number, "no_suspect_change", text)
    if suspicion.verdict == "unseen":
        return Skip(number, "changes_unseen", suspicion.text)
    if suspicion.verdict == "none":
        waiting = awaits_onset(incident, view.target, limits, now)
        if waiting:
            return Refuse(number, AWAITING_ONSET, waiting)
        return Skip(number, "no_suspect_change", suspicion.text)
    if suspicion.verdict == "ambiguous":
        return Skip(number, "ambiguous_suspects", suspicion.text)
    if suspicion.change is None or suspicion.change.aim != view.target:
        return Skip(number, "suspect_is_elsewhere", suspicion.text)
    return None
