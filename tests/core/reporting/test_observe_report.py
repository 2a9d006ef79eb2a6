"""Observed decisions against what people then did."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.reporting.observe_report import Observed, observe_report, tallies
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


def test_the_tally_says_when_a_promotion_is_earned() -> None:
    right = then(started(), finished())
    wrong = then(e.Recovered(step=0, text="x"))
    missed = then(started(), finished(), reason="storm")
    (tally,) = tallies([right] * 5)
    assert (tally.acted, tally.right, tally.wrong) == (5, 5, 0)
    assert "is earned" in tally.advice
    (tally,) = tallies([right] * 4 + [then()])
    assert (tally.right, tally.pending) == (4, 1)
    assert "wait for 5" in tally.advice
    (tally,) = tallies([right] * 9 + [wrong, missed])
    assert (tally.acted, tally.wrong, tally.missed) == (10, 1, 1)
    assert "1 of 10 would have been wrong" in tally.advice
