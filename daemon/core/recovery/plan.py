"""The recovery plan: the next step, or the enumerated reason why not.

The plan is the rule's alternatives, then what people have proposed meanwhile. The order of the
questions is the order of their weight: does the step apply to this problem at all, does anything
forbid every action now, does it need a person. What is decided here is checked once more by the
store in the transaction that takes the target's lock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.incident.events import Verdict
from daemon.core.incident.reasons import (
    AWAITED,
    AWAITING_ONSET,
    AskReason,
    Hindrance,
    SkipReason,
    UnfitReason,
)
from daemon.core.incident.state import Incident, StepState
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.approved_content import changes_since, changes_text
from daemon.core.recovery.concurrent import cause_of, upstream_of
from daemon.core.recovery.growth import (
    awaits_onset,
    of_unknown_age,
    passed_over,
    trouble_began,
)
from daemon.core.recovery.guardrails import (
    ActionScope,
    Freeze,
    Guard,
    Hindered,
    Limits,
    frozen_text,
    hindered,
    service_of,
)
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.drill_key import drill_of
from daemon.core.values.outcome import MEDDLED
from daemon.core.values.units import clock_time, format_duration

APPROVAL_LASTS = timedelta(minutes=30)
"""For how long a person's approval of a step in an incident counts."""
ORDER_LASTS = timedelta(seconds=20)
"""For how long "start it now" counts while something holds it up, a freeze or the target's lock.
After that the Commander is asked again: a thaw must not set off what was meant for a moment."""
UPSTREAM_AWAITED = timedelta(minutes=3)
"""For so long an incident is waited for where Prometheus has an alert: its `for`, the grouping."""
NO_DEPENDENCIES = RuleDependencies()
"""No rule says what it depends on."""
PROPOSED_FROM = 101
"""The number of the first alternative that people propose; a rule's own never come so far."""

ASK_AFTER: dict[Verdict, AskReason] = {
    "partial": "after_partial",
    "inconclusive": "after_inconclusive",
    "worse": "after_worse",
}
"""The verdicts on a step after which a person decides."""


@dataclass(frozen=True)
class Outlook:
    """What the shell knows of a step: its target with the store's view of it, or why not.

    `live`: the newest item of the suspect's subject, if that is what the step aims at.
    """

    target: str = ""
    unfit: UnfitReason | Literal[""] = ""
    unfit_text: str = ""
    guard: Guard = field(default_factory=Guard)
    live: str = ""


@dataclass(frozen=True)
class StartStep:
    """Start it. `lifted`: a person approved, which lifts all but freezes and the lock.

    `ordered`: a person starts it now, whatever the metrics say.
    """

    step: int
    authority: str
    lifted: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class Skip:
    """It does not apply here; look at the next alternative."""

    step: int
    reason: SkipReason
    text: str


@dataclass(frozen=True)
class Refuse:
    """Not now: frozen or locked, whoever approves; another incident is to be recovered first; or
    the evidence may still grow. It is looked at again."""

    step: int
    reason: Hindrance | Literal["awaiting_onset"]
    text: str


@dataclass(frozen=True)
class AskApproval:
    """It needs the Commander's word."""

    step: int
    reason: AskReason
    text: str


@dataclass(frozen=True)
class Observe:
    """The rule only observes: it would have been started (no reason), or asked for."""

    step: int
    reason: AskReason | Literal[""]
    text: str


@dataclass(frozen=True)
class Exhausted:
    """No alternative is left."""


Next = StartStep | Skip | Refuse | AskApproval | Observe | Exhausted


def plan_of(incident: Incident, rule: Rule) -> dict[int, StepSpec]:
    """All alternatives by their number: the rule's, then those that people proposed."""
    proposed = {n: s.proposed for n, s in sorted(incident.steps.items()) if s.proposed is not None}
    return {**dict(enumerate(rule.recover, 1)), **proposed}


def content_of(incident: Incident, rule: Rule, number: int) -> str:
    """What a person's approval of a step is bound to. Raises KeyError if there is no such step."""
    return rule.content_of(plan_of(incident, rule)[number])


