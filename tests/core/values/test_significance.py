"""The statistics, against published values, brute force, and seeded chance."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.values.significance import (
    Bin,
    Interval,
    change_point,
    difference,
    run_above,
    wilson,
)
from tests.core.build import poisson

totals = st.floats(min_value=1, max_value=1e6)
parts = st.floats(min_value=0, max_value=1)

Z95 = 1.959964
Z99 = 2.5758293035489004


def near(interval: Interval, low: float, high: float, places: float) -> bool:
    return interval.low == pytest.approx(low, abs=places) and interval.high == pytest.approx(
        high, abs=places
    )


# ── one share, and the difference of two ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("bad", "total", "low", "high"),
    [
        # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    bad: float, total: float, low: float, high: float
) -> None:
    assert near(wilson(bad, total, Z95), low, high, 5e-5)


@pytest.mark.parametrize(
    ("bad", "total", "base_bad", "base_total", "low", "high"),
    [
        # Newcombe (1998), "Interval estimation for the difference between independent
        # proportions", table II, method 10.
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_the_difference_has_newcombes_published_interval(
    bad: float, total: float, base_bad: float, base_total: float, low: float, high: float
) -> None:
    assert near(difference(bad, total, base_bad, base_total, Z95), low, high, 5e-5)


def test_99_percent_intervals_are_those_of_statsmodels() -> None:
    """Over 2,000 pairs of shares: whole and fractional counts, none, all, and very many."""
    text = (Path(__file__).parents[2] / "data/statsmodels-intervals.csv").read_text()
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) > 2000
    for row in rows:
        said = {name: float(value) for name, value in row.items()}
        share = wilson(said["bad"], said["total"])
        assert near(share, said["low"], said["high"], 2e-15), row
        counts = (said["bad"], said["total"], said["base_bad"], said["base_total"])
        gap = difference(*counts)
        assert near(gap, said["difference_low"], said["difference_high"], 2e-15), row


@given(parts, totals, parts, totals)
def test_the_interval_is_of_99_percent_if_nothing_else_is_said(
    part: float, total: float, base_part: float, base: float
) -> None:
    counted = (part * total, total, base_part * base, base)
    asked = difference(*counted, Z99)
    assert near(difference(*counted), asked.low, asked.high, 1e-12)
    assert difference(*counted).low <= difference(*counted, Z95).low


@given(parts, totals, st.floats(min_value=0.5, max_value=5))
def test_an_interval_of_a_share_holds_the_share_within_0_and_1(
    part: float, total: float, z: float
) -> None:
    found = wilson(part * total, total, z)
    assert 0 <= found.low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.high <= 1


@given(parts, totals, st.floats(min_value=1.5, max_value=100))
def test_an_interval_shrinks_with_more_events(part: float, total: float, more: float) -> None:
    few, many = wilson(part * total, total), wilson(part * total * more, total * more)
    assert many.high - many.low < few.high - few.low


@given(parts, totals, parts, totals)
def test_a_difference_holds_its_estimate_and_is_antisymmetric(
    part: float, total: float, base_part: float, base: float
) -> None:
    there = difference(part * total, total, base_part * base, base)
    back = difference(base_part * base, base, part * total, total)
    assert there.low <= there.estimate <= there.high
    assert there.low >= -1 - 1e-9
    assert there.high <= 1 + 1e-9
    assert there.estimate == pytest.approx(-back.estimate, abs=1e-12)
    assert there.low == pytest.approx(-back.high, abs=1e-12)
    assert there.high == pytest.approx(-back.low, abs=1e-12)


def test_a_99_percent_interval_of_a_difference_covers_the_truth_99_times_in_100() -> None:
    chance, missed, runs = random.Random(7), 0, 3000  # noqa: S311 - a simulation
    for _ in range(runs):
        now = sum(chance.random() < 0.05 for _ in range(60))
        base = sum(chance.random() < 0.02 for _ in range(200))
        gap = difference(now, 60, base, 200)
        missed += not gap.low <= 0.03 <= gap.high
    assert missed / runs < 0.02


# ── the change point ─────────────────────────────────────────────────────────────────────────


def bins(seed: int, *regimes: tuple[int, float], events: float = 100.0) -> list[Bin]:
    """Poisson bins of a minute: (how many, share of bad events) in order."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    found = []
    for count, share in regimes:
        for _ in range(count):
            bad = poisson(chance, events * share)
            good = poisson(chance, events * (1 - share))
            found.append(Bin(60.0 * len(found), bad, bad + good))
    return found


