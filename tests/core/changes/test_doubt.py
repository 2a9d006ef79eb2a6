"""Doubt: the change that fits may have come after the onset, or it was as bad before it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from daemon.core.changes.scoring import TOLD_APART, OnsetBounds, when_words
from daemon.core.changes.suspects import (
    Change,
    Contrast,
    Facts,
    Precedent,
    Suspicion,
    suspect,
)
from daemon.core.recovery.next_step import next_step
from daemon.core.recovery.plan import Outlook
from daemon.core.recovery.step_answers import AskApproval, StartStep
from tests.core.build import (
    LIMITS,
    NOW,
    SECOND,
    TARGET,
    ago,
    approved,
    confirmed,
    make_change,
    make_incident,
    make_rule,
)

ONSET = ago(10)
BOUNDS = OnsetBounds(ONSET - 6 * SECOND, ONSET - SECOND, ONSET + 4 * SECOND)
GAP = OnsetBounds(ago(30), ago(30), ONSET + 4 * SECOND)
WITHIN = 6 * SECOND
CLEAN = Contrast(counts={"v1": (2.0, 1000.0), "v2": (200.0, 1000.0)})
BEFORE = Precedent(begin=ago(200), end=ago(190))


def judged(*changes: Change, bounds: OnsetBounds = BOUNDS, facts: Facts | None = None) -> Suspicion:
    within = max(ONSET - bounds.earliest, bounds.latest - ONSET)
    return suspect(changes, ONSET, within, facts or Facts(), NOW, bounds)


def after(seconds: float) -> Change:
    """A deployment so many seconds after the likeliest onset."""
    return make_change("v2", ONSET + timedelta(seconds=seconds), "v1")


@pytest.mark.parametrize(
    ("seconds", "verdict", "doubt"),
    [
        (-60, "suspect", ""),
        (-6, "suspect", ""),
        (4, "suspect", ""),  # clocks are no better than that
        (4.5, "doubtful", "onset_unclear"),
        (9, "doubtful", "onset_unclear"),
        (9.5, "none", ""),
        (25, "none", ""),
    ],
)
def test_a_change_is_placed_against_the_interval(seconds: float, verdict: str, doubt: str) -> None:
    change = after(seconds)
    found = judged(change)
    assert (found.verdict, found.doubt) == (verdict, doubt)
    assert found.change == (None if verdict == "none" else change)


def test_a_change_that_came_too_late_is_acquitted_with_its_distance() -> None:
    found = judged(after(25))
    assert [w.acquitted for w in found.candidates] == ["it began 25s after the onset"]
    assert "acquitted: it began 25s after the onset" in found.text


def test_the_doubt_tells_the_interval() -> None:
    found = judged(make_change("v2", ago(20), "v1"), bounds=GAP)
    assert (found.verdict, found.doubt) == ("doubtful", "onset_unclear")
    assert found.text.startswith("release:shop: v1 → v2, 10m before the onset; but the trouble ")
    assert found.text.endswith(
        "between 13:40:00 UTC and 14:00:04 UTC, so the metrics do not tell which came first"
    )
    assert judged(make_change("v2", ago(30.5), "v1"), bounds=GAP).verdict == "suspect"


def test_trouble_that_was_there_before_is_a_doubt_that_tells_when() -> None:
    found = judged(after(-60), facts=Facts(precedents=(BEFORE,)))
    assert (found.verdict, found.doubt) == ("doubtful", "seen_before")
    assert found.text.endswith("; but it was as bad before, 10:50–11:00, without this change")
    rolled_back = (make_change("v9", ago(200), "v1"), make_change("v1", ago(190), "v9"))
    explained = judged(*rolled_back, after(-60), facts=Facts(precedents=(BEFORE,)))
    assert (explained.verdict, explained.doubt) == ("suspect", "")


@pytest.mark.parametrize(
    ("bounds", "precedents"), [(GAP, ()), (BOUNDS, (BEFORE,)), (GAP, (BEFORE,))]
)
def test_revisions_that_differ_lift_every_doubt(
    bounds: OnsetBounds, precedents: tuple[Precedent, ...]
) -> None:
    change = make_change("v2", ago(11), "v1")
    doubted = judged(change, bounds=bounds, facts=Facts(precedents=precedents))
    assert doubted.verdict == "doubtful"
    facts = Facts(contrast=CLEAN, usual=0.002, precedents=precedents)
    found = judged(change, bounds=bounds, facts=facts)
    assert (found.verdict, found.doubt) == ("suspect", "")


def test_who_is_not_blamed_is_not_doubted() -> None:
    two = (after(-60), make_change("on", ago(12), subject="flag:x"))
    found = judged(*two, facts=Facts(precedents=(BEFORE,)))
    assert (found.verdict, found.doubt) == ("ambiguous", "")


def test_bounds_of_which_only_the_uncertainty_is_known() -> None:
    found = OnsetBounds.around(ONSET, WITHIN)
    assert (found.earliest, found.latest) == (ONSET - WITHIN, ONSET + WITHIN)
    assert found.quartile == ONSET - WITHIN / 2
    assert suspect([after(4)], ONSET, WITHIN).doubt == "onset_unclear"
    assert suspect([after(1)], ONSET, WITHIN).verdict == "suspect"


@pytest.mark.parametrize(
    ("began", "may_be", "surely"),
    [
        (BOUNDS.quartile + TOLD_APART, False, False),
        (BOUNDS.quartile + TOLD_APART + SECOND, True, False),
        (BOUNDS.latest + TOLD_APART, True, False),
        (BOUNDS.latest + TOLD_APART + SECOND, True, True),
    ],
)
def test_clocks_have_some_grace(began: datetime, may_be: bool, surely: bool) -> None:
    assert BOUNDS.may_be_after(began) == may_be
    assert BOUNDS.after_the_onset(began) == surely


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        (0.0, "at the onset"),
        (0.9, "at the onset"),
        (-0.9, "at the onset"),
        (20.0, "20s before the onset"),
        (90.0, "1m30s before the onset"),
        (-20.4, "20s after the likeliest onset"),
        (-90.0, "1m30s after the likeliest onset"),
    ],
)
def test_a_lead_is_told_on_the_side_on_which_it_is(lead: float, words: str) -> None:
    assert when_words(timedelta(seconds=lead)) == words


# ── what the plan makes of it ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("bounds", "precedents", "reason"),
    [(GAP, (), "onset_unclear"), (BOUNDS, (BEFORE,), "seen_before")],
)
def test_a_person_is_asked_with_the_doubt(
    bounds: OnsetBounds, precedents: tuple[Precedent, ...], reason: str
) -> None:
    suspicion = judged(
        make_change("v2", ago(11), "v1"), bounds=bounds, facts=Facts(precedents=precedents)
    )
    rule = make_rule()
    incident = make_incident(confirmed(suspicion=suspicion))
    views = {1: Outlook(TARGET), 2: Outlook(TARGET)}
    found = next_step(incident, rule, views, approved(rule, 1), LIMITS, NOW)
    assert isinstance(found, AskApproval)
    assert (found.step, found.reason) == (1, reason)
    assert found.text == f"{suspicion.text}; a person decides"


def test_a_step_that_needs_no_suspect_asks_for_none() -> None:
    suspicion = judged(after(-60), facts=Facts(precedents=(BEFORE,)))
    step = {"action": "run_command", "with": {"argv": ["off"]}, "approval": "automatic"}
    rule = make_rule(recover=[step])
    incident = make_incident(confirmed(suspicion=suspicion))
    found = next_step(incident, rule, {1: Outlook(TARGET)}, approved(rule, 1), LIMITS, NOW)
    assert isinstance(found, StartStep)
