"""Earlier trouble as bad as now: found where it surely was, was over, and was no mere hiccup."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from daemon.core.changes.precedent import NEAR, Precedent, precedents_text, unexplained
from daemon.core.changes.suspects import Change
from daemon.core.measurement.precedents import counts_precedents, value_precedents
from daemon.core.values.significance import Bin
from tests.core.build import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    ago,
    counts_spec,
    make_change,
    make_problem,
    poisson,
    value_spec,
)

SPEC = counts_spec()
DAY = 24 * 60
BEGAN = ago(4)
PROBLEM = make_problem(
    loss=0.2, baseline=0.998, onset_quantiles=(BEGAN, BEGAN, BEGAN + 10 * SECOND)
)
Trouble = tuple[float, float, float]
"""From so many minutes ago to so many, that share of failures (or that value)."""


def share_at(minutes: float, troubles: tuple[Trouble, ...], usual: float) -> float:
    return next((s for begin, end, s in troubles if end <= minutes < begin), usual)


def day(*troubles: Trouble, events: float = 3000, chance: random.Random | None = None) -> list[Bin]:
    """A bin a minute for a day, as expected, or Poisson."""
    found = []
    for minutes in range(DAY, -1, -1):
        bad = events * share_at(minutes, troubles, 0.002)
        bad = bad if chance is None else poisson(chance, bad)
        found.append(Bin(ago(minutes).timestamp(), bad, events))
    return found


def spans(found: list[Precedent]) -> list[tuple[float, float]]:
    """(first, last) in minutes ago."""
    return [((NOW - p.begin) / MINUTE, (NOW - p.end) / MINUTE) for p in found]


def test_trouble_that_was_as_bad_and_over_is_a_precedent() -> None:
    found = counts_precedents(SPEC, PROBLEM, day((600, 580, 0.2)))
    assert spans(found) == [(600, 580)]


def test_trouble_that_comes_back_is_found_each_time() -> None:
    every_hour = tuple((begin, begin - 2, 0.15) for begin in range(1200, 60, -60))
    assert len(counts_precedents(SPEC, PROBLEM, day(*every_hour))) == len(every_hour)


@pytest.mark.parametrize(("share", "found"), [(0.05, False), (0.09, False), (0.11, True)])
def test_only_what_was_half_as_bad_is_like_it(share: float, found: bool) -> None:
    assert bool(counts_precedents(SPEC, PROBLEM, day((600, 580, share)))) == found


def test_one_hiccup_is_none_and_two_are() -> None:
    one, other = (600.0, 599.0, 0.2), (300.0, 299.0, 0.2)
    assert counts_precedents(SPEC, PROBLEM, day(one)) == []
    assert len(counts_precedents(SPEC, PROBLEM, day(one, other))) == 2


def test_one_look_between_does_not_part_what_belongs_together() -> None:
    together = day((600, 598, 0.2), (597, 595, 0.2))
    assert len(counts_precedents(SPEC, PROBLEM, together)) == 1
    assert len(counts_precedents(SPEC, PROBLEM, day((600, 598, 0.2), (595, 593, 0.2)))) == 2


def test_what_was_never_over_is_no_precedent() -> None:
    """A tenth is no longer as bad, but it is not well either."""
    never_well = day((600, 580, 0.2), (580, 0, 0.08))
    assert counts_precedents(SPEC, PROBLEM, never_well) == []
    well_for_a_while = day((600, 580, 0.2), (500, 0, 0.08))
    assert len(counts_precedents(SPEC, PROBLEM, well_for_a_while)) == 1


def test_the_present_trouble_is_not_its_own_precedent() -> None:
    assert counts_precedents(SPEC, PROBLEM, day((4, -1, 0.2))) == []
    assert counts_precedents(SPEC, PROBLEM, [*day((600, 580, 0.2))][:500]) == []


@pytest.mark.parametrize("events", [20.0, 120.0])
def test_chance_in_a_day_of_thin_traffic_is_no_precedent(events: float) -> None:
    """From 1 to 6 %: a minute of few events often shows half of that by chance."""
    thin = make_problem(loss=0.05, baseline=0.99, onset_quantiles=(BEGAN, BEGAN, BEGAN))
    for seed in range(10):
        chance = random.Random(seed)  # noqa: S311 - a simulation
        history = day((DAY + 1, -1, 0.01), events=events, chance=chance)
        assert counts_precedents(SPEC, thin, history) == []


def test_thin_trouble_that_lasts_is_a_precedent_all_the_same() -> None:
    thin = make_problem(loss=0.05, baseline=0.99, onset_quantiles=(BEGAN, BEGAN, BEGAN))
    found = counts_precedents(SPEC, thin, day((600, 590, 0.06), (300, 290, 0.06), events=120))
    assert spans(found) == [(600, 590), (300, 290)]


def test_a_baseline_without_a_failure_makes_no_single_failure_sure() -> None:
    """0 of 600 events: one of 20 in a minute, here and there, is no trouble."""
    perfect = make_problem(
        loss=0.06, baseline=1.0, baseline_traffic=15.0, onset_quantiles=(BEGAN, BEGAN, BEGAN)
    )
    history = [Bin(b.end, float(n in {300, 700, 1100}), 20) for n, b in enumerate(day())]
    assert counts_precedents(SPEC, perfect, history) == []
    bad = [Bin(b.end, 6.0 * (300 <= n < 310), 20) for n, b in enumerate(day())]
    assert len(counts_precedents(SPEC, perfect, bad)) == 1


def test_minutes_without_events_and_missing_ones_say_nothing() -> None:
    idle = [Bin(b.end, 0, 0) if 200 < n < 400 else b for n, b in enumerate(day((600, 580, 0.2)))]
    assert len(counts_precedents(SPEC, PROBLEM, idle)) == 1
    assert counts_precedents(SPEC, PROBLEM, []) == []


@pytest.mark.parametrize("missing", ["baseline", "onset_quantiles"])
def test_without_a_baseline_or_an_onset_nothing_is_compared(missing: str) -> None:
    unknown = PROBLEM.model_copy(update={missing: None})
    assert counts_precedents(SPEC, unknown, day((600, 580, 0.2))) == []


# ── values ───────────────────────────────────────────────────────────────────────────────────

LATENCY = value_spec()
SLOW = make_problem(
    kind="value", loss=1.0, baseline=0.2, onset_quantiles=(BEGAN, BEGAN, BEGAN + 10 * SECOND)
)


def slow_day(*troubles: Trouble) -> list[tuple[float, float]]:
    return [
        (ago(minutes).timestamp(), share_at(minutes, troubles, 0.2))
        for minutes in range(DAY, -1, -1)
    ]


def test_a_value_that_doubled_each_hour_did_so_before() -> None:
    hourly = tuple((begin, begin - 4, 0.4) for begin in range(1200, 60, -60))
    found = value_precedents(LATENCY, SLOW, slow_day(*hourly))
    assert len(found) == len(hourly)
    assert value_precedents(LATENCY, SLOW, slow_day((600, 599, 0.4))) == []
    assert value_precedents(LATENCY, SLOW, slow_day((600, 590, 0.28))) == []
    assert value_precedents(LATENCY, SLOW.model_copy(update={"baseline": None}), []) == []


# ── what another deployment explains ─────────────────────────────────────────────────────────

SUSPECT = make_change("v3", ago(5), "v1")
EARLIER = Precedent(begin=ago(200), end=ago(180))


def left(*changes: Change, precedent: Precedent = EARLIER) -> bool:
    """Whether the precedent speaks for the suspect, with these changes beside it."""
    return bool(unexplained([precedent], SUSPECT, [*changes, SUSPECT]))


def test_trouble_before_the_change_was_not_caused_by_it() -> None:
    assert left()
    assert not left(precedent=Precedent(begin=ago(6), end=ago(3)))


def test_a_bad_deployment_that_was_rolled_back_explains_its_trouble() -> None:
    begun, ended = make_change("v2", ago(201), "v1"), make_change("v1", ago(180), "v2")
    assert not left(begun, ended)
    assert left(begun), "it ended by itself"
    assert left(ended), "it began by itself"
    assert left(begun, make_change("c1", ago(180), "c2", subject="cart")), "of another subject"


@pytest.mark.parametrize(
    ("before", "end", "explained"),
    [
        (timedelta(0), timedelta(0), True),
        (15 * NEAR, NEAR, True),
        (-NEAR, -NEAR, True),
        (15 * NEAR + SECOND, timedelta(0), False),
        (-NEAR - SECOND, timedelta(0), False),
        (MINUTE, NEAR + SECOND, False),
        (MINUTE, -NEAR - SECOND, False),
    ],
)
def test_how_near_the_changes_must_be(before: timedelta, end: timedelta, explained: bool) -> None:
    begun = make_change("v2", EARLIER.begin - before, "v1")
    ended = make_change("v1", EARLIER.end - end, "v2")
    assert left(begun, ended) != explained


def test_precedents_are_told_the_newest_first() -> None:
    times = [ago(60 * n) for n in (1, 2, 3, 30, 170)]
    found = [Precedent(begin=at, end=at + 2 * MINUTE) for at in times]
    assert precedents_text(found[:1], NOW) == "13:10–13:12"
    assert precedents_text(found[2:4], NOW) == "11:10–11:12, 2026-02-28 08:10–08:12"
    assert (
        precedents_text(found[:4], NOW) == "13:10–13:12, 12:10–12:12, 11:10–11:12 and 1 more time"
    )
    assert precedents_text(found[::-1], NOW).endswith("11:10–11:12 and 2 more times")
    assert unexplained(found, SUSPECT, [SUSPECT]) == found[::-1]
    assert unexplained(found, make_change("v2", NOW - 100 * HOUR), []) == found[4:]
