"""(incident, rule, surroundings, now) → Decision: what to write down, what to do, when to look
again. Pure, so every decision can be replayed.

Where a decision records facts, it is then made anew on what they changed. Effects are idempotent
requests: `conduct` starts those that are not under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core import events as e
from daemon.core import plan, recovery
from daemon.core.approvals import Approvals
from daemon.core.cadence import talk
from daemon.core.clock import overdue
from daemon.core.effects import (
    Effect,
    Listen,
    Measure,
    ReadRecovery,
    RunStep,
    SendPage,
    WriteReview,
)
from daemon.core.escalation import (
    Due,
    engagements_due,
    facts,
    pages_due,
    pending,
    summons,
    tried_again,
)
from daemon.core.incident import Incident
from daemon.core.ports import Limits
from daemon.core.roster import Roster
from daemon.core.rules import Rule
from daemon.core.settling import settling
from daemon.core.staffing import staffing

LOOK_AGAIN = timedelta(seconds=15)
"""How soon a refusal that time or others may lift is looked at again."""
FRESH = timedelta(seconds=30)
"""The age up to which a measurement may be acted upon; two of the shortest windows if longer."""
LISTEN_EVERY = timedelta(minutes=5)
"""How often the rule's sentiment queries are asked while an incident is open."""
UNRULED_HOLD = timedelta(minutes=15)
"""How long all alerts must be resolved before an incident without a rule is closed."""


