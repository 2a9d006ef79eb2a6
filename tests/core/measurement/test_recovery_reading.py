"""What counts as well again: near the baseline, under the threshold, with enough traffic."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.measurement.recovery_reading import corrected, read_recovery
from daemon.core.rules.rule import VerifySpec
from tests.core.build import NOW, counts_spec, make_problem, value_spec

SPEC = counts_spec()
VERIFY = VerifySpec.model_validate({"near_baseline": "0.5%", "traffic": "50%"})


@pytest.mark.parametrize(
    ("counted", "state", "reason"),
    [
        ((6.0, 600.0), "healthy", "near_baseline"),
        ((9.0, 600.0), "healthy", "near_baseline"),
        ((9.1, 600.0), "degraded", "away_from_baseline"),
        ((11.9, 600.0), "degraded", "away_from_baseline"),
        ((12.1, 600.0), "impaired", "away_from_baseline"),
        ((0.0, 600.0), "healthy", "near_baseline"),
        ((600.0, 600.0), "impaired", "away_from_baseline"),
        ((3.0, 300.0), "healthy", "near_baseline"),
        ((0.0, 299.0), "unreadable", "traffic_below_baseline"),
        ((60.0, 299.0), "impaired", "away_from_baseline"),  # an outage drives users away
        ((6.5, 299.0), "unreadable", "traffic_below_baseline"),  # that may be chance
        ((20.0, 25.0), "unreadable", "traffic_below_baseline"),  # too few to confirm anything
        ((0.0, 0.0), "unreadable", "no_traffic"),
        (None, "unreadable", "no_traffic"),
    ],
)
def test_a_reading_of_counts(counted: tuple[float, float] | None, state: str, reason: str) -> None:
    reading = read_recovery(SPEC, VERIFY, make_problem(), None, counted, NOW)
    assert (reading.state, reading.reason) == (state, reason)
    if state != "unreadable":
        assert reading.low is not None
        assert reading.high is not None
        assert reading.loss is not None
        assert reading.low <= reading.loss <= reading.high


def test_near_the_baseline_is_not_healthy_if_it_would_be_confirmed() -> None:
    verify = VerifySpec.model_validate({"near_baseline": "5%"})
    reading = read_recovery(SPEC, verify, make_problem(), None, (18.0, 600.0), NOW)
    assert reading.loss == pytest.approx(0.02)
    assert reading.state == "impaired"


def test_without_a_baseline_nothing_can_be_read() -> None:
    problem = make_problem().model_copy(update={"baseline": None})
    reading = read_recovery(SPEC, VERIFY, problem, None, (0.0, 600.0), NOW)
    assert (reading.state, reading.reason) == ("unreadable", "no_baseline")


def test_a_reading_of_a_value() -> None:
    spec, verify = value_spec(), VerifySpec.model_validate({"near_baseline": "10%"})
    problem = make_problem(baseline=0.5, baseline_traffic=None)
    for level, state in (
        (0.5, "healthy"),
        (0.54, "healthy"),
        (0.56, "degraded"),
        (0.76, "impaired"),
        (0.1, "healthy"),
    ):
        assert read_recovery(spec, verify, problem, level, None, NOW).state == state
    reading = read_recovery(spec, verify, problem, None, None, NOW)
    assert (reading.state, reading.reason) == ("unreadable", "empty_answer")


def test_a_value_without_its_traffic_is_not_healthy() -> None:
    spec = value_spec(total="sum(increase(n[$window]))", confirm={"rise": "50%", "traffic": "60/m"})
    problem = make_problem(baseline=0.5, baseline_traffic=None)
    for total, state in ((0.0, "unreadable"), (59.0, "unreadable"), (61.0, "healthy")):
        assert read_recovery(spec, VERIFY, problem, 0.5, (0.0, total), NOW).state == state


def test_a_value_back_at_a_baseline_of_zero_is_healthy() -> None:
    spec = value_spec(confirm={"by": 10})
    problem = make_problem(baseline=0.0, baseline_traffic=None)
    assert read_recovery(spec, VERIFY, problem, 0.0, None, NOW).state == "healthy"
    reading = read_recovery(spec, VERIFY, problem, 40.0, None, NOW)
    assert (reading.state, reading.loss) == ("impaired", 40.0)


def test_an_impaired_reading_has_a_severity() -> None:
    for bad, severity in ((6.0, ""), (9.1, ""), (13.0, "sev3"), (600.0, "sev1")):
        reading = read_recovery(SPEC, VERIFY, make_problem(), None, (bad, 600.0), NOW)
        assert reading.severity == severity


@pytest.mark.parametrize(
    ("confirm", "level", "state"),
    [
        ({"rise": "40%"}, 109, "healthy"),
        ({"rise": "40%"}, 111, "degraded"),
        ({"rise": "40%"}, 141, "impaired"),
        ({"by": 40}, 109, "healthy"),
        ({"by": 40}, 111, "degraded"),
        ({"by": 40}, 141, "impaired"),
    ],
)
def test_near_the_baseline_is_a_quarter_of_what_confirms_a_value(
    confirm: dict[str, Any], level: float, state: str
) -> None:
    problem = make_problem(baseline=100.0, baseline_traffic=None)
    spec = value_spec(confirm=confirm)
    assert read_recovery(spec, VerifySpec(), problem, level, None, NOW).state == state


# ── what the newest scrapes show ─────────────────────────────────────────────────────────────

IMPAIRED = read_recovery(SPEC, VERIFY, make_problem(), None, (60.0, 600.0), NOW)


@pytest.mark.parametrize(
    ("newest", "over"),
    [
        ((3.0, 300.0), True),  # as in the baseline
        ((0.0, 300.0), True),
        ((60.0, 300.0), False),  # as bad as the window
        ((27.0, 300.0), False),  # surely less is not surely well
        ((0.0, 0.0), False),  # nothing is known
        (None, False),
        ((0.0, 4.0), False),  # of so few it may be chance
    ],
)
def test_trouble_is_over_if_the_newest_counts_surely_are_well(
    newest: tuple[float, float] | None, over: bool
) -> None:
    assert IMPAIRED.state == "impaired"
    found = corrected(SPEC, make_problem(), IMPAIRED, newest, None)
    if over:
        assert (found.state, found.severity) == ("degraded", "")
        assert found.reason == "newest_samples_well"
        assert (found.loss, found.at) == (IMPAIRED.loss, IMPAIRED.at)
        assert "newest_samples_well" in found.describe()
    else:
        assert found == IMPAIRED


@pytest.mark.parametrize(
    ("value", "over"), [(0.2, True), (0.29, True), (0.31, False), (None, False)]
)
def test_trouble_is_over_if_the_newest_value_is_well(value: float | None, over: bool) -> None:
    problem = make_problem(kind="value", baseline=0.2, loss=4.0)
    reading = read_recovery(value_spec(), VERIFY, problem, 1.0, None, NOW)
    assert reading.state == "impaired"
    found = corrected(value_spec(), problem, reading, None, value)
    assert (found.state == "degraded") == over
    assert (found == reading) != over


def test_the_newest_scrapes_correct_nothing_but_trouble() -> None:
    well = read_recovery(SPEC, VERIFY, make_problem(), None, (6.0, 600.0), NOW)
    assert corrected(SPEC, make_problem(), well, (0.0, 300.0), None) == well
    unknown = make_problem().model_copy(update={"baseline": None})
    assert corrected(SPEC, unknown, IMPAIRED, (0.0, 300.0), None) == IMPAIRED
