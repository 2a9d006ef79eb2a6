"""Which values turned worse, where the problem is a latency."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from daemon.core.diagnosis.by_label import NotParted, keeping
from daemon.core.diagnosis.levels import LevelsFound, ValueLevels, worse_values


def level(
    name: str, seed: int, usual: float = 0.2, now: float | None = None, samples: int = 6
) -> ValueLevels:
    """Forty samples before the onset and some after it, with noise of a twentieth."""
    chance = random.Random(f"{name} {seed}")  # noqa: S311 - a draw, no secret

    def draw(around: float, count: int) -> list[float]:
        return [around * (1 + chance.gauss(0, 0.05)) for _ in range(count)]

    return ValueLevels(name, draw(usual, 40), draw(usual if now is None else now, samples))


def of(levels: Mapping[str, list[ValueLevels]], sign: float = 1.0) -> LevelsFound:
    return worse_values(dict(levels), sign)


def many(seed: int, **worse: float) -> list[ValueLevels]:
    names = [f"e{number}" for number in range(200)]
    return [level(name, seed, now=worse.get(name)) for name in names]


def test_the_one_of_two_hundred_that_is_slow_is_named() -> None:
    for seed in range(10):
        (found,) = of({"endpoint": many(seed, e7=0.9)}).worse
        assert (found.label, found.values, found.tested) == ("endpoint", ("e7",), 200)
        assert found.after > 4 * found.before
        assert abs(found.rest - found.rest_before) < 0.02


def test_nobody_is_named_where_none_or_all_are_slow() -> None:
    slow = {f"e{number}": 0.9 for number in range(200)}
    for seed in range(20):
        assert of({"endpoint": many(seed)}).worse == ()
        assert of({"endpoint": many(seed, **slow)}).worse == ()


def test_more_than_make_a_name_name_nobody() -> None:
    assert of({"endpoint": many(1, e1=0.9, e2=0.9, e3=0.9, e4=0.9)}).worse == ()
    two = of({"endpoint": many(1, e1=0.9, e2=0.9)}).worse[0]
    assert set(two.values) == {"e1", "e2"}


def test_where_higher_is_better_the_one_that_fell_is_named() -> None:
    nodes = [level(f"n{n}", 1, usual=100, now=20 if n == 3 else None) for n in range(6)]
    assert of({"node": nodes}, -1.0).worse[0].values == ("n3",)
    assert of({"node": nodes}, 1.0).worse == ()


def test_one_value_alone_and_too_few_samples_are_compared_with_nothing() -> None:
    alone = [level("a", 1, now=0.9)]
    few = [level("a", 1, now=0.9, samples=2), level("b", 1, samples=2)]
    assert of({"zone": alone, "pod": few}) == LevelsFound((), 0, ())


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        (
            'histogram_quantile(0.99, sum by (le) (rate(x_bucket{s="a"}[1m])))',
            'histogram_quantile(0.99, sum by (le, zone) (rate(x_bucket{s="a"}[1m])))',
        ),
        ("sum(a) / sum(b)", "(sum by (zone) (a)) / (sum by (zone) (b))"),
        ("avg(x)", "avg by (zone) (x)"),
        ("avg without (zone, pod) (x)", "avg without (pod) (x)"),
        ("1000 * max by (job) (x)", "(1000) * (max by (job, zone) (x))"),
    ],
)
def test_a_value_is_asked_for_with_the_label(query: str, asked: str) -> None:
    assert keeping(query, "zone") == asked


@pytest.mark.parametrize("query", ["quantile(0.9, x)", "absent(x)", "max(x) > 3", "sum("])
def test_what_has_no_such_label_says_so(query: str) -> None:
    with pytest.raises(NotParted):
        keeping(query, "zone")


@pytest.mark.parametrize("usual", [0.0, 0.001])
def test_who_never_failed_and_who_did_once_are_named_together(usual: float) -> None:
    """A share of failures: relative to almost nothing each step is huge."""
    quiet = [ValueLevels(f"q{n}", [usual] * 30, [0.6] * 8) for n in range(2)]
    noisy = ValueLevels("noisy", [0.004] * 30, [0.6] * 8)
    well = [ValueLevels(f"w{n}", [0.0, 0.008] * 15, [0.008, 0.0] * 4) for n in range(9)]
    (worse,) = worse_values({"pod": [*quiet, noisy, *well]}, 1.0).worse
    assert set(worse.values) == {"q0", "q1", "noisy"}
