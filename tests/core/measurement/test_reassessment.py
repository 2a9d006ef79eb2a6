"""A later measurement takes the place of the known one only if it is better founded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.problem import Problem
from daemon.core.measurement.reassessment import better_founded, onset_moved
from daemon.core.rules.rule import ProblemSpec
from tests.core.build import MINUTE, NOW, SECOND, ago, counts_spec, make_problem, value_spec

COUNTS = counts_spec()
KNOWN = make_problem(onset=ago(4), onset_within=30 * SECOND)
UNDATED = make_problem(onset=None, onset_within=None)


def later(seconds: float, within: float = 10, **more: Any) -> Problem:
    """A measurement a minute later that dates the onset so many seconds from KNOWN's."""
    onset = ago(4) + timedelta(seconds=seconds)
    more = {"onset": onset, "onset_within": timedelta(seconds=within), **more}
    return make_problem(at=NOW + MINUTE).model_copy(update=more)


@pytest.mark.parametrize(
    ("known", "found", "better"),
    [
        (KNOWN, later(0), True),
        (KNOWN, later(20), True),
        (KNOWN, later(80), True),
        (KNOWN, later(81), False),
        (KNOWN, later(21, within=30), False),
        (KNOWN, later(-600), True),
        (KNOWN, later(0, within=40), False),
        (UNDATED, later(0), True),
        (UNDATED, later(230), True),
        (UNDATED, later(240), False),
        (KNOWN, later(0, onset=None), False),
        (KNOWN, later(0, verdict="not_confirmed"), False),
        (KNOWN, later(0, baseline=None), False),
        (KNOWN, later(0, baseline=0.985), True),
        (KNOWN, later(0, baseline=0.98), False),
        (KNOWN, later(0, baseline=0.999), True),
    ],
    ids=[
        "narrower",
        "as late as it can have been",
        "known better, and a little later",
        "later than that",
        "later, and known no better",
        "earlier",
        "wider",
        "dated at last",
        "just before it was confirmed",
        "after it was confirmed",
        "without an onset",
        "not confirmed any more",
        "without a baseline",
        "a baseline that is little worse",
        "a baseline in the trouble",
        "a better baseline",
    ],
)
def test_what_is_better_founded(known: Problem, found: Problem, better: bool) -> None:
    assert better_founded(COUNTS, known, found) is better


@pytest.mark.parametrize(
    ("spec", "baseline", "better"),
    [
        (value_spec(), 0.24, True),
        (value_spec(), 0.26, False),
        (value_spec(), 0.1, True),
        (value_spec(direction="higher_is_better"), 0.16, True),
        (value_spec(direction="higher_is_better"), 0.14, False),
    ],
)
def test_the_baseline_of_a_value_does_not_drift_into_the_trouble(
    spec: ProblemSpec, baseline: float, better: bool
) -> None:
    known = KNOWN.model_copy(update={"kind": "value", "baseline": 0.2})
    assert better_founded(spec, known, later(0, kind="value", baseline=baseline)) is better


@given(
    st.lists(
        st.tuples(st.integers(-900, 300), st.integers(0, 120), st.floats(0.9, 1.0)), max_size=12
    )
)
def test_however_often_it_is_measured_the_onset_never_creeps_forward(
    measured: list[tuple[int, int, float]],
) -> None:
    known, narrower = KNOWN, []
    for seconds, within, baseline in measured:
        found = later(seconds, within, baseline=baseline)
        if better_founded(COUNTS, known, found):
            assert known.onset_within is not None
            narrower += [within] if within < known.onset_within.total_seconds() else []
            known = found
        assert known.onset is not None
        assert known.onset_within is not None
        # Only where it is known better, by a window at the most, and never after it was confirmed.
        assert known.onset + known.onset_within <= NOW + MINUTE
        assert known.onset + known.onset_within <= ago(4) + 30 * SECOND + len(narrower) * MINUTE


@pytest.mark.parametrize(
    ("known", "found", "moved"),
    [
        (KNOWN, later(30), False),
        (KNOWN, later(-31), True),
        (UNDATED, later(0), True),
        (UNDATED, UNDATED, False),
    ],
)
def test_an_onset_moved_by_more_than_it_was_uncertain(
    known: Problem, found: Problem, moved: bool
) -> None:
    assert onset_moved(known, found) is moved
