"""Which change is to blame, and what to go back to: shy, explained, never merely n−1."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.changes.scoring import TOLD_APART
from daemon.core.changes.suspects import (
    Change,
    HealthMark,
    candidates,
    last_healthy,
    suspect,
    unseen,
)
from daemon.core.incident import events as e
from daemon.core.values.units import clock_time
from tests.core.build import MINUTE, SECOND, ago, make_alert, make_change, make_incident

ONSET = ago(10)
WITHIN = 30 * SECOND


def verdict(*changes: Change) -> str:
    return suspect(changes, ONSET, WITHIN).verdict


def test_one_change_just_before_the_onset_is_the_suspect() -> None:
    change = make_change("v2", ago(11), "v1")
    found = suspect([change], ONSET, WITHIN)
    assert (found.verdict, found.change) == ("suspect", change)
    assert found.text == "release:shop: v1 → v2, 1m before the onset"


def test_a_suspect_that_went_back_is_somebodys_rollback_and_a_second_try_is_none() -> None:
    history = [make_change("v1", ago(500)), make_change("v2", ago(100), "v1")]
    assert not suspect([*history, make_change("v3", ago(11), "v2")], ONSET, WITHIN).returned
    back = make_change("v1", ago(11), "v2")
    assert suspect([*history, back], ONSET, WITHIN).returned
    assert suspect([history[1], back], ONSET, WITHIN).returned, "v1 was live before v2"
    history += [make_change("v1", ago(90), "v2")]
    again = make_change("v2", ago(11), "v1")
    assert not suspect([*history, again], ONSET, WITHIN).returned, "deployed once more"


def test_unseen_changes_blame_nobody_and_a_shared_cause_stays_one() -> None:
    none = suspect([], ONSET, WITHIN)
    assert unseen(none, "no route").verdict == "unseen"
    assert unseen(none, "no route").text == "what was changed could not be seen: no route"
    shared = none.model_copy(update={"shared": True, "text": "2 of 2 siblings turned worse too"})
    assert unseen(shared, "no route").shared
    assert unseen(shared, "no route").text.startswith("2 of 2 siblings")


def test_a_change_within_the_uncertainty_after_the_onset_is_doubtful() -> None:
    found = suspect([make_change("v2", ONSET + WITHIN)], ONSET, WITHIN)
    assert (found.verdict, found.doubt) == ("doubtful", "onset_unclear")
    assert found.text == (
        "release:shop: ? → v2, 30s after the likeliest onset; but the trouble began between "
        "13:59:30 UTC and 14:00:30 UTC, so the metrics do not tell which came first"
    )
    assert verdict(make_change("v2", ONSET + WITHIN + 6 * SECOND)) == "none"


@pytest.mark.parametrize(("minutes", "found"), [(40, "suspect"), (40.1, "none")])
def test_a_change_is_suspected_for_half_an_hour(minutes: float, found: str) -> None:
    assert verdict(make_change("v2", ago(minutes))) == found


def test_without_a_change_or_an_onset_nobody_is_blamed() -> None:
    assert verdict() == "none"
    found = suspect([make_change("v2", ago(11))], None, WITHIN)
    assert (found.verdict, found.change) == ("none", None)
    assert "onset is not known" in found.text


def test_two_changed_subjects_are_ambiguous() -> None:
    changes = [make_change("v2", ago(11)), make_change("on", ago(30), subject="flag:loyalty")]
    found = suspect(changes, ONSET, WITHIN)
    assert (found.verdict, found.change) == ("ambiguous", None)
    assert "2 changes fit the onset: flag:loyalty → on, release:shop → v2" in found.text


def test_an_older_change_of_the_same_subject_is_acquitted() -> None:
    newest = make_change("v3", ago(11), "v2")
    found = suspect([newest, make_change("v2", ago(30), "v1")], ONSET, WITHIN)
    assert (found.verdict, found.change) == ("suspect", newest)


def test_each_older_change_tells_when_the_next_one_replaced_it() -> None:
    chain = [
        make_change(item, ago(minutes)) for item, minutes in (("v1", 30), ("v2", 20), ("v3", 11))
    ]
    told = {one.change.item: one.acquitted for one in suspect(chain, ONSET, WITHIN).candidates}
    assert told == {
        "v3": "",
        "v2": f"it was replaced at {clock_time(ago(11))}, before the trouble began",
        "v1": f"it was replaced at {clock_time(ago(20))}, before the trouble began",
    }


def test_a_change_after_the_onset_does_not_acquit_the_one_before() -> None:
    before, after = make_change("v2", ago(11)), make_change("v3", ago(5))
    assert suspect([before, after], ONSET, WITHIN).change == before


times = st.integers(-3600, 3600).map(lambda s: ONSET + timedelta(seconds=s))
changes = st.lists(
    st.builds(
        make_change, st.sampled_from(["v1", "v2", "v3"]), times, subject=st.sampled_from("abc")
    ),
    max_size=8,
)


@given(changes, st.randoms())
def test_suspicion_needs_one_changed_subject_whatever_the_order(
    listed: list[Change], chance: object
) -> None:
    near = candidates(listed, ONSET, WITHIN + TOLD_APART)
    assert len({c.subject for c in near}) == len(near)
    assert all(ONSET - 30 * MINUTE <= c.at <= ONSET + WITHIN + TOLD_APART for c in near)
    alone = "doubtful" if near and near[0].at > ONSET - WITHIN / 2 + TOLD_APART else "suspect"
    expected = "none" if not near else alone if len(near) == 1 else "ambiguous"
    assert verdict(*listed) == verdict(*listed[::-1]) == expected


# ── what to go back to ───────────────────────────────────────────────────────────────────────

BASELINE = (ago(60), ago(12))
HISTORY = [
    make_change("v2", ago(200), "v1"),
    make_change("v3", ago(100), "v2"),
    make_change("v4", ago(11), "v3"),
]


def choice(
    current: str,
    history: list[Change] = HISTORY,
    marks: dict[str, HealthMark] | None = None,
    baseline: tuple[datetime, datetime] | None = BASELINE,
) -> str:
    found = last_healthy(current, history, marks or {}, baseline)
    assert (found.reason == "measured_healthy") == bool(found.item)
    assert found.item != current
    assert found.text
    return found.item


def test_the_item_that_was_live_in_the_healthy_baseline_is_chosen() -> None:
    assert choice("v4") == "v3"


def test_an_item_that_was_never_measured_is_not_chosen_though_it_is_the_one_before() -> None:
    history = [make_change("v3", ago(100), "v2"), make_change("v4", ago(11.5), "v3")]
    history.append(make_change("v5", ago(11), "v4"))
    assert choice("v5", history) == "v3"


def test_a_change_at_the_very_end_of_the_baseline_was_not_measured_in_it() -> None:
    history = [make_change("v3", ago(100), "v2"), make_change("v4", BASELINE[1], "v3")]
    assert choice("v5", history) == "v3"


def test_the_current_item_is_never_chosen() -> None:
    assert choice("v3", HISTORY[:2]) == ""


def test_a_bad_item_is_never_chosen_though_it_was_live_in_the_baseline() -> None:
    assert choice("v4", marks={"v3": "bad"}) == ""
    assert choice("v4", marks={"v3": "bad", "v2": "healthy"}) == "v2"


def test_the_newest_of_the_healthy_items_is_chosen() -> None:
    assert choice("v4", marks={"v2": "healthy"}) == "v3"


def test_what_was_live_before_the_first_known_change_counts_if_the_baseline_saw_it() -> None:
    assert choice("v2", [make_change("v2", ago(11), "v1")]) == "v1"
    assert choice("v2", [make_change("v2", ago(61), "v1")]) == ""
    assert choice("v2", [make_change("v2", ago(11))]) == ""


def test_without_a_baseline_only_marks_count() -> None:
    assert choice("v4", baseline=None) == ""
    assert choice("v4", marks={"v2": "healthy"}, baseline=None) == "v2"


def test_an_undo_is_never_undone() -> None:
    """v2 was bad and rolled back to v1; now v1 fails too. v2 is not the way out."""
    history = [
        make_change("v1", ago(500), "v0"),
        make_change("v2", ago(100), "v1"),
        make_change("v1", ago(90), "v2"),
    ]
    marks: dict[str, HealthMark] = {"v2": "bad", "v1": "healthy"}
    assert choice("v1", history, marks, (ago(80), ago(12))) == ""
    assert choice("v1", history, {**marks, "v0": "healthy"}, (ago(80), ago(12))) == ""
    assert choice("v1", [make_change("v0", ago(900)), *history], {**marks, "v0": "healthy"}) == "v0"


def test_the_refusal_says_what_to_do() -> None:
    found = last_healthy("v2", [], {}, BASELINE)
    assert found.reason == "no_healthy_item"
    assert "nothing but v2 is known" in found.text
    assert "by hand" in found.text


def test_the_refusal_names_what_was_live_and_is_known_to_be_bad() -> None:
    history = [make_change("v1", ago(500), "v0"), make_change("v2", ago(100), "v1")]
    found = last_healthy("v2", history, {"v1": "bad", "v7": "bad"}, None)
    assert found.reason == "no_healthy_item"
    assert "(v1 was measured bad while it was live)" in found.text


items = st.sampled_from(["v1", "v2", "v3", "v4"])


@given(
    st.lists(st.builds(make_change, items, times, items), max_size=6),
    st.dictionaries(items, st.sampled_from(["healthy", "bad"])),
    st.one_of(st.none(), st.tuples(times, times)),
    items,
)
def test_whatever_is_chosen_was_measured_healthy_and_never_bad(
    history: list[Change],
    marks: dict[str, HealthMark],
    baseline: tuple[datetime, datetime] | None,
    current: str,
) -> None:
    history.sort(key=lambda c: c.at)
    chosen = choice(current, history, marks, baseline)
    assert marks.get(chosen) != "bad"
    assert not chosen or chosen in {c.item for c in history} | {c.previous for c in history[:1]}
    if chosen and marks.get(chosen) != "healthy":
        assert baseline is not None


@pytest.mark.parametrize(
    ("labels", "touched"),
    [
        ({}, True),
        ({"service": "checkout"}, True),
        ({"service": "checkout", "component": "db"}, True),
        ({"env": "prod"}, True),
        ({"service": "search"}, False),
        ({"service": "search", "env": "prod"}, False),
        ({"service": "checkout", "env": "staging"}, False),
        ({"component": "db"}, False),
        ({"env": "prod", "component": "db"}, False),
    ],
)
def test_what_a_reported_change_touches(labels: dict[str, str], touched: bool) -> None:
    """A part of the service touches it; what contradicts, or has nothing in common, does not."""
    alerts = e.AlertsReceived(alerts=(make_alert(env="prod"),))
    assert make_incident(alerts).touched_by(labels) is touched
