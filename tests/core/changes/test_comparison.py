"""What speaks for and against a suspect beyond its time: reports, rollouts, contrast, siblings."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.changes.suspects import (
    Change,
    Contrast,
    Facts,
    Sibling,
    Suspicion,
    Weighed,
    suspect,
)
from tests.core.build import NOW, SECOND, TARGET, ago, make_change

ONSET = ago(10)
WITHIN = 30 * SECOND
V2 = make_change("v2", ago(11), "v1")
FLAG = make_change("on", ago(20), "off", subject="flag:loyalty")

CONVICTING = {"v1": (1.0, 500.0), "v2": (60.0, 500.0)}
ALIKE = {"v1": (58.0, 500.0), "v2": (60.0, 500.0)}
BOTH_FINE = {"v1": (1.0, 500.0), "v2": (1.0, 500.0)}
PARTLY = {"v1": (30.0, 500.0), "v2": (90.0, 500.0)}


def facts(counts: dict[str, tuple[float, float]] | None = None, **more: Any) -> Facts:
    contrast = None if counts is None else Contrast(counts=counts)
    return Facts.model_validate({"contrast": contrast, "drop": 0.01, "usual": 0.002, **more})


def judge(*changes: Change, known: Facts | None = None) -> Suspicion:
    return suspect(changes, ONSET, WITHIN, known or facts(), NOW)


def siblings(worse: int, fine: int) -> dict[str, Sibling]:
    bad = Sibling(then=(1, 500), now=(50, 500))
    good = Sibling(then=(1, 500), now=(2, 500))
    return {f"w{n}": bad for n in range(worse)} | {f"f{n}": good for n in range(fine)}


def of(found: Suspicion, change: Change) -> Weighed:
    (one,) = [w for w in found.candidates if w.change.subject == change.subject]
    return one


def report(item: str = "on", minutes: float = 11, **more: Any) -> Change:
    given = {"subject": "reported:ci:shop", "seen_by": "ci", "item": item, "at": ago(minutes)}
    return Change.model_validate({**given, **more})


# ── the sentence ─────────────────────────────────────────────────────────────────────────────


def test_a_running_rollout_that_the_contrast_convicts_reads_like_this() -> None:
    change = V2.model_copy(update={"rolling": True, "text": "app:2"})
    found = judge(change, known=facts(CONVICTING, siblings=siblings(0, 3)))
    assert found.text == (
        "release:shop: v1 → v2 (app:2), 1m before the onset; rollout still running; "
        "new revision fails 12.0 %, old 0.2 %"
    )
    (weighed,) = found.candidates
    assert weighed.score == 1.0
    assert weighed.reasons == (
        "it began 1m before the onset, at 13:59:00 UTC",
        "its rollout was still running at the onset, and for 10m since",
        "it changed what this rule watches",
        "new revision fails 12.0 % (60 of 500), old 0.2 % (1 of 500): worse by 8.2 to 16.1 points",
        "3 of 3 siblings unaffected: f0, f1, f2",
    )


def test_a_rollback_is_a_change_too() -> None:
    history = [make_change("v2", ago(100), "v1"), make_change("v1", ago(11), "v2")]
    found = judge(*history)
    assert found.verdict == "suspect"
    assert "it went back to v1, which had been live before" in found.candidates[0].reasons


def test_a_rollout_that_still_runs_is_suspected_longer() -> None:
    old = make_change("v2", ago(50), "v1")
    assert judge(old).verdict == "none"
    assert judge(old.model_copy(update={"rolling": True})).verdict == "suspect"
    stuck = make_change("v2", ago(500), "v1").model_copy(update={"rolling": True})
    assert judge(stuck).candidates == ()


def test_what_came_after_the_onset_is_acquitted_by_that() -> None:
    found = judge(make_change("v2", ago(5)))
    assert (found.verdict, found.candidates[0].acquitted) == (
        "none",
        "it began 5m after the onset",
    )
    assert found.text.endswith("release:shop → v2 is acquitted: it began 5m after the onset")


# ── reports ──────────────────────────────────────────────────────────────────────────────────


def test_a_report_that_names_a_watched_target_is_the_same_change() -> None:
    found = judge(V2, report("build 7", 13, target=TARGET, text="build 7 by ada"))
    assert found.verdict == "suspect"
    assert found.change == V2.model_copy(update={"text": "build 7 by ada"})
    assert found.text == "release:shop: v1 → v2 (build 7 by ada), 3m before the onset"


def test_a_report_long_before_the_watched_change_is_another_one() -> None:
    assert judge(V2, report(minutes=27, target=TARGET)).verdict == "ambiguous"
    assert judge(V2, report(minutes=11)).verdict == "ambiguous"


def test_a_report_before_the_onset_keeps_a_late_dated_change_suspect() -> None:
    late = make_change("v2", ago(8), "v1")
    assert judge(late).verdict == "none"
    assert judge(late, report(target=TARGET)).verdict == "suspect"


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({}, "suspect"),
        ({"service": "checkout"}, "suspect"),
        ({"env": "prod"}, "suspect"),
        ({"service": "search"}, "none"),
    ],
)
def test_a_report_concerns_what_its_labels_do_not_contradict(
    labels: dict[str, str], found: str
) -> None:
    judged = judge(report(labels=labels), known=facts(labels={"service": "checkout"}))
    assert judged.verdict == found
    if found == "none":
        assert "reported for service=search" in judged.candidates[0].acquitted


def test_a_report_of_everything_is_never_convicted_by_a_name_it_shares() -> None:
    assert judge(report("v2"), FLAG, known=facts(CONVICTING)).verdict == "ambiguous"
    about = report("v2", labels={"service": "checkout"})
    assert judge(about, FLAG, known=facts(CONVICTING)).verdict == "suspect"


# ── old against new ──────────────────────────────────────────────────────────────────────────


def test_the_contrast_convicts_one_of_two_and_acquits_the_other() -> None:
    found = judge(V2, FLAG, known=facts(CONVICTING))
    assert (found.verdict, found.change) == ("suspect", V2)
    assert found.text.endswith("; acquitted: flag:loyalty → on")
    assert "it would have hit the old revision too" in of(found, FLAG).acquitted


@pytest.mark.parametrize(
    "counts",
    [
        None,
        BOTH_FINE,
        ALIKE,
        PARTLY,
        {"v2": (60.0, 500.0)},
        {"v1": (0.0, 20.0), "v2": (60.0, 500.0)},
        {"v1": (0.0, 0.0), "v2": (60.0, 500.0)},
        {"v8": (1.0, 500.0), "v9": (60.0, 500.0)},
        {"v1": (0.0, 500.0), "v2": (2.0, 500.0)},
    ],
    ids=["none", "fine", "alike", "partly", "one", "thin", "nothing", "others", "noise"],
)
def test_without_a_conviction_two_changes_stay_ambiguous(
    counts: dict[str, tuple[float, float]] | None,
) -> None:
    assert judge(V2, FLAG, known=facts(counts)).verdict == "ambiguous"


def test_a_change_is_acquitted_when_the_old_revision_fails_as_much() -> None:
    found = judge(V2, known=facts(ALIKE))
    assert found.verdict == "none"
    assert "the old revision fails as much" in found.candidates[0].acquitted
    assert found.candidates[0].score == 0
    assert "release:shop → v2: the old revision fails as much" in found.text
    better = {"v1": (60.0, 500.0), "v2": (1.0, 500.0)}
    assert judge(V2, known=facts(better)).verdict == "none"


@pytest.mark.parametrize(
    "known",
    [
        facts({"v1": (3.0, 25.0), "v2": (3.0, 25.0)}),
        facts({"v1": (60.0, 500.0), "v2": (3.0, 20.0)}),
        facts(BOTH_FINE),
        facts(ALIKE, usual=None),
        facts({"v2": (60.0, 500.0)}),
    ],
)
def test_without_traffic_or_a_usual_level_nobody_is_acquitted(known: Facts) -> None:
    assert judge(V2, known=known).verdict == "suspect"


def test_acquitting_one_convicts_nobody_else() -> None:
    found = judge(V2, FLAG, known=facts(ALIKE))
    assert found.verdict == "ambiguous"
    assert "flag:loyalty → on is left" in found.text


def test_an_unknown_previous_is_compared_with_all_others() -> None:
    counts = {"a": (1.0, 300.0), "b": (1.0, 300.0), "v2": (60.0, 500.0)}
    change = make_change("v2", ago(11))
    assert judge(change, FLAG, known=facts(counts)).change == change


# ── siblings ─────────────────────────────────────────────────────────────────────────────────


def test_siblings_that_turned_worse_together_speak_of_a_shared_cause() -> None:
    found = judge(V2, known=facts(siblings=siblings(2, 1)))
    assert (found.verdict, found.change) == ("none", None)
    assert found.text.startswith(
        "2 of 3 siblings turned worse too: w0, w1; a shared cause is likelier"
    )
    assert found.candidates[0].acquitted == ""
    assert judge(known=facts(siblings=siblings(1, 1))).verdict == "none"


@pytest.mark.parametrize(("worse", "fine"), [(1, 0), (1, 2), (0, 5)])
def test_a_few_worse_siblings_change_nothing(worse: int, fine: int) -> None:
    assert judge(V2, known=facts(siblings=siblings(worse, fine))).verdict == "suspect"


def test_a_sibling_that_was_always_bad_or_has_no_traffic_says_nothing_of_now() -> None:
    always = Sibling(then=(50, 500), now=(50, 500))
    thin = Sibling(then=(0, 20), now=(20, 20))
    known = facts(siblings={"a": always, "b": always, "c": thin, "d": thin, "e": thin})
    found = judge(V2, known=known)
    assert found.verdict == "suspect"
    assert "2 of 2 siblings unaffected: a, b" in found.candidates[0].reasons


# ── properties ───────────────────────────────────────────────────────────────────────────────

seconds = st.integers(-3600, 3600)
shares = st.tuples(st.integers(0, 600), st.integers(1, 600)).map(
    lambda both: (float(min(both)), float(max(both)))
)
contrasts = st.none() | st.dictionaries(
    st.sampled_from(["v1", "v2", "v3"]), shares, max_size=3
).map(lambda counts: Contrast(counts=counts))
kinds = st.dictionaries(
    st.sampled_from("klm"), st.builds(Sibling, then=shares, now=shares), max_size=3
)
known_facts = st.builds(
    Facts,
    contrast=contrasts,
    siblings=kinds,
    labels=st.just({"service": "checkout"}),
    usual=st.none() | st.just(0.002) | st.just(0.1),
)
watched = st.builds(
    Change,
    subject=st.sampled_from("abc"),
    item=st.sampled_from(["v1", "v2", "v3"]),
    previous=st.sampled_from(["", "v1", "v2"]),
    at=seconds.map(lambda s: ONSET + timedelta(seconds=s)),
    seen_by=st.just("watch"),
    rolling=st.booleans(),
)
reported = st.builds(
    Change,
    subject=st.sampled_from(["reported:ci:x", "reported:flags:y"]),
    item=st.sampled_from(["v2", "on"]),
    at=seconds.map(lambda s: ONSET + timedelta(seconds=s)),
    seen_by=st.just("ci"),
    target=st.sampled_from(["", "a", "z"]),
    labels=st.sampled_from([{}, {"service": "checkout"}, {"service": "other"}]),
)
listed = st.lists(watched | reported, max_size=6)


@given(listed, known_facts, st.randoms())
def test_the_order_says_nothing(changes: list[Change], known: Facts, chance: random.Random) -> None:
    shuffled = chance.sample(changes, len(changes))
    assert judge(*changes, known=known) == judge(*shuffled, known=known)


@given(listed, known_facts)
def test_a_suspect_is_the_only_one_that_is_not_acquitted(
    changes: list[Change], known: Facts
) -> None:
    found = judge(*changes, known=known)
    left = [w for w in found.candidates if not w.acquitted]
    if found.verdict in {"suspect", "doubtful"}:
        assert [w.change for w in left] == [found.change]
        assert bool(found.doubt) == (found.verdict == "doubtful")
    else:
        assert found.change is None
    assert found.text
    for weighed in found.candidates:
        assert weighed.reasons
        assert 0 <= weighed.score <= 1
        assert bool(weighed.acquitted) == (weighed.score == 0)


@given(st.lists(watched | reported, min_size=1, max_size=6), known_facts, st.integers(0, 1800))
def test_an_unrelated_second_change_makes_nobody_a_suspect(
    changes: list[Change], known: Facts, lead: int
) -> None:
    before = judge(*changes, known=known)
    # Without anybody in time it would not be the second one.
    if before.verdict == "suspect" or not any(c.reasons[1:] for c in before.candidates):
        return
    other = make_change("elsewhere", ONSET - timedelta(seconds=lead), subject="unrelated")
    assert judge(*changes, other, known=known).verdict != "suspect"


@given(listed, st.booleans())
def test_acquitting_needs_evidence(changes: list[Change], timed: bool) -> None:
    """Without labels and measurements only time acquits: too late, or replaced by then."""
    found = judge(*changes, known=Facts())
    for weighed in found.candidates:
        if weighed.acquitted:
            assert "after the onset" in weighed.acquitted or "replaced" in weighed.acquitted


@given(known_facts, st.integers(0, 1800), st.integers(0, 1800), st.booleans())
def test_nearer_to_the_onset_weighs_no_less(
    known: Facts, one: int, other: int, rolling: bool
) -> None:
    def score(lead: int) -> float:
        change = make_change("v2", ONSET - timedelta(seconds=lead), "v1")
        found = judge(change.model_copy(update={"rolling": rolling}), known=known)
        return found.candidates[0].score

    assert score(min(one, other)) >= score(max(one, other))


def test_the_strongest_case_is_a_running_rollout() -> None:
    rolling = make_change("v2", ago(39), "v1").model_copy(update={"rolling": True})
    assert judge(rolling).candidates[0].score > judge(V2).candidates[0].score


def test_old_journals_hold_neither_scores_nor_facts() -> None:
    old = {"verdict": "suspect", "text": "so", "change": V2.model_dump(mode="json")}
    assert Suspicion.model_validate(old).candidates == ()
    found = judge(V2, FLAG, known=facts(CONVICTING))
    assert Suspicion.model_validate_json(found.model_dump_json()) == found


def test_only_some_of_the_acquitted_are_told_of() -> None:
    many = [make_change(f"v{n}", ago(5), subject=f"s{n}") for n in range(40)]
    assert len(judge(*many).candidates) == 12
