"""What holds of every decision, and of the people at every moment."""

from __future__ import annotations

from datetime import datetime

from daemon.core.decision import (
    Decision,
    MeasureProblem,
    Publish,
    RecordSamples,
    RunStep,
    Settle,
    TellEnding,
    WriteReview,
)
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.situation import Surroundings
from daemon.core.response import roles
from daemon.core.rules.rule import Rule
from tests.core.build import (
    LIMITS,
    MINUTE,
)

ABOUT_PEOPLE = (
    "daemon.core.incident.events.pages",
    "daemon.core.incident.events.responders",
    "daemon.core.incident.events.updates",
)
"""Where the events live that never touch the plan."""


def sound(
    incident: Incident, rule: Rule | None, seen: Surroundings, now: datetime, decision: Decision
) -> None:
    """What holds of every decision."""
    if decision.record and decision.effects:
        # Only what concerns people goes on side by side with something else.
        for event in decision.record:
            assert type(event).__module__ in ABOUT_PEOPLE or isinstance(event, e.DeadlineMissed)
    assert len(set(decision.effects)) == len(decision.effects)
    if incident.closed is not None:
        _sound_when_over(incident, decision)
        return
    if decision == Decision():
        # It waits for people by design: without a rule nothing can be measured.
        assert rule is None
        assert incident.commander
        assert not incident.all_resolved
    if not decision.record and not decision.effects and decision.wake_at is not None:
        assert decision.wake_at > now
    assert all(not isinstance(event, e.StepStarted) for event in decision.record)
    for event in decision.record:
        if isinstance(event, e.Recovered) and event.step:
            assert incident.step(event.step).acted
        if isinstance(event, e.PageQueued):
            assert event.page not in incident.pages
            if event.purpose == "escalation":
                assert not incident.commander
    for effect in decision.effects:
        if isinstance(effect, MeasureProblem):
            assert incident.confirmed is None
        if isinstance(effect, RunStep) and incident.step(effect.step).status != "running":
            assert rule is not None
            _sound_start(incident, rule, seen, now, effect)


def sound_crew(incident: Incident) -> None:
    """The Communicator is at no other work, whoever holds a role is there, nobody twice."""
    people = incident.people
    communicator = people.holder("communicator")
    assert not communicator or not roles.APART & set(people.roles_of(communicator))
    assert {post.person for post in people.posts.values()} <= set(people.responders)
    assert len(set(people.responders)) == len(people.responders)
    assert (
        people.sign_of_life_request is None
        or people.sign_of_life_request.person == incident.commander
    )
    takers = [(r.event.role, r.event.taker, r.event.asked) for r in people.open_requests()]
    assert len(set(takers)) == len(takers)


def _sound_when_over(incident: Incident, decision: Decision) -> None:
    """After the end there is the review, what is kept for replays, a last word to those who were
    told, and quiet."""
    for event in decision.record:
        assert isinstance(event, e.UpdateDrafted | e.UpdateReleased)
    if not decision.record:
        reviews = [effect for effect in decision.effects if isinstance(effect, WriteReview)]
        assert bool(reviews) == (not incident.review)
    for effect in decision.effects:
        assert isinstance(effect, WriteReview | RecordSamples | Publish | Settle | TellEnding)
        assert not (isinstance(effect, RecordSamples) and incident.recorded)
        assert not isinstance(effect, Settle) or effect.state == "resolved"


def _sound_start(
    incident: Incident, rule: Rule, seen: Surroundings, now: datetime, effect: RunStep
) -> None:
    """A step starts only on a fresh, confirmed problem, with its approval, inside its limits."""
    step = incident.step(effect.step)
    assert step.status == "waiting"
    assert effect.authority
    assert incident.recovered_at is None
    assert incident.running is None
    assert incident.verifying is None
    guard = seen.outlook[effect.step].guard
    assert guard.freeze is None
    assert not guard.locked_by
    assert not seen.outlook[effect.step].unfit
    if step.ordered:
        assert effect.ordered
        assert effect.lifted
        return
    assert not incident.paused_by
    assert incident.confirmed is not None
    assert incident.evidence is not None
    assert incident.evidence[1] == "impaired"
    assert now - incident.evidence[0] <= 2 * MINUTE
    if step.approved_by:
        assert effect.lifted
        return
    assert not effect.lifted
    assert incident.diagnosis is None
    assert rule.mode == "automatic"
    assert rule.step(effect.step).approval == "automatic"
    assert seen.approvals.state_of(rule, effect.step, now)[0] == "valid"
    assert incident.relapses == 0
    assert incident.last_verdict not in {"partial", "inconclusive", "worse"}
    assert all(count < LIMITS.budgets[level] for level, count in guard.started.items())
    assert guard.alerting < LIMITS.storm
    assert guard.last_finished is None or now - guard.last_finished >= LIMITS.flap
    if rule.step(effect.step).when == "suspect_change":
        assert incident.suspicion is not None
        assert incident.suspicion.verdict == "suspect"