def approval_voided(incident: Incident, rule: Rule, number: int) -> str:
    """Why a person's approval of a step in this incident does not hold for the step as it stands
    now, naming what was edited; empty if it holds. Raises KeyError if there is no such step."""
    state, spec = incident.step(number), plan_of(incident, rule)[number]
    if state.approved_content in rule.contents_of(spec):
        return ""
    text = f"the rule was edited after {state.approved_by} approved the step"
    changes = changes_since(state.approved_saw, rule, spec) if state.approved_saw else []
    return f"{text}: {changes_text(changes)}" if changes else text


def open_steps(incident: Incident, rule: Rule) -> dict[int, StepSpec]:
    """The alternatives that may still be tried, in the order in which they are looked at.

    What a person starts now comes first, and goes on through a pause. While nothing is
    confirmed, and once diagnosis is open, only what people asked for is left.
    """
    plan = plan_of(incident, rule)
    waiting = {n: s for n, s in plan.items() if incident.step(n).status == "waiting"}
    ordered = {n: s for n, s in waiting.items() if incident.step(n).ordered_now}
    if incident.paused_by or incident.confirmed is None:
        return ordered
    if incident.diagnosis is not None:
        waiting = {n: s for n, s in waiting.items() if _asked_for(incident.step(n))}
    return {**ordered, **waiting}


def _asked_for(state: StepState) -> bool:
    """By people, or by evidence that came after diagnosis was opened."""
    return bool(state.approved_by) or state.proposed is not None or state.reopened


def viewed_steps(
    incident: Incident, rule: Rule, limits: Limits, now: datetime
) -> dict[int, StepSpec]:
    """The steps whose outlook a decision needs: the open ones, and those that may come back."""
    plan = plan_of(incident, rule)
    back = {n: plan[n] for n in passed_over(incident, limits, now) if n in plan}
    return {**open_steps(incident, rule), **back}


def applies(
    number: int, incident: Incident, rule: Rule, view: Outlook, limits: Limits, now: datetime
) -> bool:
    """Whether a step fits this problem by what is known, whatever else forbids it."""
    spec, state = plan_of(incident, rule)[number], incident.step(number)
    return _misfit(number, spec, state, incident, view, limits, now) is None


