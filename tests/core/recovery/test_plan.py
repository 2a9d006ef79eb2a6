"""The next step, or the reason why not: in the order of their weight."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.changes.suspects import Suspicion, unseen
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.binding_content import content_hash
from daemon.core.recovery.guardrails import Freeze, Guard
from daemon.core.recovery.next_step import next_step
from daemon.core.recovery.plan import Outlook, content_of, looks_at_steps, viewed_steps
from daemon.core.recovery.step_answers import (
    AskApproval,
    Exhausted,
    Next,
    Observe,
    Refuse,
    Skip,
    StartStep,
)
from daemon.core.rules.rule import Rule
from tests.core.build import (
    HOUR,
    LIMITS,
    MINUTE,
    NOW,
    STEPS,
    TARGET,
    ago,
    approved,
    blamed,
    confirmed,
    finished,
    make_change,
    make_incident,
    make_problem,
    make_rule,
    started,
    step_approved,
)

RULE = make_rule()
FREEZE = Freeze(scope="global", reason="audit", by="bo", at=ago(5))
NONE = Suspicion(verdict="none", text="no change")
UNSEEN = unseen(NONE, "connection refused")
AMBIGUOUS = Suspicion(verdict="ambiguous", text="two changes")


def ask(
    *events: e.Event,
    rule: Rule = RULE,
    guard: Guard | None = None,
    unfit: str = "",
    approvals: Approvals | None = None,
    suspicion: Suspicion | None = None,
    live: str = "",
) -> Next:
    incident = make_incident(confirmed(suspicion=suspicion or blamed()), *events)
    view = Outlook(
        TARGET, unfit=unfit, unfit_text=f"{unfit} it is", guard=guard or Guard(), live=live
    )
    return next_step(
        incident,
        rule,
        dict.fromkeys(range(1, len(rule.recover) + 1), view),
        approved(rule, 1) if approvals is None else approvals,
        LIMITS,
        NOW,
    )


def reason(answer: Next) -> tuple[type, str]:
    assert isinstance(answer, Skip | Refuse | AskApproval)
    assert answer.text
    return type(answer), answer.reason


def test_a_pre_approved_step_with_its_suspect_starts() -> None:
    answer = ask()
    assert isinstance(answer, StartStep)
    assert answer.step == 1
    assert not answer.lifted
    assert answer.authority.startswith("pre-approved by ada until 2026-03-01")


def test_an_unfit_step_is_skipped_before_anything_else() -> None:
    assert reason(ask(unfit="unsafe_label", guard=Guard(freeze=FREEZE))) == (Skip, "unsafe_label")
    approval = step_approved(RULE)
    assert reason(ask(approval, unfit="unknown_action")) == (Skip, "unknown_action")


@pytest.mark.parametrize(
    ("suspicion", "expected"),
    [
        (NONE, "no_suspect_change"),
        (AMBIGUOUS, "ambiguous_suspects"),
        (UNSEEN, "changes_unseen"),
        (blamed("release:other"), "suspect_is_elsewhere"),
    ],
)
def test_a_step_against_a_change_is_skipped_without_the_one_suspect(
    suspicion: Suspicion, expected: str
) -> None:
    assert reason(ask(suspicion=suspicion)) == (Skip, expected)
    # A missing suspect weighs more than a freeze: the next alternative may be looked at.
    assert reason(ask(suspicion=suspicion, guard=Guard(freeze=FREEZE))) == (Skip, expected)
    # A person may know better.
    assert isinstance(ask(step_approved(RULE), suspicion=suspicion), StartStep)


def test_a_step_is_skipped_if_changes_could_not_be_read() -> None:
    incident = make_incident(e.ProblemDefined(problem=make_problem()))
    answer = next_step(incident, RULE, {1: Outlook(TARGET)}, approved(RULE, 1), LIMITS, NOW)
    assert reason(answer) == (Skip, "no_suspect_change")


def test_a_step_that_always_applies_needs_no_suspect() -> None:
    rule = make_rule(recover=[{**STEPS[0], "when": "always"}])
    assert isinstance(ask(rule=rule, suspicion=NONE), StartStep)


def test_a_freeze_refuses_whoever_approves() -> None:
    approval = step_approved(RULE)
    assert reason(ask(approval, guard=Guard(freeze=FREEZE))) == (Refuse, "frozen")
    answer = ask(guard=Guard(freeze=FREEZE.model_copy(update={"until": NOW + HOUR})))
    assert isinstance(answer, Refuse)
    assert answer.text == "frozen by bo since 14:05:00 UTC until 2026-03-01 15:10:00 UTC: audit"


def test_a_lock_refuses_whoever_approves() -> None:
    approval = step_approved(RULE)
    for events in ((), (approval,)):
        assert reason(ask(*events, guard=Guard(locked_by="0301-1200"))) == (Refuse, "target_locked")


def test_a_freeze_weighs_more_than_a_lock_and_both_more_than_a_missing_approval() -> None:
    both = Guard(freeze=FREEZE, locked_by="0301-1200")
    assert reason(ask(guard=both)) == (Refuse, "frozen")
    assert reason(ask(guard=both, approvals=Approvals())) == (Refuse, "frozen")


def test_a_persons_approval_lifts_cooldown_budget_and_standing() -> None:
    answer = ask(
        step_approved(RULE),
        guard=Guard(last_finished=NOW, started={"rule": 99}, alerting=99),
        approvals=Approvals(),
    )
    assert answer == StartStep(1, "approved by ada", lifted=True)


def test_a_step_of_the_commander_is_asked_for_even_with_a_standing_approval() -> None:
    rule = make_rule(recover=[{**STEPS[0], "approval": "commander"}])
    assert reason(ask(rule=rule)) == (AskApproval, "commander_decides")


def test_a_step_without_a_valid_approval_is_asked_for() -> None:
    edited = make_rule(verify={"hold": "10s"})
    assert reason(ask(approvals=Approvals())) == (AskApproval, "not_approved")
    assert reason(ask(approvals=approved(edited, 1))) == (AskApproval, "approval_void")
    assert reason(ask(approvals=approved(RULE, 1, until=NOW))) == (AskApproval, "approval_expired")


def test_after_a_relapse_a_person_decides() -> None:
    events = (e.Recovered(step=0, text="x"), e.Relapsed(text="again"))
    assert reason(ask(*events)) == (AskApproval, "relapsed")
    # Weightier than what only slows down.
    assert reason(ask(*events, guard=Guard(last_finished=NOW))) == (AskApproval, "relapsed")


@pytest.mark.parametrize("verdict", ["partial", "inconclusive", "worse"])
def test_after_half_a_success_a_person_decides(verdict: Any) -> None:
    rule = make_rule(recover=[STEPS[0], {**STEPS[0], "when": "always"}])
    events = (started(), finished(), e.StepVerified(step=1, verdict=verdict, text="x"))
    answer = ask(*events, rule=rule, approvals=approved(rule, 1, 2))
    assert reason(answer) == (AskApproval, f"after_{verdict}")


def test_after_no_success_the_next_alternative_is_tried() -> None:
    rule = make_rule(recover=[STEPS[0], {**STEPS[0], "when": "always"}])
    events = (started(), finished(), e.StepVerified(step=1, verdict="unchanged", text="x"))
    answer = ask(*events, rule=rule, approvals=approved(rule, 1, 2))
    assert isinstance(answer, StartStep)
    assert answer.step == 2


@pytest.mark.parametrize(
    ("result", "why"), [("refused", "changed_meanwhile"), ("failed", "reverted")]
)
def test_after_somebody_else_deployed_a_person_decides(result: Any, why: str) -> None:
    rule = make_rule(recover=[STEPS[0], {**STEPS[0], "when": "always"}])
    events = (started(), finished(result=result, reason=why))
    answer = ask(*events, rule=rule, approvals=approved(rule, 1, 2))
    assert reason(answer) == (AskApproval, "changed_meanwhile")


@pytest.mark.parametrize(
    ("guard", "expected", "numbers"),
    [
        (Guard(last_finished=NOW - 29.9 * MINUTE), "cooldown", ["29m54s", "30m"]),
        (Guard(last_finished=NOW - 30 * MINUTE), "second_recovery", ["30m", "1d"]),
        (Guard(started={"rule": 3}), "budget_spent", ["3 actions of rule checkout", "is 3"]),
        (Guard(started={"team": 4}), "budget_spent", ["4 actions of team shop", "is 4"]),
        (Guard(started={"global": 5}), "budget_spent", ["5 actions in all", "is 5"]),
        (Guard(alerting=4), "storm", ["4 services", "5m"]),
    ],
)
def test_beyond_a_guardrail_a_person_decides(
    guard: Guard, expected: str, numbers: list[str]
) -> None:
    answer = ask(guard=guard)
    assert reason(answer) == (AskApproval, expected)
    assert isinstance(answer, AskApproval)
    assert all(number in answer.text for number in numbers), answer.text


def test_short_of_the_guardrails_it_starts() -> None:
    edge = Guard(
        last_finished=NOW - 24 * HOUR,
        started={"rule": 2, "team": 3, "domain": 99, "global": 4},
        alerting=3,
    )
    assert isinstance(ask(guard=edge), StartStep)


def test_a_failure_domain_has_a_budget_of_its_own() -> None:
    rule = make_rule(domain="eu-west")
    answer = ask(rule=rule, approvals=approved(rule, 1), guard=Guard(started={"domain": 3}))
    assert reason(answer) == (AskApproval, "budget_spent")
    assert isinstance(answer, AskApproval)
    assert "of domain eu-west" in answer.text


def test_somebodys_rollback_is_not_undone_without_a_person() -> None:
    suspicion = blamed().model_copy(update={"returned": True})
    assert reason(ask(suspicion=suspicion)) == (AskApproval, "suspect_is_a_rollback")
    assert isinstance(ask(step_approved(RULE), suspicion=suspicion), StartStep)


def test_old_trouble_is_left_to_a_person() -> None:
    problem = make_problem(onset=ago(61))
    incident = make_incident(e.ProblemDefined(problem=problem, suspicion=blamed()))
    views = {1: Outlook(TARGET), 2: Outlook(TARGET)}
    answer = next_step(incident, RULE, views, approved(RULE, 1), LIMITS, NOW)
    assert reason(answer) == (AskApproval, "too_old")


def test_in_the_mode_approve_each_step_is_asked_for() -> None:
    rule = make_rule(mode="approve")
    assert reason(ask(rule=rule, approvals=approved(rule, 1))) == (AskApproval, "mode_approve")
    approval = step_approved(rule)
    assert isinstance(ask(approval, rule=rule), StartStep)


def test_who_is_asked_is_told_of_what_their_approval_would_lift() -> None:
    answer = ask(approvals=Approvals(), guard=Guard(alerting=9))
    assert reason(answer) == (AskApproval, "not_approved")
    assert isinstance(answer, AskApproval)
    assert "; besides, 9 services began to alert within" in answer.text


def test_in_the_mode_observe_it_says_what_it_would_have_done() -> None:
    rule = make_rule(mode="observe")
    answer = ask(rule=rule, approvals=Approvals())
    assert isinstance(answer, Observe)
    assert answer.reason == ""
    answer = ask(rule=rule, guard=Guard(alerting=9))
    assert isinstance(answer, Observe)
    assert answer.reason == "storm"
    assert reason(ask(rule=rule, suspicion=NONE)) == (Skip, "no_suspect_change")
    assert reason(ask(rule=rule, guard=Guard(freeze=FREEZE))) == (Refuse, "frozen")
    # The Commander may start it all the same.
    assert isinstance(ask(step_approved(rule), rule=rule), StartStep)


def proposed(number: int = 101) -> e.StepProposed:
    return e.StepProposed(
        step=number,
        person="ada",
        action="run_command",
        params={"argv": ["off"]},
        within=MINUTE,
        reason="it helped last time",
    )


def test_a_proposed_alternative_comes_last_and_waits_for_the_commander() -> None:
    vetoes = (e.StepVetoed(step=1, person="ada"), e.StepVetoed(step=2, person="ada"))
    view = Outlook(TARGET)
    incident = make_incident(confirmed(), *vetoes, proposed())
    answer = next_step(incident, RULE, {101: view}, approved(RULE, 1), LIMITS, NOW)
    assert reason(answer) == (AskApproval, "commander_decides")
    content = content_of(incident, RULE, 101)
    incident = make_incident(
        confirmed(), *vetoes, proposed(), e.StepApproved(step=101, person="ada", content=content)
    )
    assert next_step(incident, RULE, {101: view}, Approvals(), LIMITS, NOW) == StartStep(
        101, "approved by ada", lifted=True
    )


def test_what_a_person_starts_now_comes_first_whatever_the_plan_says() -> None:
    start = e.StepApproved(
        step=2, person="ada", content=content_hash(RULE, RULE.step(2)), first=True
    )
    assert ask(start) == StartStep(2, "started by ada", lifted=True, ordered=True)
    paused = e.IncidentPaused(person="bo", reason="x")
    assert ask(start, paused) == StartStep(2, "started by ada", lifted=True, ordered=True)
    assert ask(paused) == Exhausted()
    assert reason(ask(start, guard=Guard(freeze=FREEZE))) == (Refuse, "frozen")


def test_once_diagnosis_is_open_only_what_people_ask_for_is_left() -> None:
    diagnosis = e.DiagnosisOpened(reason="no_suitable_plan", text="x")
    assert ask(diagnosis) == Exhausted()
    assert isinstance(ask(diagnosis, step_approved(RULE)), StartStep)


def test_a_reported_change_counts_for_the_target_that_it_names() -> None:
    change = make_change("v2", ago(11), subject="reported:checkout").model_copy(
        update={"target": TARGET}
    )
    suspicion = Suspicion(verdict="suspect", text="x", change=change)
    assert isinstance(ask(suspicion=suspicion, live="v2"), StartStep)
    # What is live is what was last reported of the same subject.
    assert reason(ask(suspicion=suspicion, live="v3")) == (AskApproval, "changed_since")


def test_the_alternatives_are_taken_in_order_and_end() -> None:
    skipped = e.StepSkipped(step=1, reason="no_suspect_change", text="x")
    vetoed = e.StepVetoed(step=2, person="ada")
    answer = ask(skipped)
    assert isinstance(answer, AskApproval)
    assert answer.step == 2
    assert ask(skipped, vetoed) == Exhausted()
    assert ask(rule=make_rule(recover=[]), approvals=Approvals()) == Exhausted()


def test_a_step_that_was_paused_before_it_acted_waits_again() -> None:
    events = (started(), finished(result="refused", reason="paused"))
    answer = ask(*events)
    assert isinstance(answer, StartStep)
    assert answer.step == 1


def test_a_step_that_refused_itself_gives_way_to_the_next() -> None:
    incident: Incident = make_incident(
        confirmed(), started(), finished(result="refused", reason="no_healthy_item")
    )
    views = {1: Outlook(TARGET), 2: Outlook(TARGET)}
    answer = next_step(incident, RULE, views, approved(RULE, 1), LIMITS, NOW)
    assert isinstance(answer, AskApproval)
    assert answer.step == 2


def test_a_persons_approval_is_of_the_step_as_it_stood() -> None:
    edited = make_rule(verify={"hold": "10s"})
    answer = ask(step_approved(edited))
    assert reason(answer) == (AskApproval, "approval_void")
    assert isinstance(answer, AskApproval)
    assert answer.text.startswith("the rule was edited after ada approved the step: `")
    assert answer.text.endswith(": bind")


def test_a_persons_approval_lapses() -> None:
    def at(minutes: float) -> Next:
        incident = make_incident(confirmed(), (ago(minutes), step_approved(RULE)))
        views = {1: Outlook(TARGET), 2: Outlook(TARGET)}
        return next_step(incident, RULE, views, Approvals(), LIMITS, NOW)

    assert isinstance(at(30), StartStep)
    assert reason(at(30.1)) == (AskApproval, "approval_lapsed")


def test_a_persons_approval_does_not_outlive_a_relapse() -> None:
    events = (step_approved(RULE), e.Recovered(step=0, text="x"), e.Relapsed(text="again"))
    assert reason(ask(*events)) == (AskApproval, "relapsed")


def test_a_suspect_that_is_no_longer_live_is_left_to_a_person() -> None:
    """Somebody may have deployed a mend meanwhile."""
    assert isinstance(ask(live="v2"), StartStep)
    assert isinstance(ask(live=""), StartStep)
    assert reason(ask(live="v3")) == (AskApproval, "changed_since")
    assert isinstance(ask(step_approved(RULE), live="v3"), StartStep)
    always = make_rule(recover=[{**STEPS[0], "when": "always"}])
    assert isinstance(ask(rule=always, approvals=approved(always, 1), live="v3"), StartStep)


@pytest.mark.parametrize(
    ("events", "looked_at"),
    [
        ((), True),
        ((confirmed(),), True),
        ((confirmed(), started()), False),
        ((confirmed(), started(), finished()), False),
        ((started(), finished()), True),
        ((confirmed(), e.Recovered(step=0, text="x")), False),
        ((confirmed(), e.Recovered(step=0, text="x"), e.Relapsed(text="again")), True),
        ((e.IncidentClosed(reason="not_confirmed", text="x"),), False),
    ],
)
def test_when_steps_are_looked_at(events: tuple[e.Event, ...], looked_at: bool) -> None:
    """While nothing is confirmed no verdict is waited for; else one step after the other."""
    incident = make_incident(*events)
    assert looks_at_steps(incident) is looked_at
    assert looked_at or not viewed_steps(incident, RULE, LIMITS, NOW)
