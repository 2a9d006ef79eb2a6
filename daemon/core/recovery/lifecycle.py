"""The lifecycle of a recovery: observe, try the plan, verify, watch for a relapse.

What is decided here is about the service and the plan; what people need is `decide`'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import (
    Decision,
    MeasureProblem,
    ReadRecovery,
    Rehearse,
    RunStep,
    recording,
)
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.reasons import DiagnosisReason, WithheldReason
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import RecoveryState
from daemon.core.recovery import growth, plan, verification
from daemon.core.recovery.doubts import ASK_AFTER
from daemon.core.recovery.next_step import applies, next_step
from daemon.core.recovery.orders import order_lapses
from daemon.core.recovery.situation import Surroundings
from daemon.core.recovery.step_answers import (
    AskApproval,
    Exhausted,
    Observe,
    Refuse,
    Skip,
    StartStep,
)
from daemon.core.response.paging import direct_page, headline
from daemon.core.response.storm import Storm
from daemon.core.rules.rule import Rule

LOOK_AGAIN = timedelta(seconds=15)
"""How soon a refusal that time or others may lift is looked at again."""
MEASURED_SOON = timedelta(seconds=3)
"""As soon another incident that has just opened may have been measured."""
STORM_READINGS_APART = timedelta(seconds=0.2)
"""So far apart the incidents of a storm are read again while nothing is done about them."""
FRESH = timedelta(seconds=30)
"""The age up to which a measurement may be acted upon; two of the shortest windows if longer."""


def next_action(
    incident: Incident, rule: Rule, surroundings: Surroundings, now: datetime
) -> Decision:
    """What is next for the service, by its rule."""
    if incident.recovered_at is not None:
        return _watch(incident, rule, surroundings, now)
    if incident.running is not None:
        return Decision(effects=(RunStep(incident.running.number),))
    if not plan.looks_at_steps(incident):
        return _verify(incident, rule, surroundings, now)
    has_steps = bool(plan.open_steps(incident, rule))
    if incident.confirmed is None:
        # A person may start a step before anything is confirmed; the daemon never does.
        if has_steps:
            return _recover(incident, rule, surroundings, now)
        return _observe(incident, rule, now)
    if verification.recovered_alone(incident, rule):
        text = "the metrics are well again without any action of ours"
        return recording(e.Recovered(step=0, text=text))
    back = _come_back(incident, rule, surroundings, now)
    if back:
        return back
    if (incident.diagnosis is not None or incident.paused_by) and not has_steps:
        return _reread(incident, rule, surroundings.storm, now)
    return _recover(incident, rule, surroundings, now)


def _observe(incident: Incident, rule: Rule, now: datetime) -> Decision:
    """Nothing is confirmed: measure, again and again, and touch nothing."""
    if incident.problem is None:
        return Decision(effects=(MeasureProblem(),))
    declared = incident.organization.declared is not None  # then a person says that it was nothing
    if not declared and incident.all_resolved and verification.recovered_alone(incident, rule):
        why = incident.problem.reason.replace("_", " ")
        text = f"never confirmed by the metrics ({why}), and every alert is over"
        return recording(e.IncidentClosed(reason="not_confirmed", text=text))
    again = incident.problem.at + verification.pace(rule, incident.opened_at, now)
    due = now >= again or incident.unweighed
    return Decision(effects=(MeasureProblem(),)) if due else Decision(wake_at=again)


def _come_back(
    incident: Incident, rule: Rule, surroundings: Surroundings, now: datetime
) -> Decision:
    """The steps that were passed over for want of evidence, and apply by what is known now."""
    found: list[e.Event] = []
    for number in growth.passed_over(incident, surroundings.limits, now):
        if number not in plan.plan_of(incident, rule):
            continue  # the rule was edited
        view = surroundings.outlook.get(number)
        if view is None:
            # The store was looked at before the suspicion changed: look again, decide anew.
            return Decision(wake_at=now)
        if applies(number, incident, rule, view, surroundings.limits, now):
            text = incident.suspicion.text if incident.suspicion is not None else ""
            found.append(e.StepReopened(step=number, text=text))
    return recording(*found)


def _recover(incident: Incident, rule: Rule, surroundings: Surroundings, now: datetime) -> Decision:
    """A confirmed problem and nothing at work: the next step of the plan."""
    if any(number not in surroundings.outlook for number in plan.open_steps(incident, rule)):
        # The store was looked at before the incident came this far: look again, decide anew.
        return Decision(wake_at=now)
    outlook, approvals, limits = surroundings.outlook, surroundings.approvals, surroundings.limits
    step = next_step(
        incident,
        rule,
        outlook,
        approvals,
        limits,
        now,
        surroundings.dependencies,
        surroundings.withdrawn,
    )
    again = _again(incident, rule, surroundings.storm, now)
    match step:
        case Skip():
            return recording(e.StepSkipped(step=step.step, reason=step.reason, text=step.text))
        case Exhausted():
            return _open_diagnosis(incident, rule)
        case Refuse():
            state = incident.step(step.step)
            if (state.refusal, state.refusal_text) != (step.reason, step.text):
                return recording(e.StepRefused(step=step.step, reason=step.reason, text=step.text))
            soon = step.reason == "concurrent_unmeasured"
            look = Decision(wake_at=now + (MEASURED_SOON if soon else LOOK_AGAIN))
            return again | look | Decision(wake_at=order_lapses(state))
        case AskApproval():
            request = _request_approval(incident, rule, step)
            if request.record:
                return request
            return again | _dry_run(incident, rule, step.step, now)
        case Observe():
            return _observing(incident, rule, surroundings, step, again, now)
        case StartStep():
            return _start(incident, rule, step, again, now)


def _start(
    incident: Incident, rule: Rule, step: StartStep, again: Decision, now: datetime
) -> Decision:
    """Start it, if the latest measurement still shows the problem."""
    taken_back_at = incident.step(step.step).taken_back_at
    if taken_back_at is not None and now < taken_back_at + LOOK_AGAIN:
        return again | Decision(wake_at=taken_back_at + LOOK_AGAIN)
    if not step.ordered:
        if incident.unweighed or not _fresh(incident, rule, now):
            return Decision(effects=(ReadRecovery(0),))
        if incident.evidence is None or incident.evidence[1] != "impaired":
            return _withheld(incident, step, again)
    run = RunStep(step.step, step.authority, step.lifted, step.ordered)
    return Decision(effects=(run,))


def _observing(
    incident: Incident,
    rule: Rule,
    surroundings: Surroundings,
    step: Observe,
    again: Decision,
    now: datetime,
) -> Decision:
    """Write down what would be done; what would be started is rehearsed first, and only once."""
    state = incident.step(step.step)
    if state.rehearsed or state.observed == step.reason:
        return again
    if step.reason:
        return recording(_observed(incident, rule, surroundings, step))
    if not _fresh(incident, rule, now):
        return Decision(effects=(ReadRecovery(0),))
    if incident.evidence is None or incident.evidence[1] != "impaired":
        return again
    return Decision(effects=(Rehearse(step.step),))


def _observed(
    incident: Incident, rule: Rule, surroundings: Surroundings, step: Observe
) -> e.StepObserved:
    return e.StepObserved(
        step=step.step,
        action=plan.plan_of(incident, rule)[step.step].action,
        target=surroundings.outlook[step.step].target,
        reason=step.reason,
        text=step.text,
    )


def _again(incident: Incident, rule: Rule, storm: Storm | None, now: datetime) -> Decision:
    """How the metrics are watched while a step waits."""
    if incident.confirmed is None:
        return _observe(incident, rule, now)
    return _reread(incident, rule, storm, now)


def _withheld(incident: Incident, step: StartStep, again: Decision) -> Decision:
    """The latest measurement does not show the problem any more, so nothing is touched."""
    reason, text = withheld(incident.evidence[1] if incident.evidence else "unreadable")
    if incident.step(step.step).refusal != reason:
        return recording(e.StepRefused(step=step.step, reason=reason, text=text))
    return again


def _verify(incident: Incident, rule: Rule, surroundings: Surroundings, now: datetime) -> Decision:
    step = incident.verifying
    assert step is not None and incident.confirmed is not None  # noqa: S101, PT018 - by next_action
    ordered = [s for s in incident.steps.values() if s.ordered_now and s.status == "waiting"]
    if ordered:
        # What is measured from now on would be the other's doing.
        text = f"not waited for: {ordered[0].approved_by} starts step {ordered[0].number}"
        return recording(e.StepVerified(step=step.number, verdict="inconclusive", text=text))
    ruling = verification.rule_on(rule, incident.confirmed, step, now)
    if ruling.verdict is None:
        if now >= ruling.again_at:
            return Decision(effects=(ReadRecovery(step.number),))
        return Decision(wake_at=ruling.again_at)
    verified = e.StepVerified(step=step.number, verdict=ruling.verdict, text=ruling.text)
    if ruling.verdict == "recovered" or ruling.verdict == "self_recovered":
        credit = step.number if ruling.verdict == "recovered" else 0
        return recording(verified, e.Recovered(step=credit, text=ruling.text))
    if ruling.verdict in ASK_AFTER:
        text = f"{step.action} ended {ruling.verdict}: {ruling.text}"
        call = _call_people(incident, surroundings, "verdict", text, about=str(step.number))
        return recording(verified, *call)
    return recording(verified)


def _watch(incident: Incident, rule: Rule, surroundings: Surroundings, now: datetime) -> Decision:
    """Recovered: watch for a relapse, then close."""
    recovered_at = incident.recovered_at or now
    if incident.impaired_in_a_row >= 2:
        text = "the problem came back while it was being watched"
        relapse = occasion_of(incident, "relapse") + 1
        call = _call_people(incident, surroundings, "relapse", text, occasion=relapse)
        return recording(e.Relapsed(text=text), *call)
    at, state = incident.evidence or (recovered_at, "unreadable")
    ends = recovered_at + rule.verify.watch
    held = verification.healthy_for(incident, rule) >= min(rule.verify.hold, rule.verify.watch)
    if at >= ends and state == "healthy" and held:
        text = "held through the relapse watch"
        return recording(e.IncidentClosed(reason="recovered", text=text))
    fired_at = incident.alerts_changed_at or recovered_at
    # One of the future was told before the clock went back, and says nothing of now.
    if incident.all_resolved or not recovered_at <= fired_at <= now:
        again = at + verification.pace(rule, recovered_at, now)
    else:  # an alert says that it is back: look at once, and often
        again = at if at < fired_at else at + verification.pace(rule, fired_at, now)
    if at < ends < again:
        again = ends
    return Decision(effects=(ReadRecovery(0),)) if now >= again else Decision(wake_at=again)


def _reread(incident: Incident, rule: Rule, storm: Storm | None, now: datetime) -> Decision:
    """Keep an eye on the metrics while people decide; at once if a change was told. Of a storm the
    more rarely, the more of it is open: Prometheus has enough to do."""
    if incident.unweighed:
        return Decision(effects=(ReadRecovery(0),))
    at = incident.evidence[0] if incident.evidence else incident.opened_at
    pace = verification.pace(rule, incident.confirmed_at or incident.opened_at, now)
    if storm is not None:
        pace = max(pace, len(storm.members) * STORM_READINGS_APART)
    again = at + pace
    return Decision(effects=(ReadRecovery(0),)) if now >= again else Decision(wake_at=again)


def _open_diagnosis(incident: Incident, rule: Rule) -> Decision:
    reason: DiagnosisReason
    if rule.recover:
        reason, text = "plan_exhausted", "every alternative was tried or does not apply"
    else:
        reason, text = "no_plan", "the rule has no recovery steps"
    full = f"{headline(incident)} · diagnosis opens: {text}"
    page = direct_page(incident, incident.commander, "diagnosis", full)
    return recording(e.DiagnosisOpened(reason=reason, text=text), *page)


def _request_approval(incident: Incident, rule: Rule, step: AskApproval) -> Decision:
    """Ask for the step once, and page the Commander once, whichever comes first; both anew after
    a relapse, and when an approval that was given counts no more."""
    action = plan.plan_of(incident, rule)[step.step].action
    text = f"step {step.step} ({action}) waits for approval: {step.text}"
    about = f"{step.step}-{step.reason}"
    page = direct_page(incident, incident.commander, "approval", text, about)
    state = incident.step(step.step)
    if state.asking and state.ask_reason == step.reason:
        return recording(*page)
    refused = e.StepRefused(step=step.step, reason=step.reason, text=step.text)
    requested = e.ApprovalRequested(step=step.step, reason=step.reason, text=text)
    return recording(refused, requested, *page)


def _dry_run(incident: Incident, rule: Rule, number: int, now: datetime) -> Decision:
    """Whoever is asked sees what they approve: the step is tried as far as it changes nothing."""
    made = incident.step(number).dry_run
    again = made.due_again(plan.content_of(incident, rule, number)) if made else now
    if made is None or now >= again:
        return Decision(effects=(Rehearse(number, asked=True),))
    return Decision(wake_at=again)


def _call_people(
    incident: Incident,
    surroundings: Surroundings,
    purpose: Purpose,
    text: str,
    *,
    about: str = "",
    occasion: int | None = None,
) -> tuple[e.PageQueued, ...]:
    """Page the Commander and the team's lead about something that needs a person."""
    team = surroundings.roster.teams.get(incident.opened.team)
    lead = team.lead if team is not None else None
    people = dict.fromkeys(filter(None, (incident.commander, lead)))
    full = f"{headline(incident)} · {text}"
    pages = (direct_page(incident, p, purpose, full, about, occasion=occasion) for p in people)
    return tuple(page for each in pages for page in each)


def withheld(state: RecoveryState) -> tuple[WithheldReason, str]:
    """Why nothing is touched while the metrics look like that: the reason, the sentence."""
    if state == "healthy":
        return "metrics_look_healthy", "the latest measurement shows no problem"
    if state == "degraded":
        text = "the latest measurement is not as bad as what confirms a problem, or just ended"
        return "below_threshold", text
    return "no_fresh_data", "the problem cannot be measured at this moment"


def freshness(rule: Rule) -> timedelta:
    """The age up to which a measurement of this rule may be acted upon."""
    return max(FRESH, 2 * rule.problem.windows[0])


def _fresh(incident: Incident, rule: Rule, now: datetime) -> bool:
    return incident.evidence is not None and now - incident.evidence[0] <= freshness(rule)
