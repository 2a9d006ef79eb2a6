"""The interval of the onset: it holds the true moment as often as it says, and no wider than is
known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement import onset_interval
from daemon.core.measurement.onset_interval import (
    CLIMBS,
    CountsFamily,
    OnsetInterval,
    Stretch,
    ValuesFamily,
    either,
    locate,
    stretches,
)
from daemon.core.values.significance import Bin
from tests.core.measurement.simulated import ONSET, SCRAPE, Level, climb, counted, jump


def located(bins: Sequence[Bin], dispersion: float = 1.0) -> OnsetInterval:
    measured = stretches(bins, 60.0)
    found = locate(measured, CountsFamily(measured, dispersion))
    assert found is not None
    return found


def drawn(level: Level, rate: float, after: float, runs: int = 50) -> list[OnsetInterval]:
    """The intervals of so many histories of 15 minutes before the onset and `after` it."""
    chance = random.Random(11)  # noqa: S311 - a simulation
    histories = (counted(chance, level, rate, -900, after) for _ in range(runs))
    return [located(history) for history in histories]


@pytest.mark.parametrize(
    ("usual", "height", "rate"),
    [(0.002, 0.2, 50.0), (0.01, 0.05, 20.0), (0.01, 0.2, 2.0)],
    ids=["strong", "faint", "thin"],
)
def test_the_interval_of_a_jump_holds_the_onset(usual: float, height: float, rate: float) -> None:
    """Outside with half a percent on either side: of 50 at most one, and one more."""
    found = drawn(jump(usual, height), rate, 150)
    early = sum(i.earliest > ONSET for i in found)
    late = sum(i.latest < ONSET for i in found)
    assert early + late <= 2
    assert all(i.earliest <= i.quartile <= i.middle <= i.latest for i in found)
    # A quarter lies before the quartile; 22 of 50 would be more than chance makes of that.
    assert sum(i.quartile > ONSET for i in found) <= 22
    assert sum(i.quartile < ONSET for i in found) <= 48


def test_a_strong_jump_is_dated_to_a_few_seconds() -> None:
    found = drawn(jump(0.002, 0.2), 50.0, 90, runs=20)
    assert median(i.latest - i.earliest for i in found) < 10
    assert max(abs(i.middle - ONSET) for i in found) < 8


def test_the_less_is_known_the_wider_the_interval() -> None:
    widths = [
        median(i.latest - i.earliest for i in drawn(jump(0.01, height), rate, 150, runs=12))
        for height, rate in [(0.3, 50.0), (0.1, 10.0), (0.1, 2.0)]
    ]
    assert widths == sorted(widths)
    assert widths[-1] > 3 * widths[0]


@pytest.mark.parametrize("lasts", [120.0, 600.0])
def test_what_can_be_told_of_a_climb_holds_its_onset(lasts: float) -> None:
    """The first part of a slow climb cannot be told from what was before."""
    told = [
        i.told_apart(ONSET + lasts) for i in drawn(climb(0.002, 0.2, lasts), 50.0, lasts, runs=40)
    ]
    assert sum(not i.earliest <= ONSET <= i.latest for i in told) <= 2
    assert median(i.climb for i in told) > 30


@pytest.mark.parametrize("after", [20.0, 400.0, 3000.0])
def test_each_climb_weighs_as_much_as_if_it_were_tried_alone(after: float) -> None:
    measured = stretches(counted(random.Random(5), jump(0.01, 0.2), 20.0, -900, after), 60.0)  # noqa: S311
    family, begin, end = CountsFamily(measured, 1.0), measured[0].end, measured[-1].end
    together = onset_interval._weigh(measured, family, begin, end, 40, CLIMBS)
    for number, climb_seconds in enumerate(CLIMBS):
        alone = onset_interval._weigh(measured, family, begin, end, 40, [climb_seconds])
        expected = [moment.shapes[0] for moment in alone]
        assert [moment.shapes[number] for moment in together] == pytest.approx(expected)


def test_a_jump_is_no_climb() -> None:
    assert all(i.climb < 15 for i in drawn(jump(0.002, 0.2), 50.0, 120, runs=20))


def test_noise_beyond_that_of_counting_widens_the_interval() -> None:
    history = counted(None, jump(0.01, 0.05), 20, -900, 150)
    quiet, noisy = located(history), located(history, dispersion=6.0)
    assert noisy.latest - noisy.earliest > quiet.latest - quiet.earliest
    assert noisy.evidence == pytest.approx(quiet.evidence / 6, rel=0.1)


def test_nothing_is_told_apart_within_a_gap() -> None:
    """Nothing was seen from 10 minutes before the onset on: it may have been at any moment."""
    found = located(counted(None, jump(0.002, 0.2), 50, -1800, 240, unseen=(-600, 60)))
    assert found.earliest < ONSET - 580
    assert ONSET + 30 < found.latest < ONSET + 75
    assert found.quartile == pytest.approx(ONSET - 435, abs=40)
    assert found.middle == pytest.approx(ONSET - 270, abs=40)


def test_a_history_without_a_rise_has_no_evidence_of_one() -> None:
    assert located(counted(None, lambda at: 0.01, 50, -900, 0)).evidence < 1
    risen = located(counted(None, jump(0.01, 0.1), 50, -900, 120))
    assert risen.evidence > 100


def test_an_improvement_is_no_rise() -> None:
    assert located(counted(None, jump(0.1, -0.09), 50, -900, 300)).evidence < 1


def test_too_few_stretches_tell_nothing() -> None:
    one = [Stretch(0, 15, 1, 100)]
    assert locate(one, CountsFamily(one, 1)) is None
    assert locate([], CountsFamily([], 1)) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_value_holds_the_onset(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a simulation
    phase = chance.uniform(0, SCRAPE)
    moments = [phase + SCRAPE * n for n in range(-60, 8)]
    measured = [
        Stretch(ONSET + at, ONSET + at, chance.gauss(1.0 if at >= 0 else 0.2, 0.05), 1.0)
        for at in moments
    ]
    found = locate(measured, ValuesFamily(measured, 0.05**2))
    assert found is not None
    # Between two samples nobody knows.
    assert found.earliest <= ONSET <= found.latest
    assert SCRAPE - 2 < found.latest - found.earliest < SCRAPE + 4


def test_great_values_are_dated_as_finely_as_small_ones() -> None:
    chance = random.Random(4)  # noqa: S311 - a simulation
    moments = [SCRAPE * n + 3 for n in range(-60, 8)]
    values = [chance.gauss(1.0 if at >= 0 else 0.2, 0.05) for at in moments]
    small, great = (
        [
            Stretch(ONSET + at, ONSET + at, v + more, 1.0)
            for at, v in zip(moments, values, strict=True)
        ]
        for more in (0.0, 1e6)
    )
    found = locate(great, ValuesFamily(great, 0.05**2))
    expected = locate(small, ValuesFamily(small, 0.05**2))
    assert found is not None
    assert expected is not None
    assert found.earliest == pytest.approx(expected.earliest, abs=0.01, rel=0)
    assert found.latest == pytest.approx(expected.latest, abs=0.01, rel=0)
    assert found.evidence == pytest.approx(expected.evidence, rel=1e-4)


# ── stretches ────────────────────────────────────────────────────────────────────────────────


def test_a_bin_that_does_not_say_when_it_began_is_as_long_as_the_window() -> None:
    found = stretches([Bin(60, 1, 10), Bin(75, 2, 10), Bin(200, 3, 10)], 60)
    assert [(s.begin, s.end, s.amount, s.size) for s in found] == [
        (0, 60, 1, 10),
        (15, 75, 2, 10),
        (140, 200, 3, 10),
    ]
    # The second shares three quarters of its events with the first.
    assert [s.weight for s in found] == [1, 0.25, 1]
    assert [s.weight for s in stretches([Bin(15, 0, 1, 0), Bin(30, 0, 1, 15)], 60)] == [1, 1]


def test_overlapping_windows_weigh_no_more_than_what_they_saw() -> None:
    chance = random.Random(5)  # noqa: S311 - a simulation
    cells = counted(chance, jump(0.01, 0.1), 20, -1200, 240)
    windows = [
        Bin(now.end, sum(b.bad for b in four), sum(b.total for b in four))
        for now, four in ((cells[n], cells[n - 3 : n + 1]) for n in range(3, len(cells)))
    ]
    assert located(windows).evidence == pytest.approx(located(cells).evidence, rel=0.25)


# ── what else is known of an interval ────────────────────────────────────────────────────────

moments = st.lists(st.floats(0, 1e4), min_size=4, max_size=4).map(sorted)
intervals = st.builds(
    lambda at, evidence, lasts: OnsetInterval(at[0], at[1], at[2], at[3], evidence, lasts),
    moments,
    st.floats(-10, 100),
    st.floats(0, 2400),
)


@given(intervals, st.floats(-100, 2e4))
def test_from_a_moment_on_nothing_is_told_apart(known: OnsetInterval, moment: float) -> None:
    """Only the quartile moves, to where a change may have been too late."""
    found = known.not_before(moment)
    assert found.earliest <= found.quartile <= known.quartile
    assert found.quartile in {known.quartile, known.earliest, moment}
    assert (found.earliest, found.middle, found.latest) == (
        known.earliest,
        known.middle,
        known.latest,
    )
    if moment >= known.quartile:
        assert found == known


@given(intervals, st.floats(0, 600))
def test_a_widened_interval_is_wider_on_either_side(known: OnsetInterval, more: float) -> None:
    found = known.widened(more)
    assert found.latest - found.earliest == pytest.approx(known.latest - known.earliest + 2 * more)
    assert found.quartile == known.quartile - more
    assert found.middle == known.middle


@given(intervals, st.floats(0, 3000))
def test_what_is_told_of_a_climb_is_later_by_its_first_part(
    known: OnsetInterval, seen: float
) -> None:
    """What it may yet become says nothing of whether a change came first."""
    found = known.told_apart(known.middle + seen)
    assert found.earliest == known.earliest
    assert found.latest - known.latest == pytest.approx(known.climb / 20, abs=1e-6)
    late = min(known.climb / 20, seen / 10)
    assert found.quartile - known.quartile == pytest.approx(late, abs=1e-6)


@given(st.lists(intervals, min_size=1, max_size=4))
def test_if_any_of_several_may_hold_the_interval_holds_them_all(known: list[OnsetInterval]) -> None:
    found = either(known)
    for one in known:
        assert found.earliest <= one.earliest
        assert found.latest >= one.latest
        assert found.quartile <= one.quartile
        assert found.evidence <= one.evidence
        assert found.climb >= one.climb
    assert found.middle == known[0].middle


def test_an_interval_that_says_no_more_is_believed_without_a_climb() -> None:
    plain = OnsetInterval(0, 1, 2, 3)
    assert plain.evidence == math.inf
    assert plain.told_apart(600) == plain
