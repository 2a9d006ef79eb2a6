"""The impact integral, by examples worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.incident.impact import ImpactTally, add_reading, begin_impact
from daemon.core.measurement.problem import Problem, RecoveryReading
from tests.core.build import (
    MINUTE,
    NOW,
    ago,
    confirmed,
    healthy,
    impaired,
    make_incident,
    make_problem,
    unreadable,
)
from tests.core.vocabulary import readings as any_reading


def problem(at: datetime, *, onset: datetime | None, failed: float | None = 60.0) -> Problem:
    return make_problem(at=at, onset=onset, failed_per_minute=failed)


def tallied(first: Problem, *readings: RecoveryReading, counts: bool = True) -> ImpactTally:
    """A problem and what was measured after it."""
    tally = begin_impact(ImpactTally(), first)
    for reading in readings:
        tally = add_reading(tally, reading, counts=counts)
    return tally


def test_from_the_onset_at_the_first_level_then_by_the_mean_of_two_measurements() -> None:
    # 4 min × 60 = 240; 2 min × (60 + 126) / 2 = 186; 2 min × (126 + 6) / 2 = 132.
    # A loss of 20 % fails 0.21 × 600 = 126 a minute; at 99 % it is 0.01 × 600 = 6.
    tally = tallied(problem(ago(10), onset=ago(14)), impaired(ago(8)), healthy(ago(6)))
    assert tally.failed == pytest.approx(240 + 186 + 132)
    assert (tally.lasted, tally.assumed) == (8 * MINUTE, 4 * MINUTE)
    assert (tally.unmeasured, tally.uncounted) == (timedelta(0), timedelta(0))
    assert (tally.worst_loss, tally.measurements, tally.ended) == (0.2, 3, True)


def test_after_a_healthy_measurement_nothing_counts_until_it_is_bad_again() -> None:
    tally = tallied(
        problem(ago(10), onset=ago(10)),
        healthy(ago(8)),
        healthy(ago(6)),
        impaired(ago(4)),
        impaired(ago(3)),
    )
    # 2 min × (60 + 6) / 2 = 66, and a minute at 126 after the relapse was seen.
    assert tally.failed == pytest.approx(66 + 126)
    assert tally.lasted == 3 * MINUTE
    assert not tally.ended


def test_what_lies_between_distant_measurements_counts_and_is_called_unmeasured() -> None:
    tally = tallied(
        problem(ago(30), onset=ago(30)), unreadable(ago(25)), unreadable(ago(20)), healthy(ago(18))
    )
    assert tally.lasted == tally.unmeasured == 12 * MINUTE
    assert tally.failed == pytest.approx(12 * 33)
    assert tally.measurements == 2


def test_the_assumed_part_is_not_called_unmeasured() -> None:
    tally = tallied(problem(ago(10), onset=ago(40)), healthy(ago(8)))
    assert (tally.assumed, tally.unmeasured) == (30 * MINUTE, timedelta(0))


def test_without_requests_there_is_a_duration_and_a_worst_level_alone() -> None:
    first = problem(ago(10), onset=ago(12), failed=None)
    tally = tallied(first, impaired(ago(8), 0.4), healthy(ago(6)), counts=False)
    assert tally.failed is None
    assert tally.lasted == tally.uncounted == 6 * MINUTE
    assert tally.worst_loss == 0.4
    assert tally.worst_level == pytest.approx(0.59)
    assert tally.worst_at == ago(8)


def test_a_measurement_that_came_late_changes_no_sum() -> None:
    before = tallied(problem(ago(10), onset=ago(10)), impaired(ago(8)))
    after = add_reading(before, impaired(ago(9)), counts=True)
    assert (after.failed, after.lasted) == (before.failed, before.lasted)


def test_an_incident_adds_up_what_it_measures() -> None:
    incident = make_incident(
        (ago(9), confirmed(problem(ago(9), onset=ago(10)))),
        (ago(8), e.RecoveryMeasured(step=0, reading=healthy(ago(8)))),
        (ago(7), e.RecoveryMeasured(step=0, reading=healthy(ago(7)))),
    )
    assert incident.impact.failed == pytest.approx(60 + 33)
    assert incident.impact.lasted == 2 * MINUTE


def test_what_was_never_confirmed_has_no_impact() -> None:
    unsure = make_problem("not_confirmed", "not_significant")
    reading = e.RecoveryMeasured(step=0, reading=impaired(NOW))
    incident = make_incident(e.ProblemDefined(problem=unsure), reading)
    assert incident.impact == ImpactTally()


@given(st.lists(any_reading, max_size=6), st.booleans())
def test_no_sum_falls_and_no_part_is_longer_than_the_whole(
    readings: list[RecoveryReading], counts: bool
) -> None:
    tally = begin_impact(ImpactTally(), problem(NOW, onset=ago(5)))
    for reading in readings:
        after = add_reading(tally, reading, counts=counts)
        assert after.lasted >= tally.lasted
        tally = after
    assert tally.assumed + tally.unmeasured <= tally.lasted
    assert tally.uncounted <= tally.lasted