@pytest.mark.parametrize("after", [1, 2, 5, 20, 40])
@pytest.mark.parametrize("seed", range(5))
def test_the_true_split_is_found(after: int, seed: int) -> None:
    split = change_point(bins(seed, (45 - after, 0.005), (after, 0.3)))
    assert split is not None
    assert (split.begin, split.index) == (0, 45 - after)
    assert (split.first, split.last) == (45 - after, 45 - after)


@pytest.mark.parametrize("seed", range(20))
def test_a_faint_change_is_found_with_honest_bounds(seed: int) -> None:
    split = change_point(bins(seed, (35, 0.005), (10, 0.06)))
    assert split is not None
    assert split.first <= split.index <= split.last
    assert split.first - 1 <= 35 <= split.last + 1


def test_bounds_are_wider_where_the_evidence_is_weaker() -> None:
    def width(share: float) -> int:
        found = [change_point(bins(s, (35, 0.005), (10, share))) for s in range(40)]
        return sum(f.last - f.first for f in found if f)

    assert width(0.06) > width(0.12) > width(0.5)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2])
@pytest.mark.parametrize("events", [10.0, 100.0])
def test_noise_has_no_change_point(share: float, events: float) -> None:
    """Fewer than 1 in 200 seeded histories of 46 bins; measured: about 1 in 5,000."""
    runs = 250
    found = sum(change_point(bins(s, (46, share), events=events)) is not None for s in range(runs))
    assert found <= runs // 200


def test_an_improvement_is_no_change_point() -> None:
    assert all(change_point(bins(s, (20, 0.2), (25, 0.01))) is None for s in range(20))


def test_a_spike_that_is_over_is_no_change_point() -> None:
    assert all(change_point(bins(s, (20, 0.01), (5, 0.4), (20, 0.01))) is None for s in range(20))


@pytest.mark.parametrize("earlier", [0.03, 0.2, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_the_present_regime_is_found_behind_an_earlier_incident(earlier: float, seed: int) -> None:
    split = change_point(
        bins(seed, (10, 0.005), (10, earlier), (15, 0.005), (10, 0.15), events=300)
    )
    assert split is not None
    assert split.index == 35


@pytest.mark.parametrize("seed", range(5))
def test_a_problem_that_wavers_began_with_its_first_bad_bin(seed: int) -> None:
    """Failing less for a while is no return to normal."""
    split = change_point(bins(seed, (30, 0.005), (5, 0.4), (5, 0.2), (5, 0.5), events=300))
    assert split is not None
    assert split.index == 30


def test_the_present_regime_is_found_though_it_cuts_a_bin_in_two_after_lesser_trouble() -> None:
    """The cut bin is a regime of its own, and no worse than the spikes that come and go."""
    lesser = [(6, 0.03), (24, 0.002)] * 4
    history = [share for count, share in [*lesser, (1, 0.04), (7, 0.15)] for _ in range(count)]
    split = change_point([Bin(15.0 * n, 750 * share, 750) for n, share in enumerate(history)])
    assert split is not None
    assert split.index in {120, 121}


def test_a_gap_in_traffic_is_no_change() -> None:
    quiet = [Bin(60.0 * n, 0, 0) for n in range(20)]
    assert change_point(quiet) is None
    assert change_point([*quiet, *bins(1, (20, 0.01))]) is None
    split = change_point([*quiet, *bins(1, (20, 0.01), (10, 0.5))])
    assert split is not None
    assert split.index == 40


@pytest.mark.parametrize("count", [0, 1])
def test_too_short_a_history_has_no_change_point(count: int) -> None:
    assert change_point([Bin(60.0, 5, 10)] * count) is None


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1e4)).map(lambda t: Bin(0.0, t[0] * t[1], t[1])),
        max_size=40,
    )
)
def test_a_change_point_lies_within_its_history(history: list[Bin]) -> None:
    split = change_point(history)
    if split is not None:
        assert 0 <= split.begin < split.index < len(history)
        assert split.begin < split.first <= split.index <= split.last < len(history)


# ── the run that lasts until now ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "begin"),
    [
        ([], None),
        ([1, 1, 1], None),
        ([1, 1, 9], 2),
        ([1, 9, 9], 1),
        ([9, 9, 9], 0),
        ([1, 9, 1, 9, 9], 1),  # one sample below does not break the run
        ([9, 1, 1, 9, 9], 3),  # two do
        ([9, 9, 9, 1], None),  # it must last until now
        ([9, 9, 9, 1, 1], None),
        ([5, 5], None),  # the threshold itself is not over it
    ],
)
def test_a_run_lasts_until_now_and_forgives_one_sample(
    values: list[float], begin: int | None
) -> None:
    assert run_above(values, 5) == begin
