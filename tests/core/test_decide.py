"""What is decided, when; and over many simulated nights, what is never decided."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core import deeds
from daemon.core import events as e
from daemon.core.approvals import Approvals
from daemon.core.decide import (
    Decision,
    Measure,
    ReadRecovery,
    RunStep,
    SendPage,
    Surroundings,
    WriteReview,
    decide,
)
from daemon.core.incident import Incident, apply
from daemon.core.outcome import Outcome
from daemon.core.plan import Outlook
from daemon.core.ports import Freeze, Guard
from daemon.core.problem import ProblemReason, ProblemVerdict, Reading
from daemon.core.rules import Rule
from daemon.core.suspects import Suspicion
from tests.core.build import (
    ACKNOWLEDGED,
    ALERTS,
    HOUR,
    LIMITS,
    MINUTE,
    NOW,
    ROSTER,
    SECOND,
    STEPS,
    TARGET,
    ago,
    approved,
    blamed,
    confirmed,
    each_minute,
    finished,
    healthy,
    impaired,
    make_alert,
    make_incident,
    make_problem,
    make_rule,
    opening,
    page_queued,
    started,
    step_approved,
    unreadable,
)

RULE = make_rule()
FREEZE = Freeze(scope="global", reason="audit", by="bo", at=ago(5))


def around(
    rule: Rule | None = RULE, guard: Guard | None = None, approvals: Approvals | None = None
) -> Surroundings:
    steps = range(1, len(rule.recover) + 1) if rule else ()
    return Surroundings(
        ROSTER,
        approved(RULE, 1) if approvals is None else approvals,
        LIMITS,
        {step: Outlook(TARGET, guard=guard or Guard()) for step in steps},
    )


def decided(
    *events: e.Event | tuple[datetime, e.Event],
    rule: Rule | None = RULE,
    now: datetime = NOW,
    guard: Guard | None = None,
    approvals: Approvals | None = None,
    acknowledged: bool = True,
) -> Decision:
    """The decision on a journal, by default after somebody has come."""
    told = (ALERTS, *(ACKNOWLEDGED if acknowledged else ()), *events)
    begin: Any = opening("checkout" if rule else "")
    incident = make_incident((ago(1), begin), *told)
    return decide(incident, rule, around(rule, guard, approvals), now)


def read(reading: Reading, step: int = 0) -> tuple[datetime, e.Event]:
    return reading.at, e.RecoveryMeasured(step=step, reading=reading)


def degraded(at: datetime) -> Reading:
    return impaired(at, 0.007).model_copy(update={"state": "degraded"})


def kinds(decision: Decision) -> list[str]:
    return [event.kind for event in decision.record]


# ── people first ─────────────────────────────────────────────────────────────────────────────


def test_people_are_called_before_anything_is_measured() -> None:
    first = decided(acknowledged=False)
    assert kinds(first) == ["PageQueued"]
    second = decided(page_queued(), acknowledged=False)
    assert second.effects == (SendPage("r0.t0.ada"), Measure())
    assert second.wake_at == NOW + 5 * MINUTE


def test_a_page_is_sent_until_it_is_delivered_or_given_up() -> None:
    sent = e.PageDelivered(page="r0.t0.ada", method="console", proof="x")
    call = SendPage("r0.t0.ada")
    assert call in decided(page_queued(), acknowledged=False).effects
    assert call not in decided(page_queued(), sent, acknowledged=False).effects


def test_a_page_that_is_still_to_be_sent_is_not_once_somebody_has_come() -> None:
    assert SendPage("r0.t0.ada") not in decided(page_queued()).effects


def test_a_commander_who_comes_after_the_question_is_asked_it() -> None:
    asked = e.ApprovalRequested(step=1, reason="not_approved", text="may it run?")
    (call,) = decided(confirmed(), asked, approvals=Approvals()).record
    assert isinstance(call, e.PageQueued)
    assert (call.person, call.reason) == ("ada", "approval-1-not_approved")
    assert decided(confirmed(), asked, call, approvals=Approvals()).record == ()


def test_the_commander_hears_that_it_fires_again() -> None:
    (call,) = decided(resolved(), ALERTS).record
    assert isinstance(call, e.PageQueued)
    assert (call.page, call.person) == ("refired-1.ada", "ada")
    assert call.text.startswith("fires again after it was resolved")
    assert decided(resolved(), ALERTS, call).record == ()


def test_pages_wait_for_no_running_step() -> None:
    decision = decided(page_queued(), confirmed(), started(), acknowledged=False)
    assert decision.effects == (SendPage("r0.t0.ada"), RunStep(1))


# ── before anything is confirmed ─────────────────────────────────────────────────────────────

UNCONFIRMED: list[tuple[ProblemVerdict, ProblemReason]] = [
    ("not_confirmed", "loss_below_threshold"),
    ("insufficient_traffic", "traffic_below_minimum"),
    ("no_data", "prometheus_unreachable"),
    ("query_error", "several_series"),
]


@pytest.mark.parametrize(("verdict", "reason"), UNCONFIRMED)
def test_what_is_not_confirmed_is_measured_again_and_nothing_is_touched(
    verdict: ProblemVerdict, reason: ProblemReason
) -> None:
    defined = e.ProblemDefined(problem=make_problem(verdict, reason))
    soon = decided(defined)
    assert soon.effects == ()
    assert soon.wake_at is not None
    assert NOW < soon.wake_at <= NOW + 5 * MINUTE
    assert decided(defined, now=soon.wake_at).effects == (Measure(),)
    approval = step_approved(RULE)
    assert decided(defined, approval, now=soon.wake_at).effects == (Measure(),)


def resolved() -> e.AlertsReceived:
    return e.AlertsReceived(alerts=(make_alert("resolved"),))


def never_confirmed(
    minutes: float, verdict: ProblemVerdict, reason: ProblemReason
) -> list[tuple[datetime, e.Event]]:
    moments = [minutes - n * minutes / 4 for n in range(5)]
    return [
        (ago(m), e.ProblemDefined(problem=make_problem(verdict, reason, at=ago(m))))
        for m in moments
    ]


def test_an_incident_that_was_never_confirmed_ends_with_its_alerts_and_measured_health() -> None:
    told = never_confirmed(3, "not_confirmed", "loss_below_threshold")
    assert kinds(decided(*told, resolved())) == ["IncidentClosed"]
    assert kinds(decided(*told)) == []
    early = never_confirmed(2.9, "not_confirmed", "loss_below_threshold")
    assert kinds(decided(*early, resolved())) == []


@pytest.mark.parametrize(("verdict", "reason"), UNCONFIRMED[1:])
def test_a_resolved_alert_alone_ends_nothing(
    verdict: ProblemVerdict, reason: ProblemReason
) -> None:
    assert kinds(decided(*never_confirmed(60, verdict, reason), resolved())) == []


# ── a confirmed problem ──────────────────────────────────────────────────────────────────────


def test_a_confirmed_problem_with_its_suspect_starts_the_step() -> None:
    (effect,) = decided(confirmed()).effects
    assert isinstance(effect, RunStep)
    assert (effect.step, effect.lifted) == (1, False)
    assert effect.authority.startswith("pre-approved by ada")


def test_a_step_starts_though_every_alert_is_resolved() -> None:
    """The metrics are believed, not the alert."""
    assert isinstance(decided(confirmed(), resolved()).effects[0], RunStep)


def test_an_old_measurement_is_taken_anew_before_a_step_starts() -> None:
    assert isinstance(decided(confirmed(), now=NOW + 2 * MINUTE).effects[0], RunStep)
    stale = decided(confirmed(), now=NOW + 2.1 * MINUTE)
    assert stale.effects == (ReadRecovery(0),)


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (healthy(NOW), "metrics_look_healthy"),
        (degraded(NOW), "below_threshold"),
        (unreadable(NOW), "no_fresh_data"),
    ],
)
def test_a_step_is_withheld_if_the_problem_no_longer_shows(reading: Reading, reason: str) -> None:
    decision = decided(confirmed(), read(reading))
    (refused,) = decision.record
    assert isinstance(refused, e.StepRefused)
    assert refused.reason == reason
    again = decided(confirmed(), read(reading), refused)
    assert again.record == ()
    assert again.wake_at is not None
    approval = step_approved(RULE)
    assert kinds(decided(confirmed(), approval, read(reading))) == ["StepRefused"]


def test_a_skipped_step_is_written_down_and_the_next_one_looked_at() -> None:
    none = confirmed(suspicion=Suspicion(verdict="none", text="no change"))
    (skipped,) = decided(none).record
    assert isinstance(skipped, e.StepSkipped)
    assert kinds(decided(none, skipped)) == ["StepRefused", "ApprovalRequested", "PageQueued"]


def test_the_commander_is_asked_once() -> None:
    decision = decided(confirmed(), approvals=Approvals())
    assert kinds(decision) == ["StepRefused", "ApprovalRequested", "PageQueued"]
    request = decision.record[1]
    assert isinstance(request, e.ApprovalRequested)
    assert request.text.startswith("step 1 (release_rollback) waits for approval: nobody has")
    call = decision.record[2]
    assert isinstance(call, e.PageQueued)
    assert (call.person, call.page) == ("ada", "approval-1-not_approved.ada")
    again = decided(confirmed(), *decision.record, approvals=Approvals())
    assert again.record == ()
    assert again.wake_at is not None


def test_a_refusal_that_may_be_lifted_is_looked_at_again_soon() -> None:
    decision = decided(confirmed(), guard=Guard(freeze=FREEZE))
    assert kinds(decision) == ["StepRefused"]
    again = decided(confirmed(), *decision.record, guard=Guard(freeze=FREEZE))
    assert again.record == ()
    assert again.wake_at is not None
    assert again.wake_at <= NOW + 15 * SECOND


def test_without_the_stores_view_a_decision_is_made_anew() -> None:
    """The incident was confirmed while the store was being looked at."""
    incident = make_incident(*ACKNOWLEDGED, confirmed())
    blind = replace(around(), outlook={})
    assert decide(incident, RULE, blind, NOW) == Decision(wake_at=NOW)


def test_a_paused_incident_is_only_watched() -> None:
    decision = decided(confirmed(), e.IncidentPaused(person="bo", reason="x"))
    assert decision.record == ()
    assert decision.effects == ()
    assert decision.wake_at is not None
    later = decided(confirmed(), e.IncidentPaused(person="bo", reason="x"), now=decision.wake_at)
    assert later.effects == (ReadRecovery(0),)


@pytest.mark.parametrize(("steps", "reason"), [([], "no_plan"), (STEPS[:1], "plan_exhausted")])
def test_the_end_of_the_plan_opens_diagnosis_and_calls_people(
    steps: list[dict[str, Any]], reason: str
) -> None:
    rule = make_rule(recover=steps)
    veto = [e.StepVetoed(step=1, person="ada")] if steps else []
    decision = decided(confirmed(), *veto, rule=rule, approvals=Approvals())
    assert kinds(decision) == ["DiagnosisOpened", "PageQueued", "PageQueued"]
    opened, *calls = decision.record
    assert isinstance(opened, e.DiagnosisOpened)
    assert opened.reason == reason
    assert [c.person for c in calls if isinstance(c, e.PageQueued)] == ["ada", "bo"]


def test_what_heals_by_itself_gets_no_credit() -> None:
    told = map(read, each_minute(healthy, ago(3), 3))
    (recovered,) = decided((ago(5), confirmed(make_problem(at=ago(5)))), *told).record
    assert isinstance(recovered, e.Recovered)
    assert recovered.step == 0


# ── verification ─────────────────────────────────────────────────────────────────────────────

ACTED = (confirmed(), started(), finished())


def test_verification_waits_for_the_step_to_settle() -> None:
    assert decided(*ACTED) == Decision(wake_at=NOW + 2 * MINUTE)
    assert decided(*ACTED, now=NOW + 2 * MINUTE).effects == (ReadRecovery(1),)


def after(verdict: str) -> Decision:
    first = NOW + 2 * MINUTE
    told = {
        "recovered": each_minute(healthy, first, 3),
        "unchanged": [impaired(first), impaired(first + 3 * MINUTE)],
        "worse": [impaired(first, 0.5), impaired(first + MINUTE, 0.5)],
        "partial": [impaired(first), impaired(first + 3 * MINUTE, 0.05)],
        "inconclusive": [unreadable(first), unreadable(first + 6 * MINUTE)],
    }[verdict]
    return decided(*ACTED, *(read(r, 1) for r in told), now=told[-1].at)


def test_a_recovery_is_credited_to_its_step() -> None:
    verified, recovered = after("recovered").record
    assert isinstance(verified, e.StepVerified)
    assert isinstance(recovered, e.Recovered)
    assert (verified.verdict, recovered.step) == ("recovered", 1)


@pytest.mark.parametrize("verdict", ["unchanged", "worse"])
def test_a_failure_leads_to_the_next_alternative(verdict: str) -> None:
    (verified,) = after(verdict).record
    assert isinstance(verified, e.StepVerified)
    assert verified.verdict == verdict


@pytest.mark.parametrize("verdict", ["partial", "inconclusive"])
def test_half_a_success_calls_the_commander_and_the_lead(verdict: str) -> None:
    decision = after(verdict)
    assert kinds(decision) == ["StepVerified", "PageQueued", "PageQueued"]


def test_a_failed_action_that_healed_by_itself_gets_no_credit() -> None:
    first = NOW + 2 * MINUTE
    told = [read(reading, 1) for reading in each_minute(healthy, first, 3)]
    failed = finished(result="failed", reason="restart_failed")
    verified, recovered = decided(
        confirmed(), started(), failed, *told, now=first + 3 * MINUTE
    ).record
    assert isinstance(verified, e.StepVerified)
    assert isinstance(recovered, e.Recovered)
    assert (verified.verdict, recovered.step) == ("self_recovered", 0)


# ── the relapse watch ────────────────────────────────────────────────────────────────────────

RECOVERED = (
    (ago(40), confirmed(make_problem(at=ago(40)))),
    read(healthy(ago(35))),
    (ago(31), e.Recovered(step=1, text="back")),
)


def test_a_recovered_incident_closes_after_a_healthy_watch() -> None:
    watched = map(read, each_minute(healthy, ago(4), 4))
    (closed,) = decided(*RECOVERED, *watched).record
    assert isinstance(closed, e.IncidentClosed)
    assert closed.reason == "recovered"


@pytest.mark.parametrize("last", [unreadable(NOW), impaired(NOW), healthy(NOW), healthy(ago(1.1))])
def test_it_does_not_close_on_anything_but_health_after_the_watch(last: Reading) -> None:
    assert decided(*RECOVERED, read(last)).record == ()


def test_a_relapse_needs_two_impaired_readings() -> None:
    assert decided(*RECOVERED, read(impaired(ago(10)))).record == ()
    decision = decided(*RECOVERED, read(impaired(ago(10))), read(impaired(ago(9))))
    assert kinds(decision) == ["Relapsed", "PageQueued", "PageQueued"]
    broken = [impaired(ago(10)), healthy(ago(9.5)), impaired(ago(9))]
    assert decided(*RECOVERED, *map(read, broken)).record == ()


# ── without a rule, and at the end ───────────────────────────────────────────────────────────


def test_without_a_rule_only_people_act_and_alertmanager_is_believed_slowly() -> None:
    assert decided(rule=None) == Decision()
    over = decided(resolved(), rule=None)
    assert over == Decision(wake_at=NOW + 15 * MINUTE)
    (closed,) = decided(resolved(), rule=None, now=NOW + 15 * MINUTE).record
    assert isinstance(closed, e.IncidentClosed)
    assert closed.reason == "alerts_resolved"


def test_a_running_step_is_carried_on_though_its_rule_is_gone() -> None:
    assert decided(confirmed(), started(), rule=None).effects == (RunStep(1),)


def test_a_closed_incident_asks_for_its_review_alone() -> None:
    closed = e.IncidentClosed(reason="by_person", text="x")
    assert decided(page_queued(), closed) == Decision(effects=(WriteReview(),))
    assert decided(closed, e.ReviewWritten(path="x.md")) == Decision()


# ── many nights ──────────────────────────────────────────────────────────────────────────────


class World:
    """A service, its metrics, its store and its people, all of them moody."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a simulation
        always = {**STEPS[0], "when": "always"}
        plans = [STEPS, [always], [STEPS[0], always, STEPS[1]], [always, always, always], []]
        self.rule: Rule | None = make_rule(recover=self.chance.choice(plans))
        self.approvals = approved(self.rule, *range(1, len(self.rule.recover) + 1))
        if self.chance.random() < 0.1:
            self.approvals = Approvals()
        if self.chance.random() < 0.1:
            self.rule = None
        self.now = NOW
        begin = opening("checkout" if self.rule else "")
        self.incident = make_incident((NOW, begin), (NOW, ALERTS))
        self.frozen = self.locked = False

    def happen(self, *events: e.Event) -> None:
        for event in events:
            self.incident = apply(self.incident, self.now, event)
        self.incident = replace(self.incident, seq=self.incident.seq + len(events))

    def around(self) -> Surroundings:
        views: dict[int, Outlook] = {}
        if self.rule is not None and self.incident.phase == "deciding":
            for step in range(1, len(self.rule.recover) + 1):
                guard = Guard(
                    freeze=FREEZE if self.frozen else None,
                    locked_by="0301-1200" if self.locked else "",
                    last_finished=self.chance.choice([None, None, self.now - 10 * MINUTE]),
                    started_in_window=self.chance.choice([0, 0, 0, 3]),
                )
                unfit = self.chance.choice([""] * 9 + ["unsafe_label"])
                views[step] = Outlook(TARGET, unfit, unfit, guard)
        return Surroundings(ROSTER, self.approvals, LIMITS, views)

    def reading(self) -> Reading:
        make = self.chance.choice(
            [healthy, healthy, impaired, impaired, impaired, degraded, unreadable]
        )
        return make(self.now)

    def carry_out(self, effect: object) -> None:
        match effect:
            case SendPage(page):
                bad = self.chance.random() < 0.3
                failed = e.PageFailed(page=page, method="console", error="x", last=True)
                sent = e.PageDelivered(page=page, method="console", proof="x")
                self.happen(failed if bad else sent)
            case Measure():
                verdict, reason = self.chance.choice(
                    [*UNCONFIRMED, *[("confirmed", "loss_exceeds_threshold")] * 4]
                )
                problem = make_problem(verdict, reason, at=self.now)  # type: ignore[arg-type]
                blame = self.chance.choice(
                    [blamed(), blamed(), Suspicion(verdict="ambiguous", text="x"), None]
                )
                self.happen(e.ProblemDefined(problem=problem, suspicion=blame))
            case ReadRecovery(step):
                self.happen(e.RecoveryMeasured(step=step, reading=self.reading()))
            case RunStep(step):
                self.run(step)
            case WriteReview():
                self.happen(e.ReviewWritten(path="x.md"))

    def run(self, step: int) -> None:
        state = self.incident.step(step)
        if state.status == "waiting":
            self.happen(started(step))
        elif state.intent is None and not self.incident.paused_by:
            self.happen(e.StepPrepared(step=step, summary="x", intent={"from": "a", "to": "b"}))
        elif state.intent is None:
            self.happen(finished(step, "refused", "paused"))
        else:
            result = self.chance.choice(["done", "done", "failed", "unknown", "refused"])
            outcome = Outcome.model_validate({"result": result, "reason": "so", "detail": "so"})
            self.happen(e.StepFinished(step=step, outcome=outcome))

    def people(self) -> None:
        who = self.chance.choice(["ada", "bo"])
        step = self.chance.randint(1, 3)
        deed = self.chance.choice(
            [
                lambda: deeds.acknowledge(self.incident, who, "cli"),
                lambda: deeds.approve(self.incident, self.rule, step, who),
                lambda: deeds.veto(self.incident, self.rule, step, who),
                lambda: deeds.pause(self.incident, who, "wait"),
                lambda: deeds.resume(self.incident, who),
                lambda: deeds.resume(self.incident, who),
                lambda: deeds.say(self.incident, "hm"),
                lambda: (resolved(),),
                lambda: (ALERTS,),
            ]
        )
        try:
            self.happen(*deed())
        except deeds.NotPossible:
            return

    def turn(self) -> Decision:
        """Decide once, check what was decided, and let it and other things happen."""
        surroundings = self.around()
        decision = decide(self.incident, self.rule, surroundings, self.now)
        assert decision == decide(self.incident, self.rule, surroundings, self.now)
        sound(self.incident, self.rule, surroundings, self.now, decision)
        if decision.record:
            self.happen(*decision.record)
            return decision
        for effect in decision.effects:
            self.carry_out(effect)
        if self.chance.random() < 0.2:
            self.people()
        self.frozen ^= self.chance.random() < 0.05
        self.locked ^= self.chance.random() < 0.05
        if decision.wake_at is not None and self.chance.random() < 0.5:
            self.now = max(self.now, decision.wake_at)
        self.now += timedelta(seconds=self.chance.choice([0, 1, 5, 20, 60]))
        return decision


