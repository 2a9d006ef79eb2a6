"""A document in Markdown, for a wiki or a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import assert_never

from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    CurveSketch,
    Document,
    Grid,
    Literally,
    Paragraph,
)
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.sections import review_document
from daemon.core.values.drill_key import DRILL_MARK
from daemon.core.values.units import printable

_LIVE = re.compile(
    r"([\\`*{}\[\]<>#|~&]"  # anywhere
    r"|^[-+=](?=[\s=-]|$)|(?:(?<=^\d)|(?<=^\d\d))[.)](?=\s|$)"  # at the begin: lists, rules
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))"
)
"""What Markdown may take for markup. Within a word an underscore is none, and names have many."""


def markdown(review: Review) -> str:
    """The review, in Markdown."""
    return "\n".join(_lines(review_document(review))) + "\n"


def markdown_text(text: str) -> str:
    """Text by others, made harmless in Markdown and on one line."""
    return _LIVE.sub(r"\\\1", " ".join(printable(text).split()))


def _lines(document: Document) -> Iterator[str]:
    # Word for word, as everywhere, also for who reads it as it is; nothing can define it as a link.
    mark = f"{DRILL_MARK} " if document.title.startswith(f"{DRILL_MARK} ") else ""
    yield f"# {mark}{markdown_text(document.title.removeprefix(mark))}"
    for section in document.sections:
        if section.title:
            yield ""
            yield f"## {markdown_text(section.title)}"
        for block in section.blocks:
            yield ""
            yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph():
            text = markdown_text(block.text)
            yield f"**{text}**" if block.strong else text
        case Bullets():
            yield from (f"- {markdown_text(item)}" for item in block.items)
        case Grid():
            yield _row(block.head)
            yield "|" + "---|" * len(block.head)
            yield from (_row(row) for row in block.rows)
        case Literally():
            yield from (f"    {' '.join(printable(line).split())}" for line in block.lines)
        case CurveSketch():
            yield from [f"    {block.line}", ""] if block.line else []
            yield markdown_text(block.caption)
        case _:
            assert_never(block)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"
