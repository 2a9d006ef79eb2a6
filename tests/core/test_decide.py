"""What is decided, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.changes.suspects import Suspicion
from daemon.core.decide import decide, settle_decision
from daemon.core.decision import (
    Decision,
    GatherDossier,
    MeasureProblem,
    ReadRecovery,
    RunStep,
    SendPage,
    WriteReview,
)
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.measurement.problem import ProblemReason, ProblemVerdict, RecoveryReading
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.guardrails import Guard
from daemon.core.recovery.lifecycle import next_action
from daemon.core.recovery.plan import Outlook
from daemon.core.recovery.situation import Surroundings
from daemon.core.response.storm import Storm
from daemon.core.rules.rule import Rule
from tests import commanding
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
    confirmed,
    delivered,
    each_minute,
    finished,
    healthy,
    impaired,
    make_incident,
    make_problem,
    make_rule,
    opening,
    page_queued,
    started,
    step_approved,
    unreadable,
)
from tests.core.world import FREEZE, UNCONFIRMED, degraded, resolved

RULE = make_rule()
OPENED = ago(0.5)
CAME = (page_queued("r0.t0.cy", "cy"), delivered("r0.t0.cy"), *ACKNOWLEDGED)
"""A call reached somebody, and somebody came."""
BACK = e.Recovered(step=0, text="back")


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
    told = (ALERTS, *(CAME if acknowledged else ()), *events)
    begin: Any = opening("checkout" if rule else "")
    incident = make_incident((OPENED, begin), *told)
    return decide(incident, rule, around(rule, guard, approvals), now)


def read(reading: RecoveryReading, step: int = 0) -> tuple[datetime, e.Event]:
    return reading.at, e.RecoveryMeasured(step=step, reading=reading)


def kinds(decision: Decision) -> list[str]:
    return [event.kind for event in decision.record]


# ── people first ─────────────────────────────────────────────────────────────────────────────


def test_people_are_called_before_anything_is_measured() -> None:
    first = decided(acknowledged=False)
    assert kinds(first) == ["PageQueued"]
    second = decided(page_queued(), acknowledged=False)
    assert second.effects == (SendPage("r0.t0.ada"), MeasureProblem())
    assert second.wake_at == OPENED + MINUTE, "the clock: quantified within a minute"


def test_a_page_is_sent_until_it_is_delivered_or_given_up() -> None:
    call = SendPage("r0.t0.ada")
    assert call in decided(page_queued(), acknowledged=False).effects
    assert call not in decided(page_queued(), delivered(), acknowledged=False).effects


def test_a_page_that_is_still_to_be_sent_is_not_once_somebody_has_come() -> None:
    assert SendPage("r0.t0.ada") not in decided(page_queued()).effects


def test_a_commander_who_comes_after_the_question_is_asked_it() -> None:
    asked = e.ApprovalRequested(step=1, reason="not_approved", text="may it run?")
    (call,) = decided(confirmed(), asked, approvals=Approvals()).record
    assert isinstance(call, e.PageQueued)
    assert (call.person, call.about) == ("ada", "1-not_approved")
    assert decided(confirmed(), asked, call, approvals=Approvals()).record == ()


def test_the_commander_hears_that_it_fires_again() -> None:
    (call,) = decided(resolved(), ALERTS).record
    assert isinstance(call, e.PageQueued)
    assert (call.page, call.person) == ("refired-1.ada", "ada")
    assert call.text.startswith("fires again after it was resolved")
    assert decided(resolved(), ALERTS, call).record == ()


def test_nobody_hears_of_a_refire_that_the_metrics_show_unbroken() -> None:
    """A restart of Prometheus ends every alert and fires it anew."""
    assert decided(confirmed(), resolved(), ALERTS).record == ()


def test_a_refire_during_the_relapse_watch_is_measured_at_once_and_called_by_that() -> None:
    before = ((ago(5), confirmed()), (ago(4), BACK), read(healthy(ago(3))))
    fires = (*before, (ago(2.9), resolved()), (ago(1), ALERTS))
    looked = decided(*fires, now=ago(1))
    assert looked.record == ()
    assert ReadRecovery(0) in looked.effects
    well = decided(*fires, read(healthy(ago(0.9))), now=ago(0.8))
    assert well.record == ()
    back = decided(*fires, read(impaired(ago(0.9))), read(impaired(ago(0.4))), now=ago(0.3))
    assert kinds(back)[0] == "Relapsed"
    assert ("relapse-1.ada", "ada") in {(p.page, p.person) for p in back.record[1:]}


def test_a_refire_that_cannot_be_measured_is_called() -> None:
    before = ((ago(5), confirmed()), (ago(4), BACK), read(healthy(ago(3))))
    fires = (*before, (ago(2.9), resolved()), (ago(1), ALERTS))
    (call,) = decided(*fires, read(unreadable(ago(0.9))), now=ago(0.8)).record
    assert (call.page, call.person) == ("refired-1.ada", "ada")


def test_pages_wait_for_no_running_step() -> None:
    decision = decided(page_queued(), confirmed(), started(), acknowledged=False)
    assert decision.effects == (SendPage("r0.t0.ada"), RunStep(1))


# ── before anything is confirmed ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("verdict", "reason"), UNCONFIRMED)
def test_what_is_not_confirmed_is_measured_again_and_nothing_is_touched(
    verdict: ProblemVerdict, reason: ProblemReason
) -> None:
    defined = e.ProblemDefined(problem=make_problem(verdict, reason))
    soon = decided(defined)
    assert soon.effects == ()
    assert soon.wake_at is not None
    assert NOW < soon.wake_at <= NOW + 5 * MINUTE
    assert decided(defined, now=soon.wake_at).effects == (MeasureProblem(),)
    approval = step_approved(RULE)
    assert decided(defined, approval, now=soon.wake_at).effects == (MeasureProblem(),)


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
def test_a_step_is_withheld_if_the_problem_no_longer_shows(
    reading: RecoveryReading, reason: str
) -> None:
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
def test_the_end_of_the_plan_opens_diagnosis_and_asks_for_a_dedicated_commander(
    steps: list[dict[str, Any]], reason: str
) -> None:
    rule = make_rule(recover=steps)
    veto = [e.StepVetoed(step=1, person="ada")] if steps else []
    decision = decided(confirmed(), *veto, rule=rule, approvals=Approvals())
    assert kinds(decision) == ["DiagnosisOpened", "PageQueued"]
    opened, call = decision.record
    assert isinstance(opened, e.DiagnosisOpened)
    assert opened.reason == reason
    assert isinstance(call, e.PageQueued)
    assert call.person == "ada"
    told = [*veto, *decision.record]
    then = decided(confirmed(), *told, rule=rule, approvals=Approvals())
    asked, page = then.record
    assert isinstance(asked, e.RoleRequested)
    assert (asked.role, asked.how, asked.asked, asked.by) == ("commander", "ask", "bo", "")
    assert isinstance(page, e.PageQueued)
    assert (page.person, page.asks, page.about) == ("bo", "answer", asked.request)


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


def test_a_failure_leads_to_the_next_alternative() -> None:
    (verified,) = after("unchanged").record
    assert isinstance(verified, e.StepVerified)
    assert verified.verdict == "unchanged"


@pytest.mark.parametrize("verdict", ["partial", "inconclusive", "worse"])
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
def test_it_does_not_close_on_anything_but_health_after_the_watch(last: RecoveryReading) -> None:
    assert decided(*RECOVERED, read(last)).record == ()


def test_a_relapse_needs_two_impaired_readings() -> None:
    assert decided(*RECOVERED, read(impaired(ago(10)))).record == ()
    decision = decided(*RECOVERED, read(impaired(ago(10))), read(impaired(ago(9))))
    assert kinds(decision) == ["Relapsed", "PageQueued", "PageQueued"]
    broken = [impaired(ago(10)), healthy(ago(9.5)), impaired(ago(9))]
    assert decided(*RECOVERED, *map(read, broken)).record == ()


def test_an_alert_told_before_the_clock_went_back_is_not_read_for_again_and_again() -> None:
    decision = decided(*RECOVERED, read(healthy(NOW)), (NOW + 5 * MINUTE, ALERTS))
    assert ReadRecovery(0) not in decision.effects
    assert decision.wake_at is not None
    assert decision.wake_at > NOW


# ── without a rule, and at the end ───────────────────────────────────────────────────────────


def test_without_a_rule_only_people_act_and_alertmanager_is_believed_slowly() -> None:
    silence = ROSTER.timing.silence
    assert decided(rule=None) == Decision(wake_at=NOW + silence), "then the Commander is asked"
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


# ── the whole story ─────────────────────────────────────────────────────────────────────────


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
                    told += commanding.acknowledge(incident, "ada", "cli")
                case MeasureProblem():
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
            incident = apply_event(incident, now, event)
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


def test_no_dossier_is_asked_for_by_a_rule_that_is_gone() -> None:
    opened = e.DiagnosisOpened(reason="plan_exhausted", text="x")
    incident = make_incident((OPENED, opening()), ALERTS, *CAME, confirmed(), opened)
    for rule in (RULE, None):
        _, decision = settle_decision(incident, rule, around(rule), NOW)
        assert (GatherDossier() in decision.effects) == (rule is not None)


def test_the_more_of_a_storm_is_open_the_more_rarely_each_is_read_again() -> None:
    """A lone one at its rule's pace; five of a storm's a second, and none more often for it."""
    opened = e.DiagnosisOpened(reason="no_plan", text="x")
    told = (ago(0.2), confirmed()), (ago(0.1), opened), read(impaired(ago(0.1)))
    rule = make_rule(recover=())
    incident = make_incident((OPENED, opening("checkout")), ALERTS, *CAME, *told)
    again = {}
    for many in (0, 2, 400):
        members = (incident, *(replace(incident, id=f"other-{n}") for n in range(many)))
        storm = Storm("s", OPENED, NOW + HOUR, members) if many else None
        surroundings = replace(around(rule), storm=storm)
        again[many] = next_action(incident, rule, surroundings, NOW).wake_at
    lone = again[0]
    assert lone is not None
    assert again[2] == lone
    assert again[400] == ago(0.1) + 401 * timedelta(seconds=0.2)
    assert again[400] > lone
    late = next_action(incident, rule, surroundings, NOW + 2 * MINUTE)
    assert late.effects == (ReadRecovery(0),)