def sound(
    incident: Incident, rule: Rule | None, seen: Surroundings, now: datetime, decision: Decision
) -> None:
    """What holds of every decision."""
    if decision.record and decision.effects:
        # Only calling people goes on side by side with something else.
        assert all(isinstance(event, e.PageQueued) for event in decision.record)
    assert len(set(decision.effects)) == len(decision.effects)
    if incident.closed is not None:
        assert decision.record == ()
        assert decision.effects in {(), (WriteReview(),)}
        assert bool(decision.effects) == (not incident.review)
        return
    if decision == Decision():
        # It waits for people by design: without a rule nothing can be measured.
        assert rule is None
        assert incident.responders
        assert not incident.all_resolved
    if not decision.record and not decision.effects and decision.wake_at is not None:
        assert decision.wake_at > now
    assert all(not isinstance(event, e.StepStarted) for event in decision.record)
    for event in decision.record:
        if isinstance(event, e.Recovered) and event.step:
            assert incident.step(event.step).acted
    for effect in decision.effects:
        if isinstance(effect, Measure):
            assert incident.confirmed is None
        if not isinstance(effect, RunStep):
            continue
        step = incident.step(effect.step)
        if step.status == "running":
            continue
        assert rule is not None
        assert step.status == "waiting"
        assert effect.authority
        assert not incident.paused_by
        assert incident.confirmed is not None
        assert incident.recovered_at is None
        assert incident.running is None
        assert incident.verifying is None
        assert incident.diagnosis is None
        guard = seen.outlook[effect.step].guard
        assert guard.freeze is None
        assert not guard.locked_by
        assert not seen.outlook[effect.step].unfit
        assert incident.evidence is not None
        assert incident.evidence[1] == "impaired"
        assert now - incident.evidence[0] <= 2 * MINUTE
        if step.approved_by:
            assert effect.lifted
            continue
        assert not effect.lifted
        assert rule.step(effect.step).approval == "automatic"
        assert seen.approvals.standing(rule, effect.step, now)[0] == "valid"
        assert incident.relapses == 0
        assert incident.last_verdict not in {"partial", "inconclusive"}
        assert guard.started_in_window < LIMITS.budget
        assert guard.last_finished is None or now - guard.last_finished >= LIMITS.cooldown
        if rule.step(effect.step).when == "suspect_change":
            assert incident.suspicion is not None
            assert incident.suspicion.verdict == "suspect"