@dataclass(frozen=True)
class Decision:
    """Facts to append, effects to start, and when to decide again if nothing happens."""

    record: tuple[e.Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    wake_at: datetime | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a decision needs beyond the incident: the roster, the approvals, the store's view."""

    roster: Roster
    approvals: Approvals
    limits: Limits
    outlook: Mapping[int, plan.Outlook] = field(default_factory=dict)


def decide(incident: Incident, rule: Rule | None, around: Surroundings, now: datetime) -> Decision:
    """Decide. `rule` is None when no rule matched, or when its rule is no longer there."""
    if incident.closed is not None:
        return _aftermath(incident, rule, around, now)
    course = _unruled(incident, now) if rule is None else _course(incident, rule, around, now)
    calls = _calls_due(incident, around.roster, now)
    if calls.pages:
        # Neither waits for the other: measuring starts while the pages are written down.
        return Decision(record=calls.pages, effects=course.effects)
    if course.record:
        return course
    people = _people(incident, rule, around, now)
    if people.record:
        return Decision(people.record, course.effects + people.effects)
    pages = tuple(SendPage(page.queued.page) for page in pending(incident))
    wake_at = _earliest(calls.again_at, course.wake_at, people.wake_at)
    return Decision((), pages + course.effects + people.effects, wake_at)


def _calls_due(incident: Incident, roster: Roster, now: datetime) -> Due:
    """Every page that is due: of the escalation, to expert teams, and those that failed."""
    due = pages_due(incident, roster, now) | engagements_due(incident, roster, now)
    return due | tried_again(incident, now) | Due(_refired(incident))


def _people(incident: Incident, rule: Rule | None, around: Surroundings, now: datetime) -> Decision:
    """What people need besides the calls: roles, the clock, updates, their pagers told."""
    roster = around.roster
    staffed = staffing(incident, roster, now)
    if staffed.record:
        return Decision(record=staffed.record)
    missed, next_item = overdue(incident, roster, now)
    if missed:
        return Decision(record=missed)
    told = talk(incident, roster, rule.description if rule else "", now)
    settled = settling(incident, now)
    effects: tuple[Effect, ...] = (*told.effects, *settled.effects)
    listen_at = _listening(incident, rule)
    if listen_at is not None and now >= listen_at:
        effects = (*effects, Listen())
        listen_at = None
    wake_at = _earliest(staffed.again_at, next_item, told.again_at, settled.again_at, listen_at)
    return Decision(told.record, effects, wake_at)


def _aftermath(
    incident: Incident, rule: Rule | None, around: Surroundings, now: datetime
) -> Decision:
    """It is over: the review, the last word to those who were told, quiet for the pagers."""
    told = talk(incident, around.roster, rule.description if rule else "", now)
    if told.record:
        return Decision(record=told.record)
    settled = settling(incident, now)
    review = () if incident.review else (WriteReview(),)
    effects = (*review, *told.effects, *settled.effects)
    return Decision((), effects, _earliest(told.again_at, settled.again_at))


def _listening(incident: Incident, rule: Rule | None) -> datetime | None:
    """When to ask the rule's sentiment queries again."""
    if rule is None or not rule.problem.sentiment or incident.confirmed is None:
        return None
    heard = [incident.sentiment_measured_at, incident.confirmed_at]
    return max(at for at in heard if at is not None) + LISTEN_EVERY


def _refired(incident: Incident) -> tuple[e.PageQueued, ...]:
    """It was over for Alertmanager and fires again: whoever commands must hear of it."""
    if not incident.refired:
        return ()
    text = f"fires again after it was resolved · {facts(incident)}"
    return summons(incident, incident.commander, f"refired-{incident.refired}", text)


def _unruled(incident: Incident, now: datetime) -> Decision:
    """Without a rule Alertmanager's word is all there is; it is believed slowly."""
    if incident.running is not None:
        return Decision(effects=(RunStep(incident.running.number),))
    if not incident.all_resolved or incident.alerts_changed_at is None:
        return Decision()
    ends = incident.alerts_changed_at + UNRULED_HOLD
    if now < ends:
        return Decision(wake_at=ends)
    text = "every alert was resolved; no metric was measured, for no rule matches these alerts"
    return Decision(record=(e.IncidentClosed(reason="alerts_resolved", text=text),))


def _course(incident: Incident, rule: Rule, around: Surroundings, now: datetime) -> Decision:
    if incident.recovered_at is not None:
        return _watch(incident, rule, around, now)
    if incident.running is not None:
        return Decision(effects=(RunStep(incident.running.number),))
    if incident.confirmed is None:
        return _observe(incident, rule, now)
    if incident.verifying is not None:
        return _verify(incident, rule, around, now)
    if recovery.recovered_alone(incident, rule):
        text = "the metrics are back near the baseline without any action of ours"
        return Decision(record=(e.Recovered(step=0, text=text),))
    if incident.diagnosis is not None or incident.paused_by:
        return _reread(incident, rule, now)
    return _recover(incident, rule, around, now)


def _observe(incident: Incident, rule: Rule, now: datetime) -> Decision:
    """Nothing is confirmed: measure, again and again, and touch nothing."""
    if incident.problem is None:
        return Decision(effects=(Measure(),))
    if incident.all_resolved and recovery.recovered_alone(incident, rule):
        text = (
            f"never confirmed by the metrics ({incident.problem.reason}), and every alert is over"
        )
        return Decision(record=(e.IncidentClosed(reason="not_confirmed", text=text),))
    again = incident.problem.at + recovery.pace(rule, incident.opened_at, now)
    return Decision(effects=(Measure(),)) if now >= again else Decision(wake_at=again)


def _recover(incident: Incident, rule: Rule, around: Surroundings, now: datetime) -> Decision:
    """A confirmed problem and nothing at work: the next step of the plan."""
    numbers = range(1, len(rule.recover) + 1)
    if any(n not in around.outlook and incident.step(n).status == "waiting" for n in numbers):
        # The store was looked at before the incident came this far: look again, decide anew.
        return Decision(wake_at=now)
    step = plan.next_step(incident, rule, around.outlook, around.approvals, around.limits, now)
    again = _reread(incident, rule, now)
    match step:
        case plan.Skip():
            return _once(e.StepSkipped(step=step.step, reason=step.reason, text=step.text))
        case plan.Exhausted():
            return Decision(record=_diagnosis(incident, rule))
        case plan.Refuse():
            if incident.step(step.step).refusal != step.reason:
                return _once(e.StepRefused(step=step.step, reason=step.reason, text=step.text))
            return Decision((), again.effects, _earliest(again.wake_at, now + LOOK_AGAIN))
        case plan.Ask():
            asked = incident.step(step.step).asked == step.reason
            told = _request(incident, rule, step, asked=asked)
            return Decision(record=told) if told else again
        case plan.Start():
            if not _fresh(incident, rule, now):
                return Decision(effects=(ReadRecovery(0),))
            if incident.evidence is None or incident.evidence[1] != "impaired":
                return _withheld(incident, step, again)
            return Decision(effects=(RunStep(step.step, step.authority, step.lifted),))


def _withheld(incident: Incident, step: plan.Start, again: Decision) -> Decision:
    """The latest measurement does not show the problem any more, so nothing is touched."""
    state = incident.evidence[1] if incident.evidence else "unreadable"
    if state == "healthy":
        reason, text = "metrics_look_healthy", "the latest measurement is near the baseline"
    elif state == "degraded":
        reason = "below_threshold"
        text = "the latest measurement is not as bad as what confirms a problem"
    else:
        reason, text = "no_fresh_data", "the problem cannot be measured at this moment"
    if incident.step(step.step).refusal != reason:
        return _once(e.StepRefused(step=step.step, reason=reason, text=text))
    return again


def _verify(incident: Incident, rule: Rule, around: Surroundings, now: datetime) -> Decision:
    step = incident.verifying
    assert step is not None and incident.confirmed is not None  # noqa: S101, PT018 - by _course
    ruling = recovery.rule_on(rule, incident.confirmed, step, now)
    if ruling.verdict is None:
        if now >= ruling.again_at:
            return Decision(effects=(ReadRecovery(step.number),))
        return Decision(wake_at=ruling.again_at)
    verified = e.StepVerified(step=step.number, verdict=ruling.verdict, text=ruling.text)
    if ruling.verdict in {"recovered", "self_recovered"}:
        credit = step.number if ruling.verdict == "recovered" else 0
        return Decision(record=(verified, e.Recovered(step=credit, text=ruling.text)))
    if ruling.verdict in {"partial", "inconclusive"}:
        text = f"{step.action} ended {ruling.verdict}: {ruling.text}"
        call = _call_people(incident, around, f"{ruling.verdict}-{step.number}", text)
        return Decision(record=(verified, *call))
    return Decision(record=(verified,))


def _watch(incident: Incident, rule: Rule, around: Surroundings, now: datetime) -> Decision:
    """Recovered: watch for a relapse, then close."""
    recovered_at = incident.recovered_at or now
    if incident.impaired_in_a_row >= 2:
        text = "the problem came back while it was being watched"
        call = _call_people(incident, around, f"relapse-{incident.relapses + 1}", text)
        return Decision(record=(e.Relapsed(text=text), *call))
    at, state = incident.evidence or (recovered_at, "unreadable")
    ends = recovered_at + rule.verify.watch
    held = recovery.healthy_for(incident, rule) >= min(rule.verify.hold, rule.verify.watch)
    if at >= ends and state == "healthy" and held:
        text = "held through the relapse watch"
        return Decision(record=(e.IncidentClosed(reason="recovered", text=text),))
    again = at + recovery.pace(rule, recovered_at, now)
    if at < ends < again:
        again = ends
    return Decision(effects=(ReadRecovery(0),)) if now >= again else Decision(wake_at=again)


def _reread(incident: Incident, rule: Rule, now: datetime) -> Decision:
    """Keep an eye on the metrics while people decide."""
    at = incident.evidence[0] if incident.evidence else incident.opened_at
    again = at + recovery.pace(rule, incident.confirmed_at or incident.opened_at, now)
    return Decision(effects=(ReadRecovery(0),)) if now >= again else Decision(wake_at=again)


def _diagnosis(incident: Incident, rule: Rule) -> tuple[e.Event, ...]:
    if rule.recover:
        reason, text = "plan_exhausted", "every alternative was tried or does not apply"
    else:
        reason, text = "no_plan", "the rule has no recovery steps"
    call = summons(
        incident,
        incident.commander,
        f"diagnosis-{incident.relapses}",
        f"{facts(incident)} · diagnosis opens: {text}",
    )
    return (e.DiagnosisOpened(reason=reason, text=text), *call)


def _request(incident: Incident, rule: Rule, step: plan.Ask, *, asked: bool) -> tuple[e.Event, ...]:
    """Ask for the step once, and call the Commander once, whichever comes first."""
    action = rule.step(step.step).action
    text = f"step {step.step} ({action}) waits for approval: {step.text}"
    call = summons(incident, incident.commander, f"approval-{step.step}-{step.reason}", text)
    if asked:
        return call
    refused = e.StepRefused(step=step.step, reason=step.reason, text=step.text)
    return (refused, e.ApprovalRequested(step=step.step, reason=step.reason, text=text), *call)


def _call_people(
    incident: Incident, around: Surroundings, reason: str, text: str
) -> Sequence[e.Event]:
    """Page the Commander and the team's lead about something that needs a person."""
    team = around.roster.teams.get(incident.opened.team)
    lead = team.lead if team is not None else None
    people = dict.fromkeys(filter(None, (incident.commander, lead)))
    full = f"{facts(incident)} · {text}"
    return [page for person in people for page in summons(incident, person, reason, full)]


def freshness(rule: Rule) -> timedelta:
    """The age up to which a measurement of this rule may be acted upon."""
    return max(FRESH, 2 * rule.problem.windows[0])


def _fresh(incident: Incident, rule: Rule, now: datetime) -> bool:
    return incident.evidence is not None and now - incident.evidence[0] <= freshness(rule)


def _once(event: e.Event) -> Decision:
    return Decision(record=(event,))


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((m for m in moments if m is not None), default=None)
