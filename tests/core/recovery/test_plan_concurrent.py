"""The plan beside other incidents of the same moment: it waits, asks, or goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.concurrent import ConcurrentIncident
from daemon.core.recovery.doubts import UPSTREAM_AWAITED
from daemon.core.recovery.guardrails import Freeze, Guard
from daemon.core.recovery.next_step import next_step
from daemon.core.recovery.plan import Outlook, scope_of
from daemon.core.recovery.step_answers import AskApproval, Next, Observe, Refuse, StartStep
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule
from tests.core.build import (
    LIMITS,
    MINUTE,
    NOW,
    SECOND,
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

RULE = make_rule(depends_on=["pay"])
PAY_RULE = make_rule(rule="pay")
PAY = ConcurrentIncident(
    incident="inc-pay",
    rule="pay",
    group_labels={"service": "pay"},
    phase="deciding",
    verdict="confirmed",
    onset_known=True,
    suspect="release:pay",
    opened_at=NOW - 20 * SECOND,
)


def incident(*events: e.Event) -> Incident:
    problem = make_problem(onset=ago(2), onset_within=4 * SECOND)
    return make_incident(confirmed(problem, blamed()), *events)


def ask(
    *events: e.Event,
    rule: Rule = RULE,
    others: tuple[ConcurrentIncident, ...] = (PAY,),
    later: timedelta = 0 * SECOND,
    **guard: Any,
) -> Next:
    view = Outlook(TARGET, guard=Guard(concurrent=others, **guard))
    return next_step(
        incident(*events),
        rule,
        dict.fromkeys(range(1, len(rule.recover) + 1), view),
        approved(rule, 1),
        LIMITS,
        NOW + later,
        RuleDependencies([rule, PAY_RULE]),
    )


def reason(answer: Next) -> tuple[type, str]:
    assert isinstance(answer, Refuse | AskApproval | Observe)
    return type(answer), answer.reason


def test_what_passes_by_itself_is_waited_for_and_nobody_is_asked() -> None:
    answer = ask()
    assert reason(answer) == (Refuse, "upstream_first")
    assert isinstance(answer, Refuse)
    assert "waits for inc-pay: pay (service=pay), which this rule depends on" in answer.text


def test_an_approval_lifts_it() -> None:
    assert isinstance(ask(step_approved(RULE)), StartStep)
    undeclared = make_rule()
    assert isinstance(ask(step_approved(undeclared), rule=undeclared), StartStep)


def test_without_a_declaration_a_person_is_asked() -> None:
    assert reason(ask(rule=make_rule())) == (AskApproval, "shared_onset")
    assert isinstance(ask(rule=make_rule(), others=()), StartStep)


def test_the_incident_upstream_acts() -> None:
    """Seen from the other side: what depends on this one does not hold it up."""
    caller = replace(PAY, rule="caller", incident="inc-caller")
    known = RuleDependencies([PAY_RULE, make_rule(rule="caller", depends_on=["pay"])])
    view = Outlook(TARGET, guard=Guard(concurrent=(caller,)))
    views = {1: view, 2: view}
    step = approved(PAY_RULE, 1)
    assert isinstance(next_step(incident(), PAY_RULE, views, step, LIMITS, NOW, known), StartStep)


def test_whoever_is_asked_for_another_reason_is_told_of_it() -> None:
    rule = make_rule(depends_on=["pay"], mode="approve")
    answer = ask(rule=rule)
    assert reason(answer) == (AskApproval, "mode_approve")
    assert isinstance(answer, AskApproval)
    assert "; besides, waits for inc-pay" in answer.text


def test_a_rule_that_only_observes_writes_it_down() -> None:
    assert reason(ask(rule=make_rule(depends_on=["pay"], mode="observe"))) == (
        Observe,
        "upstream_first",
    )


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        ({"freeze": Freeze(scope="global", reason="x", by="bo", at=ago(5))}, (Refuse, "frozen")),
        ({"locked_by": "inc-0"}, (Refuse, "target_locked")),
        ({"alerting": LIMITS.storm}, (AskApproval, "storm")),
        ({"last_finished": ago(1), "last_incident": "inc-0"}, (Refuse, "upstream_first")),
    ],
)
def test_among_the_guardrails_it_has_its_place(
    guard: dict[str, Any], expected: tuple[type, str]
) -> None:
    assert reason(ask(**guard)) == expected


def test_without_an_onset_there_is_nothing_to_compare() -> None:
    undated = make_incident(confirmed(make_problem(onset=None), blamed()))
    assert scope_of(undated, RULE, RuleDependencies([RULE])).cause is None
    dated = scope_of(incident(), RULE, RuleDependencies([RULE])).cause
    assert dated is not None
    assert (dated.begin, dated.end) == (ago(2) - 4 * SECOND, ago(2) + 4 * SECOND)
    assert (dated.suspect, dated.patience) == (TARGET, 4 * MINUTE)


class TestAlertWithoutIncident:
    """At the last look Prometheus had an alert of what the rule depends on."""

    TAKEN_BACK = (started(), finished(result="refused", reason="upstream_alerting"))

    def test_its_incident_is_waited_for_and_then_a_person_decides(self) -> None:
        alone: dict[str, Any] = {"others": ()}
        awaited = ask(*self.TAKEN_BACK, **alone, later=UPSTREAM_AWAITED - SECOND)
        assert reason(awaited) == (Refuse, "upstream_first")
        over = ask(*self.TAKEN_BACK, **alone, later=UPSTREAM_AWAITED)
        assert reason(over) == (AskApproval, "upstream_unresolved")
        assert isinstance(over, AskApproval)
        assert over.text.endswith("and no incident came of it; a person decides")
        assert isinstance(ask(*self.TAKEN_BACK, step_approved(RULE), **alone), StartStep)

    def test_once_the_incident_is_there_it_tells(self) -> None:
        assert reason(ask(*self.TAKEN_BACK)) == (Refuse, "upstream_first")
        opened_at = NOW - 5 * MINUTE
        well = replace(PAY, verdict="not_confirmed", onset_known=False, opened_at=opened_at)
        assert isinstance(ask(*self.TAKEN_BACK, others=(well,)), StartStep)


def test_steps_that_need_no_suspect_wait_as_well() -> None:
    rule = make_rule(depends_on=["pay"], recover=[{**STEPS[0], "when": "always"}])
    assert reason(ask(rule=rule)) == (Refuse, "upstream_first")
