"""Pauses between tries: exact at first, never shorter later, bounded whatever happens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.values.backoff import Backoff

SECOND = timedelta(seconds=1)
pauses = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta.max)
backoffs = st.builds(Backoff, first=pauses, most=pauses, factor=st.integers(2, 10))


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(30 * SECOND, 600 * SECOND)
    waits = [backoff.pause(failures) / SECOND for failures in range(8)]
    assert waits == [0, 30, 60, 120, 240, 480, 600, 600]


@given(backoffs, st.integers(1, 200))
def test_a_pause_is_what_the_formula_says(backoff: Backoff, failures: int) -> None:
    exact = backoff.first // timedelta.resolution * backoff.factor ** (failures - 1)
    longest = backoff.most // timedelta.resolution
    assert backoff.pause(failures) // timedelta.resolution == min(exact, longest)


@given(backoffs, st.integers(1, 10**18))
def test_pauses_never_shrink_and_are_bounded(backoff: Backoff, failures: int) -> None:
    assert backoff.pause(1) == min(backoff.first, backoff.most)
    assert backoff.pause(failures) <= backoff.pause(failures + 1) <= backoff.most


@given(backoffs, st.integers(max_value=0))
def test_what_has_not_failed_need_not_rest(backoff: Backoff, failures: int) -> None:
    assert backoff.pause(failures) == timedelta(0)


@pytest.mark.parametrize(
    ("first", "factor", "why"), [(0, 2, "longer than nothing"), (1, 1, "at least twice")]
)
def test_a_backoff_that_would_not_grow_is_refused(first: int, factor: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Backoff(first * SECOND, SECOND, factor)
