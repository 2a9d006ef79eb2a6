"""A service without a past is compared with its target, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.measurement.assessment import assess_counts, assess_value
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.recovery_reading import read_recovery
from daemon.core.rules.rule import ProblemSpec, VerifySpec, load
from daemon.core.values.units import clock_time
from daemon.core.values.yaml_document import Mistakes
from tests.core.build import MINUTE, NOW, ago, counts_spec, make_change, simulate, value_spec
from tests.core.rules.test_rule_documents import GOOD

TARGET = counts_spec(target="99.9%")
LATENCY = value_spec(target=0.3, direction="lower_is_better")


def young(
    spec: ProblemSpec, age: float, *shares: tuple[float, float], changes: Any = ()
) -> Problem:
    """A service that was first seen so many minutes ago."""
    seen = simulate(spec, 7, 3000, *shares)
    history = [b for b in seen.history if b.end > (NOW - age * MINUTE).timestamp()]
    return assess_counts(spec, seen.windows, history, NOW, changes)


def latencies(
    spec: ProblemSpec, age: float, level: float, before: float | None = None, since: float = 6
) -> Problem:
    """A value that was first seen so many minutes ago, and has been at `level` for `since`."""
    step = 15
    history = [
        (
            NOW.timestamp() - ago,
            (level if before is None or ago <= since * 60 else before) * (1 + 0.02 * (ago % 4 - 1)),
        )
        for ago in range(int(age * 60) - step + 1, -1, -step)
    ]
    windows = {w: [v for at, v in history if at > (NOW - w).timestamp()] for w in spec.windows}
    return assess_value(spec, windows, {}, history, NOW)


def test_without_a_target_a_service_without_a_past_is_not_judged() -> None:
    with pytest.raises(Unmeasurable) as trouble:
        young(counts_spec(), 4, (60, 0.2))
    assert trouble.value.reason == "no_baseline"


@pytest.mark.parametrize("age", [6, 15, 40])
@pytest.mark.parametrize(("share", "level"), [(1.0, "0.0 %"), (0.5, "49.7 %")])
def test_what_fails_from_the_first_request_on_is_told_so_and_is_not_healthy(
    age: float, share: float, level: str
) -> None:
    problem = young(counts_spec(), age, (60, share))
    assert (problem.verdict, problem.reason) == ("not_confirmed", "no_baseline")
    assert not problem.healthy
    first = clock_time(ago(age) + MINUTE / 4)
    assert problem.text == (
        f"success rate {level} since its first request at {first}: nothing to compare with; "
        "give the rule a `target`"
    )
    assert (problem.baseline, problem.baseline_from, problem.baseline_traffic) == (None,) * 3
    assert problem.level == pytest.approx(1 - share, abs=0.01)


def test_what_is_as_bad_as_ever_and_older_than_the_look_back_is_what_is_usual() -> None:
    problem = young(counts_spec(), 61, (90, 0.5))
    assert (problem.reason, problem.healthy) == ("loss_below_threshold", True)
    assert "49.9 % → 49.7 %" in problem.text


def test_a_young_service_that_is_well_now_or_failed_as_little_as_usual_is_compared() -> None:
    assert young(counts_spec(), 15, (60, 0.002)).reason == "loss_below_threshold"
    better = young(counts_spec(), 15, (60, 0.5), (6, 0.0))
    assert better.reason == "loss_below_threshold"
    assert young(counts_spec(), 15, (60, 0.02), (6, 0.5)).verdict == "confirmed"


def test_what_fails_from_the_first_request_on_is_compared_with_the_target() -> None:
    problem = young(TARGET, 4, (60, 0.2))
    assert problem.verdict == "confirmed"
    assert (problem.target, problem.baseline) == pytest.approx((0.999, 0.999))
    assert problem.loss == pytest.approx(0.199, abs=0.02)
    assert (problem.baseline_from, problem.baseline_until) == (None, None)
    assert problem.severity == "sev2"
    assert "success rate 81.1 %" in problem.text
    assert " against the target of 99.9 %, " in problem.text


def test_nothing_is_dated_that_was_not_seen_to_begin() -> None:
    problem = young(TARGET, 10, (60, 0.2), changes=[make_change("v2", ago(9))])
    assert problem.verdict == "confirmed"
    assert problem.onset is None


def test_an_onset_that_was_seen_is_dated_though_the_target_is_compared_with() -> None:
    problem = young(TARGET, 15, (60, 0.0005), (6, 0.2))
    assert problem.target == pytest.approx(0.999)
    assert problem.onset is not None
    assert abs(problem.onset - (NOW - 6 * MINUTE)) < MINUTE


@pytest.mark.parametrize(("age", "target"), [(15, pytest.approx(0.999)), (45, None)])
def test_the_past_is_compared_with_once_half_of_the_look_back_was_seen(
    age: float, target: Any
) -> None:
    assert young(TARGET, age, (60, 0.01), (6, 0.2)).target == target


def test_a_loss_under_the_threshold_is_not_confirmed_and_says_against_what() -> None:
    problem = young(TARGET, 15, (60, 0.005))
    assert (problem.verdict, problem.reason) == ("not_confirmed", "loss_below_threshold")
    assert "not enough worse than the target to be confirmed" in problem.text


def test_a_difference_that_may_be_chance_is_not_confirmed() -> None:
    spec = counts_spec(target="99%", confirm={"drop": "0.5%"})
    few = assess_counts(spec, dict.fromkeys(spec.windows, (1.0, 60.0)), [], NOW)
    assert (few.verdict, few.reason) == ("not_confirmed", "not_significant")
    many = assess_counts(spec, dict.fromkeys(spec.windows, (100.0, 6000.0)), [], NOW)
    assert many.verdict == "confirmed"


def test_recovery_is_near_the_target() -> None:
    problem, verify = young(TARGET, 4, (60, 0.2)), VerifySpec()
    well = read_recovery(TARGET, verify, problem, None, (1.0, 3000.0), NOW)
    assert (well.state, well.reason) == ("healthy", "near_baseline")
    off = read_recovery(TARGET, verify, problem, None, (25.0, 3000.0), NOW)
    assert off.state == "degraded"
    bad = read_recovery(TARGET, verify, problem, None, (600.0, 3000.0), NOW)
    assert bad.state == "impaired"


def test_a_value_has_a_target_in_its_own_unit() -> None:
    problem = latencies(LATENCY, 8, 0.9)
    assert (problem.verdict, problem.target, problem.baseline) == ("confirmed", 0.3, 0.3)
    assert problem.text.startswith("latency 0.9")
    assert "against the target of 0.3" in problem.text
    assert latencies(LATENCY, 8, 0.31).verdict == "not_confirmed"
    assert latencies(LATENCY, 45, 0.9).target is None


def test_a_value_where_more_is_better_misses_its_target_from_below() -> None:
    spec = value_spec(target=100, direction="higher_is_better")
    assert latencies(spec, 8, 30).verdict == "confirmed"
    assert latencies(spec, 8, 300).verdict == "not_confirmed"


@pytest.mark.parametrize(
    ("problem", "wrong"),
    [
        ("target: 99.9", "99.9 is no success rate; write it like 99.9%"),
        ("target: 0", "0 is no success rate"),
        ("target: 200%", "'200%' is no success rate; write it like 99.9%"),
    ],
)
def test_a_target_that_is_no_success_rate_is_a_mistake_with_its_line(
    problem: str, wrong: str
) -> None:
    text = GOOD.replace("  confirm:", f"  {problem}\n  confirm:")
    with pytest.raises(Mistakes) as found:
        load(text, "rules/x.yaml")
    (mistake,) = [m for m in found.value.mistakes if wrong in str(m)]
    assert str(mistake).startswith("rules/x.yaml:")
