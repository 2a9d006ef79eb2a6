"""A guide of ours, written in Markdown, as a page: HTML in it is text, and its links stay true."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it.token import Token

HELP = "/help"
"""Where the guides are served."""
_ELSEWHERE = ("https://", "http://")
_NO_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Guide:
    """One guide: its name in addresses, its heading, its first paragraph as plain text, and its
    HTML without the heading."""

    name: str
    title: str
    summary: str
    body: Markup


def read_guide(name: str, text: str, names: Collection[str]) -> Guide:
    """A guide of its Markdown, which begins with a heading and a paragraph; `names` are those of
    all guides, which may lead to each other by file (`replicas.md#what`)."""
    # Loaded when somebody asks for help, and not by each daemon.
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(text)
    _, title, _, _, summary, *_ = tokens
    body = tokens[3:]
    _name_headings(body)
    _name_cells(body)
    for token in body:
        token.children = _led(token.children or [], names)
    html = markdown.renderer.render(body, markdown.options, {})
    # Wide blocks are scrolled, for a wrapped line reads as two; so the keyboard has to reach them.
    html = html.replace("<pre>", '<pre tabindex="0">')
    return Guide(name, _plain(title), _plain(summary), Markup(html))  # noqa: S704


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return _NO_SLUG.sub("", heading.lower()).replace(" ", "-")


def _plain(inline: Token) -> str:
    """The words of a line without its markup."""
    said = (" " if one.type == "softbreak" else one.content for one in inline.children or ())
    return "".join(said)


def _name_headings(tokens: Sequence[Token]) -> None:
    """Give each heading its anchor."""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", slug(_plain(inline)))


def _name_cells(tokens: Sequence[Token]) -> None:
    """Give each cell but the first of its row the name of its column, for narrow screens."""
    columns: list[str] = []
    at = 0
    for opening, inline in pairwise(tokens):
        match opening.type:
            case "table_open":
                opening.attrSet("class", "stack")
                columns = []
            case "tr_open":
                at = 0
            case "th_open":
                opening.attrSet("scope", "col")
                columns.append(_plain(inline))
            case "td_open":
                if at:
                    opening.attrSet("data-name", columns[at])
                at += 1


def _led(line: Iterable[Token], names: Collection[str]) -> list[Token]:
    """A line whose links lead to the page of a guide, to a place in this one or outside. What
    leads to another file of the source is text, since no daemon serves that."""
    found: list[Token] = []
    dropped = False
    for token in line:
        if token.type == "link_open":
            address = _address(str(token.attrGet("href")), names)
            dropped = address is None
            if address is None:
                continue
            token.attrSet("href", address)
            if address.startswith(_ELSEWHERE):
                token.attrSet("rel", "noreferrer")
        elif token.type == "link_close" and dropped:
            dropped = False
            continue
        found.append(token)
    return found


def _address(href: str, names: Collection[str]) -> str | None:
    if href.startswith(("#", *_ELSEWHERE)):
        return href
    file, mark, anchor = href.partition("#")
    name = file.removesuffix(".md")
    return f"{HELP}/{name}{mark}{anchor}" if name != file and name in names else None
