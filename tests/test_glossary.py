"""The glossary is true: its files are there, and the README or a guide says what it quotes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guides import TEXTS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "daemon/GLOSSARY.md").read_text(encoding="utf-8")
WORDS, SAID_TO_CODE = TEXT.split("\n## ")
ROW = re.compile(r"^\| (?!They say|Word|---)(.+?) \|(?: .+ \|)* (`.+`) \|$", re.MULTILINE)
ROWS = ROW.findall(TEXT)


def plain(text: str) -> str:
    """One line without the markup that may fall inside a sentence."""
    return " ".join(re.sub(r"[*`│▶─]", "", text).split())


SAID = plain("\n".join(TEXTS.values()))


def test_it_is_a_page() -> None:
    assert len(TEXT.splitlines()) <= 135
    assert len(ROWS) == TEXT.count("` |\n")


@pytest.mark.parametrize(("word", "files"), ROWS, ids=[word for word, _ in ROWS])
def test_each_word_is_where_it_says(word: str, files: str) -> None:
    for file in re.findall(r"`([^`]+)`", files):
        assert (ROOT / "daemon" / file).exists(), f"{word}: there is no daemon/{file}"


@pytest.mark.parametrize("sentence", [sentence for sentence, _ in ROW.findall(SAID_TO_CODE)])
def test_the_readme_or_a_guide_says_so(sentence: str) -> None:
    assert plain(sentence) in SAID
