"""Brackets within brackets are read to a depth, and what is deeper is refused before it is read."""

from __future__ import annotations

import pytest
import yaml

from daemon.core.values.yaml_document import MOST_NESTED, Mistakes, documents, one_document


def test_brackets_are_read_as_deep_as_people_write_them() -> None:
    half = MOST_NESTED // 2
    data = one_document("a: " + "[{b: " * half + "c" + "}]" * half, "rule.yaml").data["a"]
    for _ in range(half):
        data = data[0]["b"]
    assert data == "c"


@pytest.mark.parametrize("opening", ["[", "[1, ", "{a: ", "[{a: "])
def test_what_is_deeper_is_refused_where_it_becomes_too_deep(
    opening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = []
    fetch = yaml.scanner.Scanner.fetch_more_tokens
    monkeypatch.setattr(
        yaml.scanner.Scanner, "fetch_more_tokens", lambda s: (tokens.append(1), fetch(s))[1]
    )
    with pytest.raises(Mistakes) as caught:
        documents("first: line\nparams: " + opening * 300, "the parameters")
    (mistake,) = caught.value.mistakes
    assert str(mistake) == (
        f"the parameters:2: not YAML: brackets are nested more than {MOST_NESTED} deep"
    )
    assert len(tokens) < 10 * MOST_NESTED, "what is behind it is not looked at"


def test_a_bracket_in_a_text_is_none() -> None:
    text = "[" * 3 * MOST_NESTED
    assert one_document(f'query: "{text}"', "rule.yaml").data == {"query": text}