def scope_of(
    incident: Incident, rule: Rule, dependencies: RuleDependencies | None = None
) -> ActionScope:
    """What the incident's actions belong to. Without the `dependencies` of the rules in force
    nothing is known of its cause."""
    try:
        domain = str(render_params(rule.domain, incident.group_labels))
    except UnsafeLabel:
        domain = json.dumps(sorted(incident.group_labels.items()))  # a domain of its own
    cause = cause_of(incident, rule, dependencies) if dependencies is not None else None
    service, drill = service_of(incident.key), drill_of(incident.key)
    return ActionScope(rule.rule, incident.opened.team, service, domain, cause, drill)


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
        late = _overtaken(number, state, hindrance, now)
        if late is not None:
            return late
        if hindrance is not None and hindrance.absolute:
            return Refuse(number, hindrance.reason, _until_it_lapses(state, hindrance.text))
        if lifted:
            authority = f"{'started' if state.ordered else 'approved'} by {state.approved_by}"
            start = StartStep(number, authority, lifted=True, ordered=state.ordered)
            return _lapsed(number, incident, rule, state, now) or start
        observing = rule.mode == "observe" and state.proposed is None
        answer = (
            _changed_since(number, spec, incident, view)
            or _somebodys_rollback(number, spec, incident)
            or _doubtful(number, spec, incident)
            or _cautious(number, incident)
            or _vague(number, incident, view)
            or _commanders(number, spec, rule)
            or (None if observing else _distrusted(number, rule, withdrawn))
            or (None if observing else _unapproved(number, rule, approvals, now))
            or _aged(number, incident, limits, now)
            or (AskApproval(number, hindrance.reason, hindrance.text) if hindrance else None)
            or _upstream_alerts(number, state, scope, view, now)
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


def _changed_since(
    number: int, spec: StepSpec, incident: Incident, view: Outlook
) -> AskApproval | None:
    """The suspect must still be what is live: people may have deployed a mend meanwhile."""
    suspect = incident.suspicion.change if incident.suspicion else None
    if spec.when != "suspect_change" or suspect is None or suspect.aim != view.target:
        return None
    if view.live in {"", suspect.item}:
        return None
    text = f"{suspect.item} was the suspect, but {view.live} is live now; a person decides"
    return AskApproval(number, "changed_since", text)


def _somebodys_rollback(number: int, spec: StepSpec, incident: Incident) -> AskApproval | None:
    """Whoever went back had a reason that the metrics may not show: never the undo of an undo."""
    suspicion = incident.suspicion
    if spec.when != "suspect_change" or suspicion is None or not suspicion.returned:
        return None
    item = suspicion.change.item if suspicion.change else ""
    text = f"{item} had been live before, so the suspect is itself a rollback; a person decides"
    return AskApproval(number, "suspect_is_a_rollback", text)


def _doubtful(number: int, spec: StepSpec, incident: Incident) -> AskApproval | None:
    """One change fits, but what is known does not convict it."""
    suspicion = incident.suspicion
    if spec.when != "suspect_change" or suspicion is None or not suspicion.doubt:
        return None
    return AskApproval(number, suspicion.doubt, f"{suspicion.text}; a person decides")


def _commanders(number: int, spec: StepSpec, rule: Rule) -> AskApproval | None:
    if spec.approval == "commander":
        text = "it was proposed" if number >= PROPOSED_FROM else "the rule leaves this step to you"
        return AskApproval(number, "commander_decides", f"{text}; the Commander decides")
    if rule.mode == "approve":
        return AskApproval(
            number, "mode_approve", "the rule is in the mode `approve`: each step is asked"
        )
    return None


def _distrusted(number: int, rule: Rule, withdrawn: str) -> AskApproval | None:
    """A rule whose own decisions went wrong acts by a person's word alone."""
    if not withdrawn:
        return None
    text = f"the rule has lost its autonomy: {withdrawn}; the Commander decides"
    return AskApproval(
        number, "autonomy_withdrawn", f"{text}. `stopgap trust {rule.rule} WHY` gives it back"
    )


def _unapproved(number: int, rule: Rule, approvals: Approvals, now: datetime) -> AskApproval | None:
    approval_state, text = approvals.state_of(rule, number, now)
    return None if approval_state == "valid" else AskApproval(number, approval_state, text)


def _lapsed(
    number: int, incident: Incident, rule: Rule, state: StepState, now: datetime
) -> AskApproval | None:
    """A person's approval counts for what they saw, and for a while only."""
    if changed := approval_voided(incident, rule, number):
        return AskApproval(number, "approval_void", changed)
    if state.approved_at is None or now - state.approved_at > APPROVAL_LASTS:
        text = f"{state.approved_by} approved it over {format_duration(APPROVAL_LASTS)} ago"
        return AskApproval(number, "approval_lapsed", text)
    return None


def order_lapses(state: StepState) -> datetime | None:
    """Until when "start it now" counts; None if nobody has said so."""
    if not state.ordered_now or state.approved_at is None:
        return None
    return state.approved_at + ORDER_LASTS


def _overtaken(
    number: int, state: StepState, hindrance: Hindered | None, now: datetime
) -> AskApproval | None:
    """What a person wanted to start at once, and could not be: they are asked whether they still
    do."""
    if not state.ordered or state.approved_at is None or now < state.approved_at + ORDER_LASTS:
        return None
    text = (
        f"{state.approved_by} started it at {clock_time(state.approved_at)}, and it was held up "
        f"for over {format_duration(ORDER_LASTS)}; start it again if that is still right"
    )
    # The same sentence before and after what held it up is gone: it is one question.
    if state.asking and state.ask_reason == "order_lapsed":
        return AskApproval(number, "order_lapsed", state.refusal_text)
    besides = f" ({hindrance.text})" if hindrance is not None and hindrance.absolute else ""
    return AskApproval(number, "order_lapsed", f"{text}{besides}")


def held_up(state: StepState, freezes: Sequence[Freeze]) -> str:
    """Why a step that a person approved or started waits all the same, and until when what they
    said counts; empty if no freeze holds it up. `freezes`: those in force that concern it."""
    if not freezes or not state.approved_by or state.asking or state.status != "waiting":
        return ""
    return _until_it_lapses(state, frozen_text(freezes[0]))


def _until_it_lapses(state: StepState, hindrance: str) -> str:
    """What holds up a step; of one that a person starts now, also until when that counts."""
    lapses = order_lapses(state)
    if lapses is None:
        return hindrance
    return f"{hindrance}; the order lapses at {clock_time(lapses)} unless it can start before"


def _cautious(number: int, incident: Incident) -> AskApproval | None:
    """What has happened in this incident that makes a person decide, from now on."""
    if incident.relapses:
        return AskApproval(number, "relapsed", "it came back after a recovery; a person decides")
    verdict = incident.last_verdict
    after = ASK_AFTER.get(verdict) if verdict is not None else None
    if after is not None:
        return AskApproval(number, after, f"the step before ended {verdict}; a person decides")
    outcomes = [step.outcome for step in incident.steps.values() if step.outcome is not None]
    if any(outcome.reason in MEDDLED for outcome in outcomes):
        text = "somebody else is changing the target just now; a person decides"
        return AskApproval(number, "changed_meanwhile", text)
    if any(step.ask_reason == "storm" for step in incident.steps.values()):
        # The others grow old, and the storm is still what this incident began in.
        return AskApproval(number, "storm", "it began in a storm of alerts; a person decides")
    if incident.step(number).taken_back == "storm":
        return AskApproval(number, "storm", "others began to alert just then; a person decides")
    if incident.step(number).taken_back == "monitoring_outage":
        text = "the monitoring was not to be believed when it should have started"
        return AskApproval(number, "monitoring_outage", f"{text}; a person decides")
    if incident.suspicion is not None and incident.suspicion.shared:
        return AskApproval(number, "shared_cause", f"{incident.suspicion.text}; a person decides")
    return None


def _upstream_alerts(
    number: int, state: StepState, scope: ActionScope, view: Outlook, now: datetime
) -> AskApproval | None:
    """What Prometheus alone knew of at the last look has no incident yet: it is waited for."""
    if state.taken_back != "upstream_alerting" or state.taken_back_at is None:
        return None
    if scope.cause and upstream_of(scope.cause, view.guard.concurrent):
        return None  # its incident is there, and was no reason to wait
    at = clock_time(state.taken_back_at)
    alerts = f"what this rule depends on began to alert in Prometheus before {at}"
    if now < state.taken_back_at + UPSTREAM_AWAITED:
        return AskApproval(number, "upstream_first", f"{alerts}; its incident is waited for")
    text = f"{alerts}, and no incident came of it; a person decides"
    return AskApproval(number, "upstream_unresolved", text)


def _vague(number: int, incident: Incident, view: Outlook) -> AskApproval | None:
    """What may still be at work on the target must not be joined by something else."""
    for step in incident.steps.values():
        if step.target == view.target and step.outcome and step.outcome.result == "unknown":
            text = (
                f"nobody knows whether step {step.number} is still at work on {step.target} "
                f"({step.outcome.reason}); a person decides"
            )
            return AskApproval(number, "after_unknown", text)
    return None


def _aged(number: int, incident: Incident, limits: Limits, now: datetime) -> AskApproval | None:
    """Nothing starts by itself for trouble that nobody met for long."""
    # What maintenance held counts from when it was released: nobody was to meet it before.
    since = incident.organization.released_at
    began, seen = trouble_began(incident), of_unknown_age(incident)
    if seen is not None and since is None:
        text = (
            f"the threshold was passed already at {clock_time(seen)}, as far back as can be seen, "
            "and nobody knows since when; a person decides"
        )
        return AskApproval(number, "too_old", text)
    age = now - (began if since is None else max(began, since))
    if age > limits.onset_age:
        text = (
            f"the trouble began {format_duration(timedelta(seconds=round(age.total_seconds())))} "
            f"ago, over {format_duration(limits.onset_age)}; a person decides"
        )
        return AskApproval(number, "too_old", text)
    return None
