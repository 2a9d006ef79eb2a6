"""Readings after a step become one of six verdicts, and none before its time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.incident.step_state import StepState
from daemon.core.measurement.problem import ConditionReading, Problem, RecoveryReading
from daemon.core.recovery.verification import (
    Ruling,
    first_reading_at,
    pace,
    recovered_alone,
    rule_on,
)
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome, Result
from tests.core.build import (
    MINUTE,
    NOW,
    SECOND,
    VALUE,
    confirmed,
    each_minute,
    healthy,
    impaired,
    make_incident,
    make_problem,
    make_rule,
    unreadable,
)

RULE = make_rule()
FIRST = NOW + 2 * MINUTE
"""NOW, when the action ended, plus a minute to settle and the shortest window."""


def judge(
    *readings: RecoveryReading,
    result: Result = "done",
    now: datetime | None = None,
    rule: Rule = RULE,
    problem: Problem | None = None,
) -> Ruling:
    step = StepState(
        1,
        status="finished",
        action="release_rollback",
        finished_at=NOW,
        outcome=Outcome(result=result, reason="so", detail="so"),
        readings=readings,
    )
    at = now or (readings[-1].at if readings else NOW)
    return rule_on(rule, problem or make_problem(), step, at)


def test_where_the_metrics_are_behind_the_first_reading_waits_for_them() -> None:
    late = make_problem(behind=11 * SECOND)
    assert first_reading_at(RULE, late, NOW) == FIRST + 11 * SECOND
    assert judge(problem=late) == Ruling(None, "", FIRST + 11 * SECOND)


def test_the_first_reading_holds_nothing_from_before_the_step_and_its_settling() -> None:
    assert first_reading_at(RULE, make_problem(), NOW) == FIRST
    assert judge() == Ruling(None, "", FIRST)
    assert judge(now=NOW + MINUTE).again_at == FIRST


def test_recovered_needs_the_whole_hold_time() -> None:
    early = judge(*each_minute(healthy, FIRST, 2.9))
    assert early.verdict is None
    assert early.again_at <= FIRST + 4 * MINUTE
    held = judge(*each_minute(healthy, FIRST, 3))
    assert held.verdict == "recovered"
    assert held.text == "success rate 79.0 % → 99.0 %, baseline 99.0 %, held for 3m"


def test_one_healthy_reading_is_not_recovered() -> None:
    assert judge(healthy(FIRST)).verdict is None
    assert judge(healthy(FIRST + 10 * MINUTE)).verdict is None


@pytest.mark.parametrize("gap", [impaired(FIRST + MINUTE), unreadable(FIRST + MINUTE)])
def test_the_hold_time_begins_anew_after_a_gap(gap: RecoveryReading) -> None:
    def after(minutes: float) -> str | None:
        later = each_minute(healthy, FIRST + 1.5 * MINUTE, minutes)
        return judge(healthy(FIRST), gap, *later).verdict

    assert after(2.9) is None
    assert after(3) == "recovered"


def test_what_nobody_measured_was_not_healthy() -> None:
    """The daemon was down in between."""
    assert judge(healthy(FIRST), healthy(FIRST + 10 * MINUTE)).verdict is None


def test_a_failed_action_gets_no_credit() -> None:
    readings = each_minute(healthy, FIRST, 3)
    assert judge(*readings, result="failed").verdict == "self_recovered"
    assert judge(*readings, result="unknown").verdict == "self_recovered"


def test_a_loss_that_stays_is_unchanged_after_the_hold_time() -> None:
    assert judge(impaired(FIRST)).verdict is None
    assert judge(impaired(FIRST), impaired(FIRST + 2.9 * MINUTE)).verdict is None
    assert judge(impaired(FIRST), impaired(FIRST + 3 * MINUTE)).verdict == "unchanged"


@pytest.mark.parametrize(
    ("loss", "verdict"), [(0.1, "partial"), (0.02, "partial"), (0.101, "unchanged")]
)
def test_a_loss_that_halved_is_partial(loss: float, verdict: str) -> None:
    readings = (impaired(FIRST), impaired(FIRST + 3 * MINUTE, loss))
    assert judge(*readings).verdict == verdict


def test_a_loss_is_halved_only_if_it_is_however_early_it_began() -> None:
    """4 s after the estimated onset a window of a minute shows little of the loss; the onset may
    have been 40 s before, and then it showed most of it."""
    early = make_problem(loss=0.2, onset=NOW - 4 * SECOND)
    unsure = early.model_copy(update={"onset_within": 40 * SECOND})
    readings = (impaired(FIRST, 0.25), impaired(FIRST + 3 * MINUTE, 0.25))
    assert judge(*readings, problem=unsure).verdict == "unchanged"
    sure = early.model_copy(update={"onset_within": timedelta(0)})
    assert judge(*readings, problem=sure).verdict == "partial"


def test_worse_needs_two_readings_in_a_row() -> None:
    assert judge(impaired(FIRST, 0.4)).verdict is None
    one = (impaired(FIRST, 0.4), impaired(FIRST + MINUTE, 0.2))
    assert judge(*one).verdict is None
    broken = (impaired(FIRST, 0.4), unreadable(FIRST + MINUTE), impaired(FIRST + 2 * MINUTE, 0.4))
    assert judge(*broken).verdict is None
    assert judge(impaired(FIRST, 0.4), impaired(FIRST + MINUTE, 0.4)).verdict == "worse"


@pytest.mark.parametrize(
    ("loss", "spread", "verdict"),
    [(0.211, 0.005, "worse"), (0.209, 0.005, None), (0.25, 0.06, None)],
)
def test_worse_must_exceed_the_threshold_and_chance(
    loss: float, spread: float, verdict: str | None
) -> None:
    readings = [impaired(FIRST + n * MINUTE, loss, spread=spread) for n in range(2)]
    assert judge(*readings).verdict == verdict


def test_a_window_that_fills_with_the_trouble_is_not_worse() -> None:
    """Measured 30 s after the onset, a window of a minute shows half of the loss."""
    early = make_problem(loss=0.1, onset=NOW - 30 * SECOND)
    filled = [impaired(FIRST + n * MINUTE, 0.2, spread=0.005) for n in range(2)]
    assert judge(*filled, problem=early).verdict is None
    more = [impaired(FIRST + n * MINUTE, 0.24, spread=0.005) for n in range(2)]
    sure = early.model_copy(update={"onset_within": timedelta(0)})
    assert judge(*more, problem=sure).verdict == "worse"
    assert judge(*more, problem=early).verdict is None  # the onset is unsure by 30 s
    old = make_problem(loss=0.1, onset=NOW - 5 * MINUTE)
    assert judge(*filled, problem=old).verdict == "worse"


@pytest.mark.parametrize("baseline", [0.0, 100.0])
def test_noise_about_a_value_is_not_worse(baseline: float) -> None:
    """`by` is in the metric's unit, the loss relative to the baseline."""
    problem_spec = {**VALUE, "confirm": {"by": 50}}
    rule = make_rule(problem=problem_spec, verify={"settle": "1m", "hold": "3m"})
    scale = baseline or 1.0
    problem = make_problem(loss=200 / scale, baseline=baseline, kind="value")

    def reading(n: int, level: float) -> RecoveryReading:
        loss = (level - baseline) / scale
        return RecoveryReading(
            at=FIRST + n * MINUTE,
            state="impaired",
            reason="away_from_baseline",
            level=level,
            loss=loss,
        )

    def verdict(*levels: float) -> str | None:
        readings = [reading(n, baseline + level) for n, level in enumerate(levels)]
        return judge(*readings, rule=rule, problem=problem).verdict

    assert verdict(201, 203) is None
    assert verdict(249, 249) is None
    assert verdict(251, 251) == "worse"
    assert verdict(199, 199, 199, 199) == "unchanged"
    assert verdict(199, 150, 120, 90) == "partial"


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [
        ((96, 96), None),
        ((104.9, 104.9), None),
        ((105.1, 105.1), "worse"),
        ((96, 96, 96, 96), "unchanged"),
        ((96, 94, 93, 92.5), "partial"),
    ],
)
def test_a_threshold_is_worse_if_passed_by_as_much_again_and_a_tenth_of_it_at_least(
    levels: tuple[float, ...], verdict: str | None
) -> None:
    rule = make_rule(
        problem={"symptom": "memory", "value": "m", "threshold": {"above": 90}},
        verify={"settle": "1m", "hold": "3m"},
    )
    leaf = ConditionReading(query="m", bounds="above 90", level=96, holds=True)
    problem = make_problem(loss=6 / 90, kind="threshold", conditions=[leaf])
    readings = [
        RecoveryReading(
            at=FIRST + n * MINUTE,
            state="impaired",
            reason="threshold_passed",
            level=level,
            loss=(level - 90) / 90,
        )
        for n, level in enumerate(levels)
    ]
    ruling = judge(*readings, rule=rule, problem=problem)
    assert ruling.verdict == verdict
    assert verdict is None or "a problem if above 90" in ruling.text


