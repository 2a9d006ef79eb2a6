"""How much worse a value is: on its logarithm, and only as sure as independent looks allow."""

from __future__ import annotations

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.value_shift import LEAST_SPREAD, ValueScale, shift

positive = st.lists(st.floats(0.01, 1e4), min_size=2, max_size=25)
samples = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=25)
signs = st.sampled_from([1.0, -1.0])


def drawn(seed: int, count: int, level: float, memory: float = 0.0) -> list[float]:
    """Latencies that wander by about a fifth."""
    chance, found = random.Random(seed), []  # noqa: S311 - a simulation
    place = chance.gauss(0, 1)
    for _ in range(count):
        place = memory * place + math.sqrt(1 - memory**2) * chance.gauss(0, 1)
        found.append(level * math.exp(0.2 * place))
    return found


@given(samples, samples, signs)
def test_the_estimate_is_how_much_worse_the_level_is(
    now: list[float], base: list[float], sign: float
) -> None:
    level = median(now)
    found = shift(now, base, sign, level)
    assert found.estimate == sign * (level - median(base))
    assert found.low <= found.estimate + 1e-6
    assert found.estimate <= found.high + 1e-6


@given(positive, positive, st.floats(0.1, 10))
def test_the_unit_of_a_value_says_nothing(now: list[float], base: list[float], unit: float) -> None:
    there = shift(now, base, 1.0, median(now))
    scaled = [[value * unit for value in values] for values in (now, base)]
    found = shift(*scaled, 1.0, median(scaled[0]))
    assert found.estimate == pytest.approx(there.estimate * unit, rel=1e-6, abs=1e-6)
    assert found.low == pytest.approx(there.low * unit, rel=1e-5, abs=1e-5)


@given(samples, st.floats(-100, 100))
def test_lower_is_worse_the_other_way_round(base: list[float], level: float) -> None:
    now = [level - 1, level + 1, -1.0]  # below zero, so that they are compared as they are
    worse, better = shift(now, base, 1.0, level), shift(now, base, -1.0, level)
    assert better.estimate == -worse.estimate
    assert better.low == pytest.approx(-worse.high, abs=1e-6)
    assert better.high == pytest.approx(-worse.low, abs=1e-6)


@pytest.mark.parametrize(("now", "base"), [([5.0], [1.0, 1.1]), ([5.0, 6.0], [1.0])])
def test_one_sample_alone_has_no_bounds(now: list[float], base: list[float]) -> None:
    found = shift(now, base, 1.0, median(now))
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.estimate == median(now) - median(base)


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_chance_makes_nothing_worse(memory: float) -> None:
    """Four samples like those before them: 99 % of intervals hold no difference."""
    worse = 0
    for seed in range(400):
        values = drawn(seed, 184, 0.2, memory)
        now, base = values[-4:], values[:-4]
        worse += shift(now, base, 1.0, median(now)).low > 0
    assert worse <= 8


def test_five_fold_is_sure_from_two_samples_on() -> None:
    assert all(shift([1.0, 1.0], drawn(s, 180, 0.2), 1.0, 1.0).low > 0 for s in range(50))


def test_a_value_that_wanders_is_less_sure() -> None:
    now = [0.3] * 4
    widths = [
        median(
            found.high - found.low
            for found in (shift(now, drawn(s, 180, 0.2, memory), 1.0, 0.3) for s in range(20))
        )
        for memory in (0.0, 0.95)
    ]
    assert widths[1] > 1.5 * widths[0]


def test_a_baseline_that_never_moves_is_no_proof() -> None:
    found = shift([100.01, 100.01], [100.0] * 20, 1.0, 100.01)
    assert found.low < 0 < found.high
    assert shift([101.0, 101.0], [100.0] * 20, 1.0, 101.0).low > 0
    assert shift([1.0, 1.0], [0.0] * 20, 1.0, 1.0).low > 0.9, "zero has no logarithm"


# ── the scale ────────────────────────────────────────────────────────────────────────────────


@given(positive, signs)
def test_values_above_zero_are_compared_by_their_logarithms(
    values: list[float], sign: float
) -> None:
    scale = ValueScale.of(values, sign)
    assert scale.logarithmic
    for value in values:
        assert scale.value(scale.place(value)) == pytest.approx(value)
    assert scale.place(2.0) - scale.place(1.0) == pytest.approx(scale.place(4.0) - scale.place(2.0))
    assert not ValueScale.of([*values, 0.0], sign).logarithmic


@given(samples, signs)
def test_other_values_stand_where_they_are(values: list[float], sign: float) -> None:
    scale = ValueScale.of([*values, -1.0], sign)
    assert [scale.place(value) for value in values] == [sign * value for value in values]
    assert [scale.value(scale.place(value)) for value in values] == values


def test_a_variance_is_never_quite_zero() -> None:
    assert ValueScale(True, 1.0).variance([3.0] * 5) == pytest.approx(LEAST_SPREAD**2)
    assert ValueScale(False, 1.0).variance([-50.0] * 5) == pytest.approx((50 * LEAST_SPREAD) ** 2)
    assert ValueScale(False, 1.0).variance([1.0, 3.0]) == 2.0
    assert ValueScale(True, 1.0).value(1e6) == math.exp(700), "too great a place is no error"
