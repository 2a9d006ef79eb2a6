"""Which item was live, told from what samples show was there."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.adapters.change_sources.live_label import Coming, Presence, comings_of, presence
from daemon.core.measurement.samples import QueryAnswer, Series

PATIENCE = timedelta(seconds=300)


def there(*steps: str, step: int = 60) -> Presence:
    """One word for each step: the items that are there, '-' for none, '?' for no data."""
    return {
        float(n * step): frozenset(() if word == "-" else word.split("+"))
        for n, word in enumerate(steps)
        if word != "?"
    }


def told(points: Presence, patience: timedelta = timedelta(0)) -> list[tuple[float, str, str]]:
    return [(c.at, c.previous, c.item) for c in comings_of(points, patience)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("a a a", []),
        ("a a+b b", [(60, "a", "b")]),
        ("a a+b b a+b a", [(60, "a", "b"), (180, "b", "a")]),
        ("a a+b a", [(60, "a", "b"), (120, "b", "a")]),  # taken back while it was rolled out
        ("a - a", []),  # scaled to nothing and back
        ("a ? ? a", []),
        ("a ? ? b", [(180, "a", "b")]),
        ("- a", [(60, "", "a")]),
        ("a+b b b", []),
        ("a+b a a+c", [(120, "a", "c")]),
        ("a+b a+b+c", [(60, "", "c")]),
        ("? ? a", []),
    ],
)
def test_what_appears_last_is_live(steps: str, expected: list[tuple[float, str, str]]) -> None:
    assert told(there(*steps.split())) == expected


def test_a_crashing_version_comes_once_and_is_taken_back_only_after_a_while() -> None:
    flapping = there(*["a", "a+b", "a", "a+b", "a", "a", "a+b"])
    assert told(flapping, PATIENCE) == [(60, "a", "b")]
    gone = there(*["a", "a+b", "a", "a", "a", "a", "a", "a", "a"])
    assert told(gone, PATIENCE) == [(60, "a", "b"), (120, "b", "a")]


def test_an_old_version_that_flickers_during_a_rollout_is_not_deployed_again() -> None:
    assert told(there(*["a", "a+b", "b", "a+b", "b"]), PATIENCE) == [(60, "a", "b")]
    assert told(there(*["a", "b", "a"]), PATIENCE) == [(60, "a", "b"), (120, "b", "a")]


def test_what_is_there_at_first_is_dated_only_by_its_birth() -> None:
    points = there("a+b", "b")
    born = {"a": -900.0, "b": -20.0}
    assert comings_of(points, timedelta(0), born, -600.0) == [Coming("b", "", -20.0, 0.0)]
    assert comings_of(points, timedelta(0), born, 0.0) == []


def test_presence_reads_counts_over_zero() -> None:
    nan = float("nan")
    answer = QueryAnswer(
        "q",
        [
            Series({"v": "a"}, [(0, 1.0), (15, 0.0), (30, nan)]),
            Series({"v": "b"}, [(15, 2.0)]),
            Series({}, [(45, 1.0)]),
        ],
    )
    assert presence(answer, "v") == {0: {"a"}, 15: {"b"}}


@given(st.lists(st.frozensets(st.sampled_from("abc")), max_size=30), st.sampled_from([0, 60, 300]))
def test_comings_chain_and_hold_only_what_was_there(
    steps: list[frozenset[str]], patience: int
) -> None:
    points = {float(60 * n): items for n, items in enumerate(steps)}
    found = comings_of(points, timedelta(seconds=patience))
    for one, following in itertools.pairwise(found):
        assert one.item == following.previous
        assert one.at <= following.at
    for one in found:
        assert one.item != one.previous
        assert one.item in points[one.at] or any(
            one.item in items for at, items in points.items() if at > one.at
        )
        assert one.after <= one.at
