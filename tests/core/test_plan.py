"""The next step, or the reason why not: in the order of their weight."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.approvals import Approvals
from daemon.core.incident import Incident
from daemon.core.plan import Ask, Exhausted, Next, Outlook, Refuse, Skip, Start, next_step
from daemon.core.ports import Freeze, Guard
from daemon.core.rules import Rule
from daemon.core.suspects import Suspicion
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
    make_incident,
    make_problem,
    make_rule,
    started,
    step_approved,
)

RULE = make_rule()
FREEZE = Freeze(scope="global", reason="audit", by="bo", at=ago(5))
NONE = Suspicion(verdict="none", text="no change")
AMBIGUOUS = Suspicion(verdict="ambiguous", text="two changes")


def ask(
    *events: e.Event,
    rule: Rule = RULE,
    guard: Guard | None = None,
    unfit: str = "",
    approvals: Approvals | None = None,
    suspicion: Suspicion | None = None,
    budget: int = 3,
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
        replace(LIMITS, budget=budget),
        NOW,
    )


def reason(answer: Next) -> tuple[type, str]:
    assert isinstance(answer, Skip | Refuse | Ask)
    assert answer.text
    return type(answer), answer.reason


def test_a_pre_approved_step_with_its_suspect_starts() -> None:
    answer = ask()
    assert isinstance(answer, Start)
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
    assert isinstance(ask(step_approved(RULE), suspicion=suspicion), Start)


def test_a_step_is_skipped_if_changes_could_not_be_read() -> None:
    incident = make_incident(e.ProblemDefined(problem=make_problem()))
    answer = next_step(incident, RULE, {1: Outlook(TARGET)}, approved(RULE, 1), LIMITS, NOW)
    assert reason(answer) == (Skip, "no_suspect_change")


def test_a_step_that_always_applies_needs_no_suspect() -> None:
    rule = make_rule(recover=[{**STEPS[0], "when": "always"}])
    assert isinstance(ask(rule=rule, suspicion=NONE), Start)


def test_a_freeze_refuses_whoever_approves() -> None:
    approval = step_approved(RULE)
    assert reason(ask(approval, guard=Guard(freeze=FREEZE))) == (Refuse, "frozen")
    answer = ask(guard=Guard(freeze=FREEZE.model_copy(update={"until": NOW + HOUR})))
    assert isinstance(answer, Refuse)
    assert answer.text == "frozen by bo until 15:10 UTC: audit"


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
        guard=Guard(last_finished=NOW, started_in_window=99),
        approvals=Approvals(),
    )
    assert answer == Start(1, "approved by ada", lifted=True)


def test_a_step_of_the_commander_is_asked_for_even_with_a_standing_approval() -> None:
    rule = make_rule(recover=[{**STEPS[0], "approval": "commander"}])
    assert reason(ask(rule=rule)) == (Ask, "commander_decides")


def test_a_step_without_a_valid_approval_is_asked_for() -> None:
    edited = make_rule(verify={"hold": "10s"})
    assert reason(ask(approvals=Approvals())) == (Ask, "not_approved")
    assert reason(ask(approvals=approved(edited, 1))) == (Ask, "approval_void")
    assert reason(ask(approvals=approved(RULE, 1, until=NOW))) == (Ask, "approval_expired")


def test_after_a_relapse_a_person_decides() -> None:
    events = (e.Recovered(step=0, text="x"), e.Relapsed(text="again"))
    assert reason(ask(*events)) == (Ask, "relapsed")
    # Weightier than what only slows down.
    assert reason(ask(*events, guard=Guard(last_finished=NOW))) == (Ask, "relapsed")


@pytest.mark.parametrize("verdict", ["partial", "inconclusive"])
def test_after_half_a_success_a_person_decides(verdict: Any) -> None:
    rule = make_rule(recover=[STEPS[0], {**STEPS[0], "when": "always"}])
    events = (started(), finished(), e.StepVerified(step=1, verdict=verdict, text="x"))
    answer = ask(*events, rule=rule, approvals=approved(rule, 1, 2))
    assert reason(answer) == (Ask, f"after_{verdict}")


@pytest.mark.parametrize("verdict", ["unchanged", "worse"])
def test_after_a_failure_the_next_alternative_is_tried(verdict: Any) -> None:
    rule = make_rule(recover=[STEPS[0], {**STEPS[0], "when": "always"}])
    events = (started(), finished(), e.StepVerified(step=1, verdict=verdict, text="x"))
    answer = ask(*events, rule=rule, approvals=approved(rule, 1, 2))
    assert isinstance(answer, Start)
    assert answer.step == 2


def test_within_the_cooldown_of_its_target_a_person_decides() -> None:
    def at(age: timedelta) -> Next:
        return ask(guard=Guard(last_finished=NOW - age))

    assert reason(at(29.9 * MINUTE)) == (Ask, "cooldown")
    assert isinstance(at(30 * MINUTE), Start)
    answer = at(90 * timedelta(seconds=1))
    assert isinstance(answer, Ask)
    assert answer.text == "this target was acted on 1m30s ago; within 30m a person decides"


def test_over_the_budget_a_person_decides() -> None:
    assert isinstance(ask(guard=Guard(started_in_window=2)), Start)
    answer = ask(guard=Guard(started_in_window=3))
    assert reason(answer) == (Ask, "budget_spent")
    assert isinstance(ask(guard=Guard(started_in_window=0), budget=0), Ask)


def test_the_alternatives_are_taken_in_order_and_end() -> None:
    skipped = e.StepSkipped(step=1, reason="no_suspect_change", text="x")
    vetoed = e.StepVetoed(step=2, person="ada")
    answer = ask(skipped)
    assert isinstance(answer, Ask)
    assert answer.step == 2
    assert ask(skipped, vetoed) == Exhausted()
    assert ask(rule=make_rule(recover=[]), approvals=Approvals()) == Exhausted()


def test_a_step_that_was_paused_before_it_acted_waits_again() -> None:
    events = (started(), finished(result="refused", reason="paused"))
    answer = ask(*events)
    assert isinstance(answer, Start)
    assert answer.step == 1


def test_a_step_that_refused_itself_gives_way_to_the_next() -> None:
    incident: Incident = make_incident(
        confirmed(), started(), finished(result="refused", reason="no_healthy_item")
    )
    views = {1: Outlook(TARGET), 2: Outlook(TARGET)}
    answer = next_step(incident, RULE, views, approved(RULE, 1), LIMITS, NOW)
    assert isinstance(answer, Ask)
    assert answer.step == 2


def test_a_persons_approval_is_of_the_step_as_it_stood() -> None:
    edited = make_rule(verify={"hold": "10s"})
    assert reason(ask(step_approved(edited))) == (Ask, "approval_void")


def test_a_persons_approval_lapses() -> None:
    def at(minutes: float) -> Next:
        incident = make_incident(confirmed(), (ago(minutes), step_approved(RULE)))
        views = {1: Outlook(TARGET), 2: Outlook(TARGET)}
        return next_step(incident, RULE, views, Approvals(), LIMITS, NOW)

    assert isinstance(at(30), Start)
    assert reason(at(30.1)) == (Ask, "approval_lapsed")


def test_a_persons_approval_does_not_outlive_a_relapse() -> None:
    events = (step_approved(RULE), e.Recovered(step=0, text="x"), e.Relapsed(text="again"))
    assert reason(ask(*events)) == (Ask, "relapsed")


def test_a_suspect_that_is_no_longer_live_is_left_to_a_person() -> None:
    """Somebody may have deployed a mend meanwhile."""
    assert isinstance(ask(live="v2"), Start)
    assert isinstance(ask(live=""), Start)
    assert reason(ask(live="v3")) == (Ask, "changed_since")
    assert isinstance(ask(step_approved(RULE), live="v3"), Start)
    always = make_rule(recover=[{**STEPS[0], "when": "always"}])
    assert isinstance(ask(rule=always, approvals=approved(always, 1), live="v3"), Start)
