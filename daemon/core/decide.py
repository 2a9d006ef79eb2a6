"""(incident, rule, surroundings, now) → Decision: what to write down, what to do, when to look
again. Pure, so every decision can be replayed.

Where a decision records facts, it is then made anew on what they changed. Effects are idempotent
requests: `conduct` starts those that are not under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from daemon.core.decision import (
    Decision,
    Listen,
    RecordSamples,
    RunStep,
    SendPage,
    WriteCounterpart,
    WriteReview,
    first_recording,
    recording,
)
from daemon.core.diagnosis.due import dossier_due
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Roster
from daemon.core.recovery.guardrails import is_storm
from daemon.core.recovery.lifecycle import next_action
from daemon.core.recovery.maintenance import hold_due
from daemon.core.recovery.situation import Surroundings
from daemon.core.response.alert_silences import silence_due
from daemon.core.response.amendments import amendments_due
from daemon.core.response.call_answers import snoozed_calls_due
from daemon.core.response.endings import endings_due, storm_endings_due
from daemon.core.response.escalation import engagements_due, held_for_others, pages_due
from daemon.core.response.milestones import overdue_milestones
from daemon.core.response.open_pages import retries_due, undelivered
from daemon.core.response.pager_sync import pager_states_due
from daemon.core.response.paging import direct_page, headline
from daemon.core.response.role_requests import role_requests_due
from daemon.core.response.rooms import rooms_due
from daemon.core.response.storm_decision import storm_due
from daemon.core.response.storm_growth import can_be_told_by_storm, is_told_by_storm
from daemon.core.response.update_schedule import updates_due
from daemon.core.rules.rule import Rule

LISTEN_EVERY = timedelta(minutes=5)
"""How often the rule's sentiment queries are asked while an incident is open."""
UNRULED_HOLD = timedelta(minutes=15)
"""How long all alerts must be resolved before an incident without a rule is closed."""


def decide(
    incident: Incident, rule: Rule | None, surroundings: Surroundings, now: datetime
) -> Decision:
    """Decide. `rule` is None when no rule matched, or when its rule is no longer there.

    Pages come before what the service needs, that before what else people need; where facts are
    recorded of one, the rest is decided anew on these. Effects go side by side: measuring does
    not wait until pages are written down.
    """
    if incident.closed is not None:
        closed = _after_closing(incident, rule, surroundings, now)
        return closed | _counterparts(incident)
    if incident.organization.merging is not None:
        return _counterparts(incident)  # whatever is due is the other incident's
    service = (
        _without_rule(incident, now)
        if rule is None
        else next_action(incident, rule, surroundings, now)
    )
    hold = hold_due(incident, surroundings.maintenance, now)
    if hold.record:
        return hold | service.without_record
    if incident.organization.held is not None:
        return _quiet(incident, service, surroundings.roster, now) | hold
    paging = _pages_due(incident, surroundings, now)
    if paging.record:
        return paging | service.without_record
    if service.record:
        return service
    people = _people_due(incident, rule, surroundings, now)
    if people.record:
        return service | people
    # Without its rule nothing says what to ask.
    dossier = dossier_due(incident, surroundings.storm) if rule is not None else Decision()
    due = _deliveries(incident, surroundings, now) | service | people | paging | dossier
    return due | _counterparts(incident)


def _quiet(incident: Incident, service: Decision, roster: Roster, now: datetime) -> Decision:
    """While maintenance holds its calls: it is measured, and what people ask for is done; nobody
    else hears of it."""
    here = incident.responders
    told = tuple(
        fact for fact in service.record if not isinstance(fact, e.PageQueued) or fact.person in here
    )
    service = Decision(told, service.effects, service.wake_at)
    if service.record:
        return service
    asked = engagements_due(incident, roster, now) | retries_due(incident, now)
    if asked.record:
        return asked | service.without_record
    return _send(undelivered(incident)) | service | asked | _counterparts(incident)


_MOST = 100
"""So many facts at the most are written down at once."""


def settle_decision(
    incident: Incident, rule: Rule | None, surroundings: Surroundings, now: datetime
) -> tuple[tuple[e.Event, ...], Decision]:
    """Decide until nothing more is to be written down: all facts, and the decision after them.

    The facts and the claims of the effects can so be appended at once, or not at all. What
    maintenance held is decided on anew once that is written down, for much may be released at the
    same moment, and be a storm.
    """
    facts: list[e.Event] = []
    while True:
        decision = decide(incident, rule, surroundings, now)
        if not decision.record:
            return tuple(facts), decision
        facts += decision.record
        released = any(isinstance(event, e.PagesReleased) for event in decision.record)
        if released or len(facts) > _MOST:
            return tuple(facts), Decision((), decision.effects, now)
        for event in decision.record:
            incident = apply_event(incident, now, event)


def _pages_due(incident: Incident, surroundings: Surroundings, now: datetime) -> Decision:
    """Every page that is due: of the escalation, by itself or as one of a storm, to expert teams,
    and those that failed."""
    roster, storm = surroundings.roster, surroundings.storm
    if storm is not None and storm.is_held(incident):
        calls = storm_due(incident, storm, roster, now, surroundings.page_hold)
    else:
        hold, gathers = surroundings.page_hold, _may_be_storm(surroundings)
        calls = pages_due(incident, roster, now, hold, gathers=gathers)
    policies = calls | engagements_due(incident, roster, now)
    elsewhere = () if storm is None else storm.called_by_it(incident)
    policies |= snoozed_calls_due(incident, roster, now, elsewhere)
    return policies | retries_due(incident, now) | recording(*_refired(incident))