def test_what_equals_what_it_must_not_is_neither_worse_nor_better_while_it_does() -> None:
    rule = make_rule(
        problem={"symptom": "up", "value": "up", "threshold": {"equals": 0}},
        verify={"settle": "1m", "hold": "3m"},
    )
    problem = make_problem(loss=0.0, kind="threshold")
    readings = [
        RecoveryReading(
            at=FIRST + n * MINUTE, state="impaired", reason="threshold_passed", level=0, loss=0
        )
        for n in range(4)
    ]
    assert judge(*readings, rule=rule, problem=problem).verdict == "unchanged"


def test_unreadable_gets_twice_the_hold_time_before_a_person_is_called() -> None:
    assert judge(unreadable(FIRST), unreadable(FIRST + 5.9 * MINUTE)).verdict is None
    ruling = judge(unreadable(FIRST), unreadable(FIRST + 6 * MINUTE))
    assert ruling.verdict == "inconclusive"
    assert ruling.text.startswith("prometheus unreachable: recovery can be neither seen nor")


def test_a_reading_is_asked_for_again_and_again() -> None:
    ruling = judge(impaired(FIRST))
    assert FIRST < ruling.again_at <= FIRST + MINUTE


kinds = st.lists(st.sampled_from("hiwu"), min_size=1, max_size=60)


