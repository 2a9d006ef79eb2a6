"""What was live when, put together from all who saw it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.core.changes.live_periods import Life, lives, merge_periods
from daemon.core.changes.suspects import Change
from tests.core.build import ago, make_change

changes = st.lists(
    st.builds(make_change, st.sampled_from(["v1", "v2", "v3"]), st.integers(0, 99).map(ago)),
    max_size=8,
)


def items(history: list[Change]) -> list[tuple[str, str]]:
    return [(change.previous, change.item) for change in history]


def test_two_who_saw_the_same_change_saw_one() -> None:
    ours = [make_change("v1", ago(60)), make_change("v2", ago(9.9), "v1")]
    theirs = [make_change("v0", ago(90)), make_change("v1", ago(61)), make_change("v2", ago(10))]
    both = merge_periods(ours, theirs)
    assert items(both) == [("", "v0"), ("v0", "v1"), ("v1", "v2")]
    assert [change.at for change in both] == [ago(90), ago(61), ago(10)]


def test_what_came_back_lived_twice() -> None:
    history = merge_periods(
        [make_change("v1", ago(60)), make_change("v2", ago(30)), make_change("v1", ago(10))]
    )
    assert lives(history) == [Life("v1", ago(60), ago(30)), Life("v2", ago(30), ago(10))]


def test_the_newest_word_says_whether_it_still_rolls() -> None:
    known = [make_change("v2", ago(10))]
    seen = [make_change("v2", ago(9.9)).model_copy(update={"rolling": True, "text": "app:2"})]
    (change,) = merge_periods(known, seen)
    assert (change.at, change.rolling, change.text) == (ago(10), True, "app:2")


@given(changes, changes)
def test_no_item_follows_itself_and_merging_again_changes_nothing(
    ours: list[Change], theirs: list[Change]
) -> None:
    moments = [change.at for change in [*ours, *theirs]]
    assume(len(set(moments)) == len(moments))
    both = merge_periods(ours, theirs)
    assert all(a.item != b.item and a.at <= b.at for a, b in pairwise(both))
    assert {c.item for c in both} == {c.item for c in [*ours, *theirs]}
    assert merge_periods(both) == both
    assert merge_periods(both, ours) == both
    assert all(life.begin <= life.end for life in lives(both))
