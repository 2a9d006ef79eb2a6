"""A threshold evaluated over time: a problem, a reading of recovery, a mark of a revision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.measurement.precedents import threshold_precedents
from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.threshold import Evaluation, LeafSamples
from daemon.core.measurement.threshold_assessment import (
    assess_threshold,
    judge_threshold_life,
    leading_leaf,
    threshold_reading,
    worse_side,
)
from daemon.core.rules.rule import ProblemSpec
from tests.core.build import NOW, ago

MINUTE = timedelta(minutes=1)
STEP = timedelta(seconds=15)
MEMORY = {"symptom": "memory in use", "value": "max(m)", "threshold": {"above": 90}}
PROBE = {
    "symptom": "status of the probe",
    "threshold": {
        "any": [
            {"value": "min(code)", "below": 200},
            {"value": "max(code)", "at_least": 400},
        ]
    },
}
Values = Sequence[float | None]


def spec_of(written: Mapping[str, Any], **more: Any) -> ProblemSpec:
    return ProblemSpec.model_validate({"severity": {"sev1": "5%", "sev2": "0%"}, **written, **more})


def evaluated(spec: ProblemSpec, *values: Values) -> Evaluation:
    count = len(values[0])
    moments = [(NOW - STEP * (count - 1 - number)).timestamp() for number in range(count)]
    leaves = [
        LeafSamples(leaf, numbers)
        for leaf, numbers in zip(spec.condition.leaves(), values, strict=True)
    ]
    return Evaluation(spec.condition, leaves, moments)


def assessed(spec: ProblemSpec, *values: Values, **more: Any) -> Problem:
    return assess_threshold(spec, evaluated(spec, *values), more.pop("traffic", {}), NOW, **more)


def test_a_threshold_that_is_passed_for_most_of_the_shortest_window_is_confirmed() -> None:
    problem = assessed(spec_of(MEMORY), [61.0] * 100 + [96.25] * 9)
    assert (problem.verdict, problem.reason) == ("confirmed", "threshold_passed")
    assert (problem.kind, problem.level, problem.bounds) == ("threshold", 96.25, "above 90")
    assert problem.text == "memory in use 96.2, above 90 since 14:07:52 UTC (usually 61)"
    assert problem.loss == pytest.approx(6.25 / 90)
    assert problem.severity == "sev1"
    assert problem.baseline == 61.0
    assert problem.baseline_until == ago(2) - STEP
    assert problem.baseline_from == ago(2) - 100 * STEP
    assert problem.onset_bounds == (ago(2) - STEP, ago(2))
    assert not problem.healthy


def test_no_past_is_needed_to_confirm() -> None:
    problem = assessed(spec_of(MEMORY), [None] * 50 + [95.0] * 3)
    assert problem.verdict == "confirmed"
    assert (problem.onset, problem.baseline) == (None, None)
    assert problem.begun_by == NOW - 2 * STEP
    assert problem.text.endswith("above 90 since 14:09:30 UTC or longer")


def test_what_held_all_along_began_before_anything_that_can_be_seen() -> None:
    problem = assessed(spec_of(MEMORY), [95.0] * 181)
    assert problem.verdict == "confirmed"
    assert problem.onset is None
    assert problem.onset_bounds == (None, None)
    assert problem.begun_by == ago(45)
    assert problem.text == "memory in use 95, above 90 for longer than 45m"


def test_within_the_threshold_there_is_no_problem() -> None:
    problem = assessed(spec_of(MEMORY), [96.0] * 50 + [72.0] * 9)
    assert (problem.verdict, problem.reason) == ("not_confirmed", "within_threshold")
    assert problem.text == "memory in use 72, not above 90"
    assert problem.healthy
    assert problem.severity == ""


def test_one_evaluation_alone_confirms_nothing_and_is_not_healthy() -> None:
    problem = assessed(spec_of(MEMORY), [61.0] * 50 + [95.0])
    assert (problem.verdict, problem.reason) == ("not_confirmed", "threshold_not_held")
    assert not problem.healthy
    assert "at 1 of the 4 evaluations of the last 1m only" in problem.text


@pytest.mark.parametrize(("held", "verdict"), [(2, "not_confirmed"), (3, "confirmed")])
def test_more_than_half_of_the_window_is_needed(held: int, verdict: str) -> None:
    values = [61.0] * 50 + [61.0] * (4 - held) + [95.0] * held
    assert assessed(spec_of(MEMORY), values).verdict == verdict


def test_the_number_is_told_so_that_it_is_seen_which_side_it_is_on() -> None:
    assert "memory in use 90.04, above 90 " in assessed(spec_of(MEMORY), [61.0, *[90.04] * 9]).text
    at_least = spec_of({**MEMORY, "threshold": {"at_least": 90}})
    assert assessed(at_least, [89.9996] * 9).text == "memory in use 89.9996, not at least 90"


def test_an_infinite_number_is_beyond_every_bound_and_is_told_in_words_alone() -> None:
    problem = assessed(spec_of(MEMORY), [61.0] * 50 + [math.inf] * 9)
    assert problem.verdict == "confirmed"
    assert problem.severity == "sev1"
    assert "memory in use +Inf (beyond the largest bucket), above 90" in problem.text
    assert (problem.level, problem.loss, problem.conditions[0].level) == (None, None, None)
    assert "Infinity" not in problem.model_dump_json()


@pytest.mark.parametrize(
    ("written", "value", "severity"),
    [
        ({"sev1": "5%", "sev2": "0%"}, 94.4, "sev2"),
        ({"sev1": "5%", "sev2": "0%"}, 94.6, "sev1"),
        ({"sev3": "0%"}, 200.0, "sev3"),
        ({}, 95.0, "sev4"),
    ],
)
def test_severity_is_how_much_the_threshold_is_passed_relative_to_it(
    written: dict[str, str], value: float, severity: str
) -> None:
    assert (
        assessed(spec_of(MEMORY, severity=written), [61.0] * 9 + [value] * 9).severity == severity
    )


def test_of_joined_conditions_those_that_hold_are_told() -> None:
    problem = assessed(spec_of(PROBE), [503.0] * 60, [200.0] * 50 + [503.0] * 10)
    assert problem.verdict == "confirmed"
    assert problem.text == (
        "status of the probe: max(code) 503, at least 400 since 14:07:37 UTC (usually 200)"
    )
    assert (problem.leading, problem.level, problem.bounds) == (1, 503.0, "at least 400")
    assert [(one.query, one.holds) for one in problem.conditions] == [
        ("min(code)", False),
        ("max(code)", True),
    ]


def test_of_joined_conditions_that_do_not_hold_all_are_told() -> None:
    problem = assessed(spec_of(PROBE), [200.0] * 9, [200.0] * 9)
    assert problem.reason == "within_threshold"
    assert problem.text == (
        "status of the probe: the threshold is not passed: min(code) 200, not below 200; "
        "max(code) 200, not at least 400"
    )


def test_any_is_confirmed_though_another_leaf_cannot_be_read() -> None:
    assert assessed(spec_of(PROBE), [None] * 60, [503.0] * 60).verdict == "confirmed"
    with pytest.raises(Unmeasurable) as raised:
        assessed(spec_of(PROBE), [None] * 60, [200.0] * 60)
    assert raised.value.reason == "empty_answer"


def test_too_little_traffic_is_a_verdict_of_its_own() -> None:
    spec = spec_of(MEMORY, total="t", confirm={"traffic": "60/m"})
    busy = {spec.windows[0]: 100.0, spec.windows[1]: 500.0}
    problem = assessed(spec, [95.0] * 9, traffic=busy)
    assert problem.verdict == "confirmed"
    assert [window.traffic for window in problem.windows] == [100.0, 100.0]
    with pytest.raises(Unmeasurable) as raised:
        assessed(spec, [95.0] * 9, traffic={**busy, spec.windows[0]: 10.0})
    assert raised.value.reason == "traffic_below_minimum"


def test_numbers_that_are_late_may_have_been_so_before() -> None:
    early, late = assessed(spec_of(MEMORY), [61.0] * 50 + [95.0] * 9, slack=MINUTE).onset_bounds
    assert (early, late) == (ago(2) - STEP - MINUTE, ago(2))


# ── recovery ─────────────────────────────────────────────────────────────────────────────────


def read(spec: ProblemSpec, *values: Values) -> RecoveryReading:
    count = len(values[0])
    problem = assessed(spec, *([503.0] * count for _ in values))
    return threshold_reading(spec, problem, evaluated(spec, *values), NOW)


@pytest.mark.parametrize(
    ("values", "state", "reason"),
    [
        ([95.0] * 9, "impaired", "threshold_passed"),
        ([61.0] * 8 + [95.0], "degraded", "threshold_not_held"),
        ([95.0] * 8 + [61.0], "degraded", "newest_samples_well"),
        ([95.0] * 5 + [61.0] * 4, "healthy", "within_threshold"),
        ([61.0] * 8 + [None], "unreadable", "empty_answer"),
        ([61.0] * 8 + [math.nan], "unreadable", "not_a_number"),
        ([95.0] * 5 + [None] * 3 + [61.0], "unreadable", "empty_answer"),
    ],
)
def test_a_reading_is_healthy_once_the_whole_window_is_within_the_threshold(
    values: list[float | None], state: str, reason: str
) -> None:
    reading = read(spec_of(MEMORY), values)
    assert (reading.state, reading.reason) == (state, reason)
    assert bool(reading.severity) is (state == "impaired")


def test_a_reading_says_the_number_beside_the_bounds() -> None:
    reading = read(spec_of(MEMORY), [72.0] * 9)
    assert (reading.level, reading.text) == (72.0, "memory in use 72, not above 90")
    assert reading.describe() == "healthy (within_threshold): memory in use 72, not above 90"


def test_a_reading_is_of_the_leaf_that_led_when_it_was_confirmed() -> None:
    spec = spec_of(PROBE)
    problem = assessed(spec, [200.0] * 9, [503.0] * 9)
    reading = threshold_reading(spec, problem, evaluated(spec, [100.0] * 9, [300.0] * 9), NOW)
    assert (reading.state, reading.level) == ("impaired", 300.0)
    assert leading_leaf(spec, problem).value == "max(code)"
    assert leading_leaf(spec_of(MEMORY), problem).value == "max(m)"  # the rule was edited


# ── what else is judged by it ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        ([61.0] * 40, "healthy"),
        ([61.0] * 39 + [95.0], "healthy"),
        ([61.0] * 30 + [95.0] * 10, None),
        ([61.0] * 10 + [95.0] * 30, "bad"),
        ([61.0] * 5, None),
        ([None] * 40, None),
    ],
)
def test_a_revision_was_healthy_if_the_threshold_was_hardly_ever_passed(
    values: list[float | None], mark: str | None
) -> None:
    assert judge_threshold_life(evaluated(spec_of(MEMORY), values)) == mark


def test_earlier_times_at_which_it_was_passed_are_precedents() -> None:
    spec = spec_of(MEMORY)
    earlier = [61.0] * 30 + [95.0] * 8 + [61.0] * 40 + [95.0] * 8
    evaluation = evaluated(spec, earlier)
    (found,) = threshold_precedents(spec, assessed(spec, earlier), evaluation)
    assert found.begin == NOW - 55 * STEP - MINUTE
    assert found.end == NOW - 48 * STEP
    first = [61.0] * 70 + [95.0] * 8
    assert threshold_precedents(spec, assessed(spec, first), evaluated(spec, first)) == []


@pytest.mark.parametrize(
    ("bounds", "side"),
    [({"above": 1}, 1.0), ({"at_most": 1}, -1.0), ({"differs_from": 200}, -1.0)],
)
def test_the_worse_side_is_that_of_the_bounds_or_of_what_was_usual(
    bounds: dict[str, float], side: float
) -> None:
    spec = spec_of({"symptom": "s", "value": "v", "threshold": bounds})
    usual = 0.0 if "above" in bounds else 200.0
    problem = assessed(spec, [usual] * 40 + [150.0 if "above" in bounds else 0.0] * 9)
    assert worse_side(spec, problem) == side