@settings(max_examples=300)
@given(st.integers(0, 10**6))
def test_over_many_nights_no_step_starts_that_must_not(seed: int) -> None:
    world = World(seed)
    for _ in range(80):
        decision = world.turn()
        if world.incident.closed is not None and not decision.effects and not decision.record:
            break


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_decisions_come_to_rest(seed: int) -> None:
    """Facts that follow from facts are soon all written: no decision feeds itself."""
    world = World(seed)
    in_a_row = 0
    for _ in range(80):
        in_a_row = in_a_row + 1 if world.turn().record else 0
        assert in_a_row <= 8


def test_the_nights_reach_every_phase_and_every_fact() -> None:
    """Or the properties above would prove nothing."""
    phases, facts, runs = set(), set(), 0
    for seed in range(150):
        world = World(seed)
        for _ in range(80):
            phases.add(world.incident.phase)
            decision = world.turn()
            facts |= set(kinds(decision))
            runs += sum(isinstance(f, RunStep) and bool(f.authority) for f in decision.effects)
    assert len(phases) == 8
    assert facts >= {
        "ApprovalRequested",
        "DiagnosisOpened",
        "IncidentClosed",
        "PageQueued",
        "Recovered",
        "Relapsed",
        "StepRefused",
        "StepSkipped",
        "StepVerified",
    }
    assert runs > 40


