"""The grid of a chart: steps that people count in, and labels that tell neighbours apart."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from daemon.web.site.chart_scale import (
    MOST_LEVELS,
    level_range,
    level_ticks,
    time_ticks,
)

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def labels(low: float, high: float, kind: str = "value") -> list[str]:
    return [tick.label for tick in level_ticks(low, high, kind)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.89, 1.003, ["90.0%", "92.0%", "94.0%", "96.0%", "98.0%", "100.0%"]),
        (0.9985, 1.0002, ["99.85%", "99.90%", "99.95%", "100.00%"]),
        (0.93, 1.07, ["95.0%", "100.0%", ""]),  # no share above all
        (-1e9, 0, ["-1e+11%", "-8e+10%", "-6e+10%"]),
        (0, 1, ["0.0%", "20.0%", "40.0%", "60.0%", "80.0%", "100.0%"]),
    ],
)
def test_shares_have_the_decimals_that_their_step_needs(
    low: float, high: float, expected: list[str]
) -> None:
    assert labels(low, high, "counts")[: len(expected)] == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.1, 1.1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 12, ["0", "2", "4", "6", "8", "10", "12"]),
        (900, 2100, ["1,000", "1,200", "1,400", "1,600", "1,800", "2,000"]),
        (0, 10_500_000, ["0", "2M", "4M", "6M", "8M", "10M"]),
        (1.1e9, 1.7e9, ["1.1G", "1.2G", "1.3G", "1.4G", "1.5G", "1.6G", "1.7G"]),
        (0, 6e-9, ["0", "1e-09", "2e-09", "3e-09", "4e-09", "5e-09", "6e-09"]),
        (0, 6e20, ["0", "1e+20", "2e+20", "3e+20", "4e+20", "5e+20", "6e+20"]),
    ],
)
def test_amounts_are_short_whatever_their_size(
    low: float, high: float, expected: list[str]
) -> None:
    assert labels(low, high) == expected


@given(
    low=some.floats(-1e12, 1e12),
    size=some.floats(1e-6, 1e12),
    kind=some.sampled_from(["counts", "value"]),
)
def test_the_lines_are_evenly_apart_by_1_2_or_5_and_inside(
    low: float, size: float, kind: str
) -> None:
    low, high = level_range([low, low + size], kind)  # type: ignore[arg-type]
    ticks = level_ticks(low, high, kind)  # type: ignore[arg-type]
    assert 2 <= len(ticks) <= MOST_LEVELS + 1
    slack = (high - low) * 1e-6
    assert all(low - slack <= tick.at <= high + slack for tick in ticks)
    step = ticks[1].at - ticks[0].at
    assert all(b.at - a.at == pytest.approx(step, rel=1e-3) for a, b in pairwise(ticks))
    mantissa = step / 10 ** math.floor(math.log10(step * 1.001))
    assert min(abs(mantissa - nice) for nice in (1, 2, 5)) < 0.01
    named = [tick.label for tick in ticks if tick.label]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("level", [0.0, 1.0, -7.5, 1e12, 5e-324])
@pytest.mark.parametrize("kind", ["counts", "value"])
def test_a_constant_lies_in_the_middle(level: float, kind: str) -> None:
    low, high = level_range([level, level], kind)  # type: ignore[arg-type]
    assert low < level < high
    assert (low + high) / 2 == pytest.approx(level, abs=1e-9)


def test_levels_have_room_around_them_and_none_are_a_scale_too() -> None:
    assert level_range([2.0, 3.0], "value") == pytest.approx((1.88, 3.12))
    assert level_range([], "value") == (0, 1)


def times(begin: datetime, span: timedelta, most: int = 9) -> list[str]:
    return [tick.label for tick in time_ticks(begin, begin + span, most)]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (timedelta(seconds=40), ["12:00:00", "12:00:05", "12:00:10"]),
        (timedelta(minutes=20), ["12:00", "12:05", "12:10"]),
        (timedelta(minutes=40), ["12:00", "12:05", "12:10"]),
        (timedelta(hours=4), ["12:00", "12:30", "13:00"]),
        (timedelta(hours=20), ["12:00", "15:00", "18:00", "21:00", "30 Nov", "03:00"]),
        (timedelta(days=5), ["30 Nov", "1 Dec", "2 Dec"]),
        (timedelta(days=9), ["30 Nov", "1 Dec", "2 Dec"]),
        (timedelta(days=40), ["3 Dec", "8 Dec", "13 Dec"]),
    ],
)
def test_times_are_whole_and_midnight_is_a_date(span: timedelta, expected: list[str]) -> None:
    assert times(NOON, span)[: len(expected)] == expected


@given(seconds=some.floats(0, 1e8), after=some.integers(0, 10**8), most=some.sampled_from([5, 9]))
def test_there_are_neither_many_times_nor_few(seconds: float, after: int, most: int) -> None:
    begin = NOON + timedelta(seconds=after)
    ticks = time_ticks(begin, begin + timedelta(seconds=seconds), most)
    assert len(ticks) <= most + 1
    assert seconds < 10 or len(ticks) >= 1
    days = [datetime.fromtimestamp(tick.at, UTC) for tick in ticks]
    for (a, b), tick in zip(pairwise(days), ticks[1:], strict=False):
        assert a.date() == b.date() or ":" not in tick.label  # a new day says which
