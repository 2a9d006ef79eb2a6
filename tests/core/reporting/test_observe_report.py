"""Observed decisions against what people then did."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.reporting.observe_report import Observed, observe_report, rule_tallies, tallies
from tests.core.build import (
    ACKNOWLEDGED,
    NOW,
    TARGET,
    ago,
    confirmed,
    entries,
    finished,
    make_change,
    make_rule,
    started,
    step_approved,
)


def seen(reason: str = "", step: int = 1) -> e.StepObserved:
    return e.StepObserved(
        step=step, action="release_rollback", target=TARGET, reason=reason, text="x"
    )


def then(*events: e.Event, reason: str = "", changes: tuple[object, ...] = ()) -> Observed:
    journal = entries((ago(9), confirmed()), (ago(8), seen(reason)), *events)
    (decision,) = observe_report(journal, changes)  # type: ignore[arg-type]
    return decision


def test_people_who_start_the_very_step_agree() -> None:
    decision = then(*ACKNOWLEDGED, step_approved(make_rule()), started(), finished())
    assert (decision.then, decision.agreed) == ("started", True)


def test_people_who_switch_the_target_back_by_hand_agree() -> None:
    back = make_change("v1", ago(5), "v2")
    assert then(changes=(back,)).then == "reverted_by_hand"
    assert then(changes=(back,)).agreed is True
    assert then(changes=(make_change("v1", ago(20), "v0"),)).then == "nothing_yet"
    elsewhere = make_change("v1", ago(5), "v2", subject="release:other")
    assert then(changes=(elsewhere,)).then == "nothing_yet"
    over = e.IncidentClosed(reason="by_person", text="x")
    late = make_change("v1", NOW.replace(hour=20), "v2")
    assert then(over, changes=(late,)).then == "recovered_alone"


def test_what_would_have_started_stays_so_when_people_were_quicker_to_switch_back() -> None:
    """The daemon sees their rollback, and from then on would ask: the decision was made before."""
    back = make_change("v1", ago(5), "v2")
    decision = then((ago(4), seen("changed_since")), changes=(back,))
    assert (decision.reason, decision.then, decision.agreed) == ("", "reverted_by_hand", True)


def test_what_the_daemon_passed_over_by_itself_was_forbidden_by_nobody() -> None:
    passed = e.StepSkipped(step=1, reason="no_healthy_item", text="x")
    assert then(passed, reason="no_healthy_item").then == "nothing_yet"


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((started(2), finished(2)), "did_otherwise"),
        ((e.StepVetoed(step=1, person="ada"),), "forbidden"),
        ((e.StepSkipped(step=1, reason="skipped_by_person", text="x"),), "forbidden"),
        ((e.Recovered(step=0, text="x"),), "recovered_alone"),
    ],
)
def test_whatever_else_happens_speaks_against_it(
    events: tuple[e.Event, ...], expected: str
) -> None:
    decision = then(*events)
    assert (decision.then, decision.agreed) == (expected, False)
    # Whoever would have asked was right to.
    assert then(*events, reason="storm").agreed is True


def test_what_is_still_open_counts_for_nothing() -> None:
    decision = then()
    assert (decision.then, decision.agreed) == ("nothing_yet", None)


def test_the_last_observation_of_a_step_counts() -> None:
    journal = entries(confirmed(), seen("cooldown"), seen(), started(), finished())
    (decision,) = observe_report(journal)
    assert (decision.reason, decision.agreed) == ("", True)


def test_nothing_observed_is_nothing_told() -> None:
    assert observe_report(entries(confirmed(), started(), finished())) == []
    assert tallies([]) == []
    assert rule_tallies([]) == []


def observed(incident: str, agreed: bool | None, step: int = 1, reason: str = "") -> Observed:
    """One observed decision, as people's reaction has judged it."""
    known = then(started(), finished(), reason=reason)
    return known.model_copy(update={"incident": incident, "step": step, "agreed": agreed})


def test_steps_are_counted_each() -> None:
    missed = observed("b", agreed=False, reason="storm")
    (tally,) = tallies([observed("a", agreed=True)] * 3 + [observed("a", agreed=None), missed])
    assert (tally.acted, tally.right, tally.wrong, tally.missed) == (4, 3, 0, 1)
    assert tally.pending == 1


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ([("", True), ("", True)], "right"),
        ([("", True), ("", False)], "wrong"),
        ([("", None), ("", False)], "wrong"),
        ([("", True), ("", None)], "pending"),
        ([("storm", False)], "missed"),
        ([("storm", True), ("cooldown", True)], "refrained"),
        ([("storm", True), ("cooldown", False)], "missed"),
        ([("storm", None), ("cooldown", True)], "pending"),
        ([("storm", False), ("", True)], "right"),
    ],
)
def test_an_incident_counts_once_whatever_its_steps(
    group: list[tuple[str, bool | None]], expected: str
) -> None:
    decisions = [
        observed("inc", agreed, step, reason) for step, (reason, agreed) in enumerate(group, 1)
    ]
    (tally,) = rule_tallies(decisions)
    counts = tally.model_dump(include={"right", "wrong", "missed", "refrained", "pending"})
    assert tally.incidents == 1
    assert {name for name, count in counts.items() if count} == {expected}


def test_the_advice_goes_by_incidents() -> None:
    five = [observed(str(n), agreed=True, step=step) for n in range(5) for step in (1, 2)]
    (tally,) = rule_tallies(five)
    assert "right in all 5 incidents" in tally.advice
    assert "is earned" in tally.advice
    (tally,) = rule_tallies(five[:8])
    assert tally.advice == "right in 4 incidents so far; wait for 5"
    two = [observed("bad", agreed=False, step=step) for step in (1, 2)]
    (tally,) = rule_tallies([*five, *two])
    assert (tally.incidents, tally.wrong) == (6, 1)
    assert tally.advice.startswith("it would have been wrong in 1 of 6 incidents")


def test_each_rule_has_its_own() -> None:
    other = observed("c", agreed=True).model_copy(update={"rule": "other"})
    assert [tally.rule for tally in rule_tallies([observed("a", agreed=True), other])] == [
        "checkout",
        "other",
    ]
