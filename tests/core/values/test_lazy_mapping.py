"""A LazyMapping knows its names, and makes a value when it is asked for it."""

from __future__ import annotations

from functools import partial

import pytest

from daemon.core.values.lazy_mapping import LazyMapping


def test_the_names_are_known_before_anything_is_made() -> None:
    made: list[str] = []
    table = LazyMapping({name: partial(made.append, name) for name in ("a", "b")})
    assert (len(table), sorted(table), "a" in table, "c" in table) == (2, ["a", "b"], True, False)
    assert made == []


def test_each_value_is_made_once() -> None:
    table = LazyMapping({"a": object, "b": object})
    assert table["a"] is table["a"] is not table["b"]


def test_what_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        LazyMapping[object]({})["a"]


def test_a_maker_that_failed_is_asked_again() -> None:
    answers = iter((OSError("no disk"), "there"))

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    table = LazyMapping({"a": make})
    with pytest.raises(OSError, match="no disk"):
        table["a"]
    assert table["a"] == "there"
