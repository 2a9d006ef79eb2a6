"""When the trouble began, from a history: the interval, and where the baseline ends."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.measurement.noise import NO_NOISE
from daemon.core.measurement.onset import Onset, counts_onset, faint_onset, value_onset
from daemon.core.measurement.onset_interval import OnsetInterval
from tests.core.build import MINUTE, NOW, counts_spec, make_change, value_spec
from tests.core.measurement.simulated import ONSET, climb, counted, jump

SPEC = counts_spec()
LATENCY = value_spec()


def moment(seconds: float) -> datetime:
    """So many seconds after the true onset."""
    return NOW + timedelta(seconds=seconds)


def seen(found: Onset) -> OnsetInterval:
    """The interval in seconds from the true onset."""
    assert found.interval is not None
    assert found.at is not None
    i = found.interval
    assert found.at == datetime.fromtimestamp(i.middle, UTC)
    either_way = max(i.middle - i.earliest, i.latest - i.middle)
    assert found.within.total_seconds() == math.ceil(either_way)
    return OnsetInterval(*(at - ONSET for at in (i.earliest, i.quartile, i.middle, i.latest)))


@pytest.mark.parametrize("seed", range(5))
def test_a_jump_is_dated_and_the_baseline_ends_before_it(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a simulation
    history = counted(chance, jump(0.002, 0.2), 50, -2700, 120)
    found = counts_onset(SPEC, history, moment(120), [])
    interval = seen(found)
    assert interval.earliest <= 0 <= interval.latest
    assert interval.latest - interval.earliest < 20
    assert found.baseline_until == datetime.fromtimestamp(ONSET + interval.earliest, UTC)


@pytest.mark.parametrize("seed", range(3))
def test_a_ramp_began_when_it_began(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a simulation
    history = counted(chance, climb(0.002, 0.2, 300), 50, -2400, 300)
    interval = seen(counts_onset(SPEC, history, moment(300), []))
    assert interval.earliest <= 0 <= interval.latest


@pytest.mark.parametrize("minutes", [5, 25, 35])
def test_an_onset_within_a_gap_may_have_been_anywhere_in_it(minutes: float) -> None:
    """A gap may be longer than what is looked at before an onset otherwise."""
    gap = (-30.0, 60 * minutes - 30)
    now = gap[1] + 200
    history = counted(None, jump(0.002, 0.2), 50, now - 2700, now, unseen=gap)
    found = counts_onset(SPEC, history, moment(now), [])
    interval = seen(found)
    # A quarter may well be after the moment at which the gap began: nothing there is told apart.
    assert interval.earliest < gap[0] + 5
    assert interval.quartile < gap[0] + 5
    assert interval.latest > gap[1] - 30
    assert found.baseline_until <= moment(gap[0])


def test_a_gap_elsewhere_says_nothing_about_the_onset() -> None:
    history = counted(None, jump(0.002, 0.2), 50, -2600, 120, unseen=(-1500, -600))
    interval = seen(counts_onset(SPEC, history, moment(120), []))
    assert interval.latest - interval.earliest < 20


def test_overlapping_windows_are_dated_less_closely_than_scrapes() -> None:
    cells = counted(None, jump(0.002, 0.2), 50, -2700, 120)
    windows = [
        type(now)(now.end, sum(b.bad for b in four), sum(b.total for b in four))
        for now, four in ((cells[n], cells[n - 3 : n + 1]) for n in range(3, len(cells)))
    ]
    near = seen(counts_onset(SPEC, cells, moment(120), []))
    vague = seen(counts_onset(SPEC, windows, moment(120), []))
    assert vague.earliest <= 0 <= vague.latest
    assert vague.latest - vague.earliest > near.latest - near.earliest + 14


def test_a_change_shortly_before_the_onset_ends_the_baseline() -> None:
    history = counted(None, jump(0.002, 0.2), 50, -2700, 120)
    near, old = make_change("v2", moment(-240)), make_change("v1", moment(-1700))
    found = counts_onset(SPEC, history, moment(120), [old, near])
    assert found.baseline_until == near.at
    # One deep in the look-back would leave too little to compare with.
    assert counts_onset(SPEC, history, moment(120), [old]).baseline_until > moment(-60)


def test_without_a_rise_there_is_no_onset() -> None:
    found = counts_onset(SPEC, counted(None, lambda at: 0.01, 50, -2700, 0), NOW, [])
    assert (found.at, found.interval) == (None, None)
    assert found.baseline_until == NOW - SPEC.windows[-1]


def test_a_faint_rise_has_an_onset_though_no_moment_stands_out() -> None:
    chance = random.Random(2)  # noqa: S311 - a simulation
    history = counted(chance, jump(0.01, 0.06), 2, -2700, 240)
    unknown = Onset(None, MINUTE, moment(-60))
    found = faint_onset(SPEC, history, moment(240), unknown, NO_NOISE)
    interval = seen(found)
    assert interval.earliest <= 0 <= interval.latest
    assert found.baseline_until == unknown.baseline_until
    assert faint_onset(SPEC, history[:1], moment(240), unknown, NO_NOISE) == unknown


# ── values ───────────────────────────────────────────────────────────────────────────────────


def latencies(*levels: tuple[float, float], until: float = 90.0) -> list[tuple[float, float]]:
    """A sample a scrape, 5 % apart, of the level that holds from each moment on."""
    chance = random.Random(4)  # noqa: S311 - a simulation
    moments = [-2700 + 4 + 15 * n for n in range(int((until + 2700) / 15))]
    return [
        (ONSET + at, [v for begin, v in levels if begin <= at][-1] * chance.lognormvariate(0, 0.05))
        for at in moments
    ]


def test_a_value_is_dated_between_two_samples() -> None:
    history = latencies((-9999, 0.2), (0, 1.0))
    interval = seen(value_onset(LATENCY, history, 1.0, moment(90), []))
    assert interval.earliest <= 0 <= interval.latest
    assert interval.latest - interval.earliest < 20


def test_a_value_that_falls_is_worse_where_higher_is_better() -> None:
    history = latencies((-9999, 1.0), (0, 0.2))
    interval = seen(value_onset(LATENCY, history, -1.0, moment(90), []))
    assert interval.earliest <= 0 <= interval.latest
    assert value_onset(LATENCY, history, 1.0, moment(90), []).at is None


def test_a_value_over_a_window_may_have_begun_to_climb_a_window_before() -> None:
    spec = value_spec(value="avg_over_time(latency[$window])")
    history = latencies((-9999, 0.2), (0, 1.0))
    plain = seen(value_onset(LATENCY, history, 1.0, moment(90), []))
    windowed = seen(value_onset(spec, history, 1.0, moment(90), []))
    assert windowed.earliest <= plain.earliest
    assert windowed.latest >= plain.latest


@pytest.mark.parametrize(
    "levels",
    [
        [(-9999.0, 0.2)],  # nothing happened
        [(-9999.0, 0.2), (-300.0, 1.0), (-60.0, 0.2)],  # it is over
        [(-9999.0, 1.0), (0.0, 0.2)],  # it is better
    ],
)
def test_a_value_that_is_not_worse_now_has_no_onset(levels: list[tuple[float, float]]) -> None:
    assert value_onset(LATENCY, latencies(*levels), 1.0, moment(90), []).at is None


def test_a_value_with_too_little_before_the_onset_has_none() -> None:
    history = latencies((-9999, 0.2), (0, 1.0))
    first = next(n for n, (at, _) in enumerate(history) if at >= ONSET)
    assert value_onset(LATENCY, history[first - 5 :], 1.0, moment(90), []).at is None