def _may_be_storm(surroundings: Surroundings) -> bool:
    """Whether the incidents that begin beside it may be told as one, or are a storm already by the
    store's count, which keeps its steps from starting: that of a replica's own may come later."""
    guards = (view.guard for view in surroundings.outlook.values())
    counted = (is_storm(guard.alerting, surroundings.limits) for guard in guards)
    return surroundings.gathers or any(counted)


def _told_later(incident: Incident, surroundings: Surroundings, now: datetime) -> Decision:
    """What pagers must still be told: the numbers that follow a page, that somebody came, and that
    it is over."""
    roster, storm = surroundings.roster, surroundings.storm
    waits = storm is not None and storm.wants(roster)
    told = amendments_due(incident, now) | pager_states_due(incident, now, storm_waits=waits)
    return (
        told | endings_due(incident, roster, now) | storm_endings_due(incident, storm, roster, now)
    )


def _counterparts(incident: Incident) -> Decision:
    """What other journals must still be told of it."""
    pending = incident.organization.counterparts
    return Decision(effects=tuple(WriteCounterpart(what, other) for what, other in pending))


def _deliveries(incident: Incident, surroundings: Surroundings, now: datetime) -> Decision:
    """The pages to deliver: without those for which the page of its storm stands, or would, if one
    comes of what begins beside it just now."""
    storm = surroundings.storm
    pages = [p for p in undelivered(incident) if not is_told_by_storm(incident, p, storm)]
    held_until = held_for_others(incident, surroundings.page_hold, now)
    if storm is not None or held_until is None or not _may_be_storm(surroundings):
        return _send(pages)
    rest = [page for page in pages if not can_be_told_by_storm(incident, page)]
    return _send(rest) | Decision(wake_at=held_until if len(rest) < len(pages) else None)


def _send(pages: Sequence[PageState]) -> Decision:
    return Decision(effects=tuple(SendPage(page.queued.page) for page in pages))


def _people_due(
    incident: Incident, rule: Rule | None, surroundings: Surroundings, now: datetime
) -> Decision:
    """What people need besides the pages: roles, milestones, updates, the state of their pagers,
    and quiet in Alertmanager."""
    roster = surroundings.roster

    def due() -> Iterator[Decision]:
        yield role_requests_due(incident, roster, now)
        yield overdue_milestones(incident, roster, now)
        yield rooms_due(incident, surroundings.rooms, now)
        updates = updates_due(incident, roster, rule.description if rule else "", now)
        told = _told_later(incident, surroundings, now)
        yield updates | told | _sentiment_due(incident, rule, now)
        yield silence_due(incident, rule, surroundings.silence_for, now)

    return first_recording(due())


def _after_closing(
    incident: Incident, rule: Rule | None, surroundings: Surroundings, now: datetime
) -> Decision:
    """It is over: the review, what is kept for replays, the last update to those who were
    informed, quiet for the pagers, and a call about the rule if it lost its autonomy over this."""
    updates = updates_due(incident, surroundings.roster, rule.description if rule else "", now)
    silence = silence_due(incident, rule, surroundings.silence_for, now)
    if updates.record or silence.record:
        return recording(*updates.record, *silence.record)
    review = Decision(effects=() if incident.review else (WriteReview(),))
    # One that was never confirmed, too: with other thresholds it might have been.
    measured = incident.problem is not None and rule is not None
    if measured and not incident.recorded:
        review |= Decision(effects=(RecordSamples(),))
    told = _told_later(incident, surroundings, now)
    rooms = rooms_due(incident, surroundings.rooms, now)
    return _send(undelivered(incident)) | review | updates | silence | told | rooms


def _sentiment_due(incident: Incident, rule: Rule | None, now: datetime) -> Decision:
    """Ask the rule's sentiment queries again when it is time."""
    if rule is None or not rule.problem.sentiment or incident.confirmed is None:
        return Decision()
    latest = [incident.sentiment_measured_at, incident.confirmed_at]
    again = max(at for at in latest if at is not None) + LISTEN_EVERY
    return Decision(effects=(Listen(),)) if now >= again else Decision(wake_at=again)


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
    text = f"fires again after it was resolved · {headline(incident)}"
    return direct_page(incident, incident.commander, "refired", text)


def _without_rule(incident: Incident, now: datetime) -> Decision:
    """Without a rule Alertmanager's resolution is all there is; it is believed slowly."""
    if incident.running is not None:
        return Decision(effects=(RunStep(incident.running.number),))
    if not incident.all_resolved or incident.alerts_changed_at is None:
        return Decision()
    if incident.organization.declared is not None:
        return Decision()  # a person says when what a person said is over
    ends = incident.alerts_changed_at + UNRULED_HOLD
    if now < ends:
        return Decision(wake_at=ends)
    text = "every alert was resolved; no metric was measured, for no rule matches these alerts"
    return recording(e.IncidentClosed(reason="alerts_resolved", text=text))
