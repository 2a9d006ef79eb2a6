"""Counters that are born, and bins that say when they began."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.query_result import bins, disjoint
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.values.significance import Bin

MINUTE = timedelta(minutes=1)


def ranged(values: dict[int, float]) -> QueryAnswer:
    """A sample at each of these quarters of a minute."""
    return QueryAnswer("q", [Series({}, [(15.0 * n, value) for n, value in values.items()])])


TOTAL = ranged(dict.fromkeys(range(6), 100.0))


@pytest.mark.parametrize(
    ("bad", "known"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),  # nothing has ever failed
        ({3: 5.0, 4: 5.0, 5: 5.0}, [0, 1, 3, 4, 5]),  # born by failures that are no increase
        ({3: 0.0, 4: 5.0, 5: 5.0}, [0, 1, 2, 3, 4, 5]),  # born at zero: nothing was missed
        ({0: 1.0, 1: 1.0, 4: 5.0, 5: 5.0}, [0, 1, 2, 4, 5]),  # gone, and born once more
        (dict.fromkeys(range(6), 5.0), [0, 1, 2, 3, 4, 5]),
        ({3: math.nan, 4: 5.0, 5: 5.0}, [0, 1, 2, 4, 5]),
    ],
)
def test_just_before_a_counter_appears_nobody_knows(
    bad: dict[int, float], known: list[int]
) -> None:
    found = bins(ranged(bad), TOTAL)
    told = [b for b in found if not b.born]
    assert [b.end / 15 for b in told] == known
    assert [b.bad for b in told] == [bad.get(n, 0.0) for n in known]
    assert all(b.bad == b.total == 0 for b in found if b.born)


def test_bins_that_say_when_they_began_are_disjoint_by_that() -> None:
    scrapes = [Bin(15.0 * n + 15, 0, 1, 15.0 * n) for n in range(8)]
    assert disjoint(scrapes, MINUTE) == scrapes
    spread = [Bin(15.0 * n + 15, 0, 1, 15.0 * n - 4) for n in range(8)]
    assert [b.end for b in disjoint(spread, MINUTE)] == [30, 60, 90, 120]


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.none() | st.integers(1, 90)), max_size=40, unique=True
    )
)
def test_disjoint_bins_share_no_event_and_the_last_is_among_them(
    drawn: list[tuple[int, int | None]],
) -> None:
    history = [
        Bin(float(end), 0, 1, None if length is None else float(end - length))
        for end, length in sorted(drawn, key=lambda one: one[0])
    ]
    found = disjoint(history, MINUTE)
    begins = [b.end - 60 if b.begin is None else b.begin for b in found]
    assert all(before.end <= begin for before, begin in zip(found, begins[1:], strict=False))
    assert found[-1:] == history[-1:]
    assert set(found) <= set(history)
