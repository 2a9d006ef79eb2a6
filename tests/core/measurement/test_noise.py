"""Noise: chance alone is quiet, bursts and memory are seen, few looks are not believed."""

from __future__ import annotations

import math
import random
from statistics import pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.noise import (
    MIN_LOOKS,
    NO_NOISE,
    Noise,
    counts_noise,
    local_dispersion,
    student,
    values_noise,
)
from daemon.core.values.significance import Z99, Bin
from tests.core.build import poisson


def noisy_bins(
    seed: int, *, sigma: float = 0.0, memory: float = 0.0, count: int = 180, share: float = 0.01
) -> list[Bin]:
    """Poisson bins of 750 events whose share is multiplied by log-normal AR(1) factors."""
    chance, found = random.Random(seed), []  # noqa: S311 - a simulation
    factor = chance.gauss(0, sigma)
    for n in range(count):
        factor = memory * factor + math.sqrt(1 - memory**2) * chance.gauss(0, sigma)
        level = min(1.0, share * math.exp(factor - sigma**2 / 2))
        bad, good = poisson(chance, 750 * level), poisson(chance, 750 * (1 - level))
        found.append(Bin(15.0 * (n + 1), bad, bad + good, 15.0 * n))
    return found


def wandering(seed: int, memory: float, count: int) -> list[float]:
    """An AR(1) series of variance 1."""
    chance, found = random.Random(seed), []  # noqa: S311 - a simulation
    level = chance.gauss(0, 1)
    for _ in range(count):
        level = memory * level + math.sqrt(1 - memory**2) * chance.gauss(0, 1)
        found.append(level)
    return found


# ── counts ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
def test_chance_alone_is_quiet(share: float) -> None:
    """At most one of 40 seeded histories looks noisier than chance."""
    found = [counts_noise(noisy_bins(seed, share=share)) for seed in range(40)]
    assert sum(noise != NO_NOISE for noise in found) <= 1


def test_log_normal_factors_are_noise_beyond_chance() -> None:
    """The variance of the factors is e^σ² − 1, so that of a bin is 1 + 7.5 · 0.43 of chance's."""
    found = [counts_noise(noisy_bins(seed, sigma=0.6)) for seed in range(20)]
    assert all(noise.extra > 0.5 for noise in found)
    assert sum(noise.extra for noise in found) / 20 == pytest.approx(7.5 * 0.43, rel=0.3)
    assert sum(noise.memory > 0 for noise in found) <= 4


def test_noise_that_lasts_has_a_memory() -> None:
    found = [counts_noise(noisy_bins(seed, sigma=0.6, memory=0.95)) for seed in range(20)]
    assert all(noise.memory > 0.5 for noise in found)
    assert all(noise.memory <= 0.97 for noise in found)


def test_rare_failures_are_put_together_before_they_are_called_noise() -> None:
    bins = [Bin(15.0 * n, float(n % 10 == 0), 750) for n in range(400)]
    assert counts_noise(bins) == NO_NOISE


@pytest.mark.parametrize(
    "bins",
    [
        [],
        [Bin(15.0 * n, 0, 100) for n in range(50)],
        [Bin(15.0 * n, 100, 100) for n in range(50)],
        [Bin(15.0 * n, 90.0 * (n % 2), 100) for n in range(MIN_LOOKS - 1)],
    ],
    ids=["none", "no failure", "all failed", "too few"],
)
def test_nothing_is_said_of_what_does_not_vary_or_was_hardly_seen(bins: list[Bin]) -> None:
    assert counts_noise(bins) == NO_NOISE
    assert local_dispersion(bins) == 1.0


def test_a_level_that_moved_once_does_not_make_neighbours_differ() -> None:
    moved = [
        [*noisy_bins(seed, count=90), *noisy_bins(seed + 50, count=90, share=0.2)]
        for seed in range(20)
    ]
    assert sum(local_dispersion(bins) > 1 for bins in moved) <= 3
    assert all(counts_noise(bins).extra > 5 for bins in moved)
    assert local_dispersion(noisy_bins(3, sigma=1.0, share=0.05)) > 3


# ── values ───────────────────────────────────────────────────────────────────────────────────


def test_the_noise_of_values_is_their_variance() -> None:
    found = values_noise([1.0, 3.0, 1.0, 3.0])
    assert found.extra == pytest.approx(4 / 3)
    assert (found.memory, found.looks, found.size) == (0.0, 4, 1)
    assert values_noise([5.0]).extra == 0.0


def test_values_that_wander_have_a_memory_and_others_none() -> None:
    assert all(values_noise(wandering(seed, 0.9, 180)).memory > 0.6 for seed in range(20))
    assert sum(values_noise(wandering(seed, 0.0, 180)).memory > 0 for seed in range(40)) <= 3


# ── what noise does to a mean ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("memory", [0.3, 0.8])
@pytest.mark.parametrize("count", [4, 20])
def test_the_variance_of_a_mean_is_that_of_a_simulation(memory: float, count: int) -> None:
    means = [sum(wandering(seed, memory, count)) / count for seed in range(3000)]
    independent = 1 / count
    found = Noise(1.0, memory, 100).persistence(count)
    assert found == pytest.approx(pvariance(means) / independent, rel=0.1)


@given(st.floats(0, 0.97), st.floats(0, 1e4))
def test_a_mean_varies_between_once_and_as_often_as_it_has_looks(r: float, count: float) -> None:
    found = Noise(1.0, r, 100).persistence(count)
    assert 1 <= found <= max(1.0, count) + 1e-6
    assert found <= (1 + r) / (1 - r) + 1e-9


@given(st.floats(0, 50), st.floats(0, 0.97), st.integers(1, 20), st.floats(1, 400))
def test_more_bins_are_spread_no_less(extra: float, r: float, size: int, bins: float) -> None:
    noise = Noise(extra, r, 100, size)
    assert noise.spread(bins) >= 1 + extra - 1e-9
    assert noise.spread(2 * bins) >= noise.spread(bins) - 1e-9
    assert NO_NOISE.spread(bins) == 1


def test_few_independent_looks_ask_for_more() -> None:
    assert NO_NOISE.quantile == Z99
    assert Noise(1.0, 0.0, 10).quantile == pytest.approx(3.250, abs=0.005)  # of 9 degrees
    assert Noise(1.0, 0.9, 30).quantile > Noise(1.0, 0.0, 30).quantile > Z99
    assert Noise(1.0, 0.0, 5000).quantile == Z99


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        # The table of t, two-sided 99 %, as in any book; between the nodes of ours, too.
        *[(1, 63.657), (2, 9.925), (5, 4.032), (10, 3.169), (20, 2.845), (30, 2.750), (60, 2.660)],
        *[(9, 3.250), (11, 3.106), (14, 2.977), (18, 2.878), (25, 2.787), (40, 2.704), (80, 2.639)],
    ],
)
def test_the_quantile_of_student_is_the_published_one(freedom: float, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.002)


@given(st.floats(-5, 500), st.floats(0, 500))
def test_more_degrees_of_freedom_never_widen(freedom: float, more: float) -> None:
    assert Z99 <= student(freedom + more) <= student(freedom) <= 63.66