@given(kinds, st.integers(min_value=15, max_value=120))
def test_every_course_of_readings_ends_in_one_verdict(course: list[str], every: int) -> None:
    make = {
        "h": healthy,
        "i": impaired,
        "w": lambda at: impaired(at, 0.6),
        "u": unreadable,
    }
    readings: list[RecoveryReading] = []
    for n, kind in enumerate([*course, *(course[-1] * 60)]):
        at = FIRST + n * every * SECOND
        readings.append(make[kind](at))
        ruling = judge(*readings)
        if ruling.verdict is None:
            assert ruling.again_at > at
            continue
        tail = readings[-1].state
        assert (ruling.verdict == "inconclusive") == (tail == "unreadable")
        assert (ruling.verdict == "recovered") == (tail == "healthy")
        assert ruling.text
        return
    pytest.fail("never decided")


@given(st.floats(0, 1e7), st.sampled_from(["1s", "10s", "1m", "10m"]))
def test_the_pace_slows_but_never_stops(seconds: float, window: str) -> None:
    rule = make_rule(problem={**RULE.problem.model_dump(), "windows": [window], "baseline": "1h"})
    wait = pace(rule, NOW, NOW + timedelta(seconds=seconds))
    assert SECOND <= wait <= max(10 * MINUTE, rule.problem.windows[0])


def recovery(*readings: RecoveryReading) -> bool:
    told: Sequence[tuple[datetime, e.Event]] = [
        (reading.at, e.RecoveryMeasured(step=0, reading=reading)) for reading in readings
    ]
    return recovered_alone(make_incident(confirmed(), *told), RULE)


def test_it_has_recovered_alone_after_the_hold_time_of_health() -> None:
    assert not recovery()
    assert not recovery(healthy(NOW))
    assert not recovery(*each_minute(healthy, NOW, 2.9))
    assert recovery(*each_minute(healthy, NOW, 3))
    assert not recovery(healthy(NOW), healthy(NOW + 3 * MINUTE))


@pytest.mark.parametrize("gap", [impaired(NOW + MINUTE), unreadable(NOW + MINUTE)])
def test_what_cannot_be_read_is_no_health(gap: RecoveryReading) -> None:
    assert not recovery(healthy(NOW), gap, *each_minute(healthy, NOW + 1.5 * MINUTE, 2.9))
    assert recovery(healthy(NOW), gap, *each_minute(healthy, NOW + 1.5 * MINUTE, 3))
