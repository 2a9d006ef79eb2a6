"""When Prometheus scrapes, read from what was counted, and the moments to evaluate at."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.scrape_clock import (
    COUNTED_OVER,
    LEAST_STEP,
    USUAL_INTERVALS,
    ScrapeClock,
    read_scrapes,
)

NEWEST = 1_772_374_200.0
intervals = st.sampled_from(USUAL_INTERVALS)


def fullest(interval: float, phase: float) -> int:
    """How many of the scrapes lie in COUNTED_OVER if the first is at that part of an interval."""
    return sum(
        phase * interval + n * interval < COUNTED_OVER.total_seconds()
        for n in range(int(COUNTED_OVER.total_seconds() / interval) + 2)
    )


def interval_of(counted: Sequence[float]) -> float | None:
    clock = read_scrapes(counted, NEWEST, NEWEST)
    return None if clock is None else clock.interval


@pytest.mark.parametrize("phase", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("interval", USUAL_INTERVALS)
def test_every_usual_interval_is_read_from_full_stretches(interval: float, phase: float) -> None:
    assert interval_of([fullest(interval, phase)] * 3) == interval


@pytest.mark.parametrize("interval", USUAL_INTERVALS)
def test_stretches_that_lost_scrapes_change_nothing_beside_a_full_one(interval: float) -> None:
    full = fullest(interval, 0.5)
    assert interval_of([full - 1, 0, full, max(full - 4, 0)]) == interval


@pytest.mark.parametrize("interval", [i for i in USUAL_INTERVALS if i >= 5])
def test_one_sample_lost_in_every_stretch_is_forgiven(interval: float) -> None:
    """Of so few a second lost one would be another pace."""
    lost = fullest(interval, 0.0) - 1
    if lost < 2:
        assert interval_of([lost]) is None
    else:
        found = interval_of([lost])
        assert found is not None
        # No slower pace than the truth would tell of stretches that were not counted.
        assert interval <= found <= interval * 1.5


@pytest.mark.parametrize(
    ("counted", "newest", "oldest"),
    [
        ([], NEWEST, NEWEST),
        ([20.0], None, NEWEST),
        ([20.0], NEWEST, None),
        ([1.0], NEWEST, NEWEST),
        ([1000.0], NEWEST, NEWEST),
    ],
    ids=["nothing counted", "no newest", "no oldest", "one sample", "faster than anybody"],
)
def test_what_is_no_usual_pace_has_no_clock(
    counted: list[float], newest: float | None, oldest: float | None
) -> None:
    assert read_scrapes(counted, newest, oldest) is None


@pytest.mark.parametrize(
    ("apart", "spread"), [(0.0, 0.0), (1.0, 0.0), (1.5, 0.0), (4.0, 4.0), (900.0, 15.0)]
)
def test_targets_scraped_at_other_moments_spread_what_was_counted(
    apart: float, spread: float
) -> None:
    clock = read_scrapes([20.0], NEWEST, NEWEST - apart)
    assert clock == ScrapeClock(15.0, NEWEST, spread)


# ── the grid ─────────────────────────────────────────────────────────────────────────────────


@given(intervals)
def test_a_step_is_whole_scrapes_and_no_shorter_than_what_tells(interval: float) -> None:
    clock = ScrapeClock(interval, NEWEST)
    assert clock.step >= LEAST_STEP
    assert clock.step % interval == 0
    assert clock.step - interval < LEAST_STEP
    # It begins after the scrape before the step, so it counts the increase of a step.
    assert clock.window == clock.step + interval


@given(intervals, st.floats(0, 300), st.floats(60, 7200))
def test_the_moments_of_the_grid_lie_between_scrapes(
    interval: float, since: float, span: float
) -> None:
    clock = ScrapeClock(interval, NEWEST)
    first, last = clock.grid(NEWEST + since, span)
    steps = (last - first) / clock.step
    assert steps == pytest.approx(round(steps), abs=1e-6)
    assert span - clock.step < last - first <= span + 1e-6
    after = (last - NEWEST) / interval
    # Not so close to a scrape that one which came a little late would slip over the edge.
    assert 0.05 - 1e-6 <= after <= 0.5 + 1e-6
    assert (first - NEWEST) / interval % 1 == pytest.approx(after, abs=1e-6)


@given(intervals, st.floats(0, 15), st.floats(60, 7200))
def test_stretches_follow_each_other_up_to_the_newest_scrape(
    interval: float, spread: float, span: float
) -> None:
    clock = ScrapeClock(interval, NEWEST, spread)
    first, last = clock.grid(NEWEST + 3, span)
    begin, end = clock.stretch(last)
    assert end == NEWEST
    assert end - begin == pytest.approx(clock.step + spread)
    before = clock.stretch(last - clock.step)
    assert before[1] == pytest.approx(end - clock.step)
    assert clock.stretch(first)[1] == pytest.approx(NEWEST - (last - first))


@given(intervals, st.integers(1, 500), st.floats(0.06, 0.94))
def test_an_evaluation_elsewhere_sees_the_last_scrape_before_it(
    interval: float, before: int, after: float
) -> None:
    clock = ScrapeClock(interval, NEWEST)
    seen = NEWEST - before * interval
    assert clock.scraped(seen + after * interval) == pytest.approx(seen)
    assert clock.scraped(NEWEST + before) == NEWEST


def test_what_is_not_extrapolated_is_counted_from_before_its_window() -> None:
    clock = ScrapeClock(15, NEWEST, extrapolated=False)
    assert (clock.step, clock.window, clock.part) == (15, 15, 1)
    assert ScrapeClock(15, NEWEST).part == 0.5
