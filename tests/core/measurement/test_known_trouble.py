"""A second outage soon after a long one is measured against what was normal, not against the
first."""

from __future__ import annotations

import pytest

from daemon.core.changes.precedent import Precedent
from daemon.core.incident.outcome_facts import OutcomeFacts
from daemon.core.measurement.assessment import assess_counts, assess_value
from daemon.core.measurement.known_trouble import bins_outside, samples_outside
from daemon.core.measurement.problem import Problem
from daemon.core.values.significance import Bin
from tests.core.build import MINUTE, NOW, ago, counts_spec, samples, simulate, value_spec

SPEC = counts_spec()
FIRST = Precedent(begin=ago(38), end=ago(7))


def counted(*trouble: Precedent, seed: int = 0) -> Problem:
    """An outage for most of the look-back, a few good minutes, and a new one."""
    seen = simulate(SPEC, seed, 600, (99, 0.01), (38, 0.4), (8, 0.01), (2, 0.3))
    return assess_counts(SPEC, seen.windows, seen.history, NOW, (), trouble)


@pytest.mark.parametrize("seed", range(4))
def test_an_outage_that_filled_the_look_back_hides_no_second_one(seed: int) -> None:
    problem = counted(FIRST, seed=seed)
    assert problem.verdict == "confirmed"
    assert problem.baseline == pytest.approx(0.99, abs=0.004)
    assert problem.onset is not None
    assert problem.onset_within is not None
    assert abs(problem.onset - ago(2)) <= problem.onset_within


def test_without_the_knowledge_of_it_the_trouble_is_what_is_normal() -> None:
    assert counted().verdict == "not_confirmed"


def test_a_value_is_compared_with_what_was_normal_as_well() -> None:
    windows, history = samples(value_spec(), 1, 0.05, (99, 0.5), (38, 2.0), (8, 0.5), (2, 2.0))
    blind = assess_value(value_spec(), windows, {}, history, NOW)
    knowing = assess_value(value_spec(), windows, {}, history, NOW, (), (FIRST,))
    assert blind.baseline == pytest.approx(2.0, abs=0.1)
    assert knowing.baseline == pytest.approx(0.5, abs=0.03)
    assert knowing.verdict == "confirmed"


def test_what_only_touches_the_trouble_is_left_out_too() -> None:
    at = FIRST.end.timestamp()
    cut, after = Bin(at + 30, 1, 10), Bin(at + 61, 1, 10)
    exact = Bin(at + 30, 1, 10, begin=at)
    assert bins_outside([cut, after, exact], MINUTE, [FIRST]) == [after, exact]
    assert samples_outside([(at + 30, 1.0), (at + 61, 1.0)], MINUTE, [FIRST]) == [(at + 61, 1.0)]
    before = FIRST.begin.timestamp() - 60
    early, late = Bin(before, 1, 10), Bin(before + 1, 1, 10)
    assert bins_outside([early, late], MINUTE, [FIRST]) == [early]


def test_only_a_verified_recovery_ends_a_trouble() -> None:
    assert OutcomeFacts(onset=ago(38), restored_at=ago(7)).trouble == FIRST
    assert OutcomeFacts(onset=ago(38), closed="by_person").trouble is None
    assert OutcomeFacts(onset=ago(7), restored_at=ago(7)).trouble is None