def test_a_rollback_that_helps_ends_in_a_closed_incident() -> None:
    """The main story, decided step by step without a shell."""
    incident, now = make_incident((NOW, opening()), (NOW, ALERTS)), NOW
    healed: datetime | None = None
    for _ in range(300):
        decision = decide(incident, RULE, around(), now)
        told: list[e.Event] = list(decision.record)
        for effect in decision.effects:
            match effect:
                case SendPage(page):
                    told.append(e.PageDelivered(page=page, method="console", proof="x"))
                    told += deeds.acknowledge(incident, "ada", "cli")
                case Measure():
                    told.append(confirmed(make_problem(at=now)))
                case RunStep(step):
                    told += [started(step), finished(step)]
                    healed = now
                case ReadRecovery(step):
                    reading = healthy(now) if healed else impaired(now)
                    told.append(e.RecoveryMeasured(step=step, reading=reading))
                case WriteReview():
                    told.append(e.ReviewWritten(path="x.md"))
        for event in told:
            incident = apply(incident, now, event)
        if not told and decision.wake_at is None:
            break
        now = now if told or decision.wake_at is None else decision.wake_at
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert incident.recovered_by == 1
    assert incident.commander == "ada"
    assert incident.review == "x.md"
    assert healed == NOW
    assert now <= NOW + HOUR
