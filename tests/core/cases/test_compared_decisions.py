"""Decisions of then and of now, side by side: none is lost, and what only moved is the same."""

from __future__ import annotations

from datetime import timedelta

from daemon.core.cases.decisions import ComparedDecision, RecordedDecision, compare
from tests.core.build import MINUTE, NOW


def made(*words: str) -> list[RecordedDecision]:
    return [RecordedDecision(NOW + n * MINUTE, word, "") for n, word in enumerate(words)]


def told(found: list[ComparedDecision]) -> list[tuple[str, str]]:
    return [(one.fate, one.shown.word) for one in found]


def test_what_only_moved_is_the_same() -> None:
    found = compare(made("a", "b", "c"), made("b", "c", "a"))
    assert sorted(told(found)) == [("same", "a"), ("same", "b"), ("same", "c")]
    moved = next(one for one in found if one.shown.word == "a")
    assert moved.later == timedelta(minutes=2)


def test_of_what_was_decided_twice_and_is_now_once_one_is_missing() -> None:
    twice = compare(made("a", "relapsed", "b", "relapsed"), made("relapsed", "c"))
    assert sorted(told(twice)) == [
        ("missing", "a"),
        ("missing", "b"),
        ("missing", "relapsed"),
        ("new", "c"),
        ("same", "relapsed"),
    ]
    moved = compare(made("x", "a", "y", "x"), made("a", "x", "b", "x", "x"))
    assert told(moved).count(("same", "x")) == 2
    assert told(moved).count(("new", "x")) == 1
