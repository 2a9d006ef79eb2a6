"""(incident, rule, surroundings, now) → Decision: what to write down, what to do, when to look
again. Pure, so every decision can be replayed.

Where a decision records facts, it is then made anew on what they changed. Effects are idempotent
requests: `conduct` starts those that are not under way.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import Decision, earliest
from daemon.core.effects import Effect, Listen, RunStep, SendPage, WriteReview
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.recovery.lifecycle import course
from daemon.core.recovery.situation import Surroundings
from daemon.core.response.escalation import (
    Due,
    engagements_due,
    new_pages,
    pages_due,
    pending,
    summons,
    tried_again,
)
from daemon.core.response.milestones import overdue_milestones
from daemon.core.response.pager_sync import settling
from daemon.core.response.role_requests import staffing
from daemon.core.response.update_schedule import talk
from daemon.core.rules.rule import Rule

LISTEN_EVERY = timedelta(minutes=5)
"""How often the rule's sentiment queries are asked while an incident is open."""
UNRULED_HOLD = timedelta(minutes=15)
"""How long all alerts must be resolved before an incident without a rule is closed."""


def decide(incident: Incident, rule: Rule | None, around: Surroundings, now: datetime) -> Decision:
    """Decide. `rule` is None when no rule matched, or when its rule is no longer there."""
    if incident.closed is not None:
        return _aftermath(incident, rule, around, now)
    step = _unruled(incident, now) if rule is None else course(incident, rule, around, now)
    calls = _calls_due(incident, around.roster, now)
    if calls.pages:
        # Neither waits for the other: measuring starts while the pages are written down.
        return Decision(record=calls.pages, effects=step.effects)
    if step.record:
        return step
    people = _people(incident, rule, around, now)
    if people.record:
        return Decision(people.record, step.effects + people.effects)
    pages = tuple(SendPage(page.queued.page) for page in pending(incident))
    wake_at = earliest(calls.again_at, step.wake_at, people.wake_at)
    return Decision((), pages + step.effects + people.effects, wake_at)


_MOST = 100
"""So many facts at the most are written down at once."""


def settle_decision(
    incident: Incident, rule: Rule | None, around: Surroundings, now: datetime
) -> tuple[tuple[e.Event, ...], Decision]:
    """Decide until nothing more is to be written down: all facts, and the decision after them.

    The facts and the claims of the effects can so be appended at once, or not at all.
    """
    facts: list[e.Event] = []
    while True:
        decision = decide(incident, rule, around, now)
        if not decision.record:
            return tuple(facts), decision
        facts += decision.record
        if len(facts) > _MOST:
            return tuple(facts), Decision((), decision.effects, now)
        for event in decision.record:
            incident = apply_event(incident, now, event)


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
    missed, next_item = overdue_milestones(incident, roster, now)
    if missed:
        return Decision(record=missed)
    told = talk(incident, roster, rule.description if rule else "", now)
    settled = settling(incident, now)
    effects: tuple[Effect, ...] = (*told.effects, *settled.effects)
    listen_at = _listening(incident, rule)
    if listen_at is not None and now >= listen_at:
        effects = (*effects, Listen())
        listen_at = None
    wake_at = earliest(staffed.again_at, next_item, told.again_at, settled.again_at, listen_at)
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
    return Decision((), effects, earliest(told.again_at, settled.again_at))


def _listening(incident: Incident, rule: Rule | None) -> datetime | None:
    """When to ask the rule's sentiment queries again."""
    if rule is None or not rule.problem.sentiment or incident.confirmed is None:
        return None
    heard = [incident.sentiment_measured_at, incident.confirmed_at]
    return max(at for at in heard if at is not None) + LISTEN_EVERY


def _refired(incident: Incident) -> tuple[e.PageQueued, ...]:
    """It was over for Alertmanager and fires again: whoever commands must hear of it, unless the
    metrics tell. A confirmed problem that never recovered is the same trouble, and one that had
    recovered is called for when the relapse watch measures it."""
    if not incident.refired or incident.all_resolved:
        return ()
    if incident.confirmed is not None:
        if incident.recovered_at is None:
            return ()
        at, state = incident.evidence or (incident.recovered_at, "unreadable")
        refired_at = incident.alerts_changed_at or incident.recovered_at
        if at < refired_at or state != "unreadable":
            return ()
    text = f"fires again after it was resolved · {new_pages(incident)}"
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
