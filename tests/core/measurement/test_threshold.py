"""Whether a threshold holds at each moment, since when, by which leaf, and by how much."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.threshold import Evaluation, LeafSamples, excess
from daemon.core.rules.threshold_spec import BOUNDS, Threshold
from tests.core.build import NOW

WIDTH = timedelta(minutes=1)
STEP = 15.0
Values = Sequence[float | None]
STALE = Unmeasurable("no_data", "samples_stale", "the newest sample is 5m old")
PARTIAL = Unmeasurable("query_error", "partial_answer", "Prometheus warned")


def condition(written: Mapping[str, Any]) -> Threshold:
    return Threshold.model_validate(dict(written))


def evaluated(written: Mapping[str, Any], *values: Values, **given: Any) -> Evaluation:
    """The condition over these values of its leaves, a step apart, the last one now; `troubles` and
    `unseen` by the number of the leaf."""
    whole = condition(written)
    leaves = [
        LeafSamples(leaf, values[n], given.get("troubles", {}).get(n), n in given.get("unseen", ()))
        for n, leaf in enumerate(whole.leaves())
    ]
    count = len(values[0])
    return Evaluation(
        whole, leaves, [NOW.timestamp() - STEP * (count - 1 - n) for n in range(count)]
    )


def states(evaluation: Evaluation) -> list[bool | None]:
    return [one.holds for one in evaluation.judged]


BOTH = {"all": [{"value": "a", "above": 0}, {"value": "b", "above": 0}]}
EITHER = {"any": [{"value": "a", "above": 0}, {"value": "b", "above": 0}]}


@pytest.mark.parametrize(
    ("bounds", "holds", "does_not"),
    [
        ({"above": 90}, [90.1, math.inf], [90, 89.9, -math.inf]),
        ({"at_least": 90}, [90, 91], [89.999]),
        ({"below": 0.5}, [0.49, -1], [0.5, 0.51]),
        ({"at_most": 0.5}, [0.5, -math.inf], [0.51]),
        ({"equals": 0}, [0, -0.0], [1e-9, 1]),
        ({"differs_from": 1}, [0, 2], [1]),
        ({"above": 5, "below": 9}, [5.1, 8.9], [5, 9, 4, 10]),
        ({"at_least": 5, "at_most": 5}, [5], [4.9, 5.1]),
    ],
)
def test_a_leaf_compares_as_it_is_written(
    bounds: dict[str, float], holds: list[float], does_not: list[float]
) -> None:
    assert states(evaluated({"value": "a", **bounds}, holds)) == [True] * len(holds)
    assert states(evaluated({"value": "a", **bounds}, does_not)) == [False] * len(does_not)


def test_what_is_no_number_tells_nothing() -> None:
    assert states(evaluated({"value": "a", "below": 5}, [None, math.nan, 1.0])) == [
        None,
        None,
        True,
    ]
    assert states(evaluated({"value": "a", "differs_from": 5}, [math.nan])) == [None]


@pytest.mark.parametrize(
    ("written", "values", "expected"),
    [
        (EITHER, (1.0, None), True),  # the other leaf holds
        (EITHER, (0.0, None), None),  # what cannot be read makes nothing healthy
        (EITHER, (0.0, 0.0), False),
        (BOTH, (1.0, None), None),
        (BOTH, (0.0, None), False),  # whatever the other is
        (BOTH, (1.0, 1.0), True),
    ],
)
def test_an_unreadable_leaf_decides_nothing(
    written: dict[str, Any], values: tuple[float | None, ...], expected: bool | None
) -> None:
    assert evaluated(written, *([value] for value in values)).newest is expected


def trees() -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.just({"value": "m", "above": 0})
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            lambda joint, parts: {joint: parts},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )


def plainly(tree: Mapping[str, Any], leaves: list[bool]) -> bool:
    """What the tree says where every leaf is known; takes its leaves from the front."""
    for joint, decide in (("all", all), ("any", any)):
        if joint in tree:
            parts = [plainly(part, leaves) for part in tree[joint]]  # each takes its own
            return decide(parts)
    return leaves.pop(0)


@given(trees(), st.data())
def test_it_is_told_exactly_where_whatever_is_unknown_would_change_nothing(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    count = len(condition(tree).leaves())
    known = data.draw(
        st.lists(st.sampled_from([True, False, None]), min_size=count, max_size=count)
    )
    options = [[True, False] if state is None else [state] for state in known]
    possible = {plainly(tree, list(each)) for each in itertools.product(*options)}
    numbers = [{True: [1.0], False: [-1.0], None: [None]}[state] for state in known]
    found = evaluated(tree, *numbers)
    assert found.newest is (possible.pop() if len(possible) == 1 else None)
    assert bool(found.holding()) is (found.newest is True)
    assert all(known[number] for number in found.holding())


@given(trees(), st.data())
def test_the_excess_is_above_zero_only_where_it_holds(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    count = len(condition(tree).leaves())
    numbers = data.draw(
        st.lists(st.floats(-9, 9).map(lambda x: round(x, 3)), min_size=count, max_size=count)
    )
    judged = evaluated(tree, *([number] for number in numbers)).judged[0]
    assert judged.excess is not None
    assert (judged.excess > 0) is judged.holds


@pytest.mark.parametrize(
    ("bounds", "number", "amount"),
    [
        ({"above": 90}, 99, 0.1),
        ({"above": 90}, 81, -0.1),
        ({"below": 200}, 100, 0.5),
        ({"above": 0}, 3, 3.0),  # nothing is relative to zero
        ({"at_least": 1}, 1, 0.0),
        ({"equals": 0}, 0, None),
        ({"equals": 10}, 5, -0.5),
        ({"differs_from": 1}, 0, 1.0),
        ({"above": 10, "below": 20}, 18, 0.1),
        ({"below": -10}, -15, 0.5),
    ],
)
def test_how_much_a_threshold_is_passed_is_relative_to_it(
    bounds: dict[str, float], number: float, amount: float | None
) -> None:
    found = excess(condition({"value": "a", **bounds}), number)
    assert found == (None if amount is None else pytest.approx(amount))


def test_of_joined_leaves_all_are_passed_by_the_least_and_any_by_the_most() -> None:
    all_of = {"all": [{"value": "a", "above": 10}, {"value": "b", "above": 10}]}
    any_of = {"any": all_of["all"]}
    assert evaluated(all_of, [15.0], [11.0]).judged[0].excess == pytest.approx(0.1)
    assert evaluated(any_of, [15.0], [11.0]).judged[0].excess == pytest.approx(0.5)
    guarded = {"all": [{"value": "a", "above": 10}, {"value": "up", "equals": 1}]}
    assert evaluated(guarded, [15.0], [1.0]).judged[0].excess == pytest.approx(0.5)


def test_the_leaf_that_stands_for_all_is_the_first_by_which_it_holds() -> None:
    nested = {
        "any": [
            {"all": [{"value": "a", "above": 0}, {"value": "b", "above": 0}]},
            {"value": "c", "above": 0},
        ]
    }
    assert evaluated(nested, [1.0], [0.0], [1.0]).holding() == (2,)
    assert evaluated(nested, [1.0], [1.0], [1.0]).holding() == (0, 1, 2)
    assert evaluated(nested, [1.0], [1.0], [1.0]).leading() == 0
    assert evaluated(nested, [None], [1.0], [0.0]).leading() == 1
    assert evaluated(nested, [None], [None], [None]).leading() == 0


# ── what is not to be believed ───────────────────────────────────────────────────────────────


def test_a_leaf_in_trouble_is_unreadable_whatever_it_answered() -> None:
    assert evaluated(EITHER, [0.0], [0.0], troubles={0: PARTIAL}).newest is None
    assert evaluated(EITHER, [0.0], [1.0], troubles={0: PARTIAL}).newest is True
    assert evaluated(EITHER, [0.0], [0.0], troubles={0: PARTIAL}).why_unreadable() is PARTIAL


def test_a_monitoring_outage_explains_what_is_empty_beside_it() -> None:
    assert evaluated(EITHER, [None], [1.0], troubles={1: STALE}).why_unreadable() is STALE


@pytest.mark.parametrize(("value", "reason"), [(None, "empty_answer"), (math.nan, "not_a_number")])
def test_why_a_leaf_cannot_be_read_is_told(value: float | None, reason: str) -> None:
    assert evaluated({"value": "a", "above": 1}, [value]).why_unreadable().reason == reason


def test_what_never_had_a_series_is_believed_where_it_holds_alone() -> None:
    absent = {"value": "absent(up) or vector(0)", "at_least": 1}
    assert evaluated(absent, [1.0], unseen={0}).newest is True
    quiet = evaluated(absent, [0.0], unseen={0})
    assert quiet.newest is None
    assert "look at the selector" in quiet.why_unreadable().text


# ── since when ───────────────────────────────────────────────────────────────────────────────


def since(*values: float | None) -> tuple[float | None, float]:
    """(after, by) in steps before now."""
    found = evaluated({"value": "a", "above": 0}, values).held_since(WIDTH)
    now = NOW.timestamp()
    after = None if found.after is None else (now - found.after) / STEP
    return after, (now - found.by) / STEP


N, Y = 0.0, 1.0


def test_it_began_between_the_last_evaluation_that_did_not_hold_and_the_first_that_did() -> None:
    assert since(N, N, N, N, N, Y, Y, Y) == (3, 2)


def test_what_cannot_be_read_widens_when_it_began() -> None:
    assert since(N, N, N, N, N, None, None, Y) == (3, 0)


def test_a_dip_shorter_than_the_shortest_window_is_no_end() -> None:
    assert since(N, N, N, N, N, Y, Y, N, N, N, Y, Y) == (7, 6)


@pytest.mark.parametrize("wavering", [(N, Y, N, N, Y), (N, N, N, Y, Y)])
def test_a_short_dip_at_the_beginning_of_the_look_back_is_no_beginning(
    wavering: tuple[float, ...],
) -> None:
    """What was before it is not known: a value that wavers has done so for days, maybe."""
    after, _ = since(*wavering)
    assert after is None


def test_what_did_not_hold_since_the_look_back_began_is_a_beginning() -> None:
    assert since(N, N, N, N, Y, Y) == (2, 1)


def test_a_pause_as_long_as_the_shortest_window_is_one() -> None:
    assert since(N, N, N, Y, Y, N, N, N, N, Y, Y) == (2, 1)


@pytest.mark.parametrize("values", [(Y, Y, Y, Y), (None, Y, Y), (Y, None, N, Y)])
def test_where_it_was_never_seen_not_to_hold_for_long_nobody_knows(
    values: tuple[float | None, ...],
) -> None:
    after, by = since(*values)
    assert after is None
    assert by == len(values) - 1 - values.index(Y)


@given(st.lists(st.sampled_from([N, Y, None]), max_size=40).map(lambda states: [*states, Y]))
def test_since_then_it_never_paused_for_as_long_as_the_window(values: list[float | None]) -> None:
    after, by = since(*values)
    begin = len(values) - 1 - int(by)
    assert values[begin] == Y
    known = [(n, v) for n, v in enumerate(values) if n >= begin and v is not None]
    pause: int | None = None
    for number, value in known:
        if value == N:
            pause = number if pause is None else pause
        elif pause is not None:
            assert (number - pause) * STEP < WIDTH.total_seconds()
            pause = None
    if after is not None:
        last = len(values) - 1 - int(after)
        assert values[last] == N
        assert N not in values[last + 1 : begin]
        assert Y not in values[last + 1 : begin]


def test_before_it_is_what_the_leading_leaf_was_back_to_where_it_held_before() -> None:
    found = evaluated(
        {"value": "a", "above": 10},
        [20.0, 20.0, 5.0, None, 6.0, math.nan, 7.0, 30.0, 30.0],
    )
    until = NOW.timestamp() - 2 * STEP
    assert [number for _, number in found.before(until)] == [5.0, 6.0, 7.0]


def test_the_last_window_holds_one_evaluation_at_least() -> None:
    found = evaluated({"value": "a", "above": 0}, [Y, N, Y, Y, None, Y])
    assert found.held(WIDTH, NOW) == (3, 0, 4)
    assert found.held(timedelta(seconds=1), NOW) == (1, 0, 1)


def test_every_bound_has_its_words() -> None:
    for name in BOUNDS:
        text = condition({"value": "a", name: 1234.5}).describe()
        assert text.endswith("1,234.5")
