"""A document in HTML: for a page of ours, or as one file that stands alone and prints well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import assert_never

from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    CurveSketch,
    Document,
    Figure,
    Grid,
    Literally,
    Paragraph,
)
from daemon.core.values.units import printable

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { border-top: 1px solid #8886; padding: 0.35rem 0.75rem 0.35rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; min-width: 4.5rem; }
@media (max-width: 40rem) { table { display: block; overflow-x: auto; } }
@media (min-width: 40rem) { td:first-child { white-space: nowrap; } }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 0.875rem/1.45 ui-monospace, monospace; }
img { max-width: 100%; height: auto; }
summary h2 { display: inline; } details { margin: 2rem 0; } summary { cursor: pointer; }
@media print { details::details-content { content-visibility: visible; display: block; }
  body { margin: 0; max-width: none; font-size: 10pt; }
  h2 { break-after: avoid; } tr, img { break-inside: avoid; } }
"""


def html_page(document: Document, figure: Figure | None = None) -> str:
    """The document as one file: nothing is fetched, nothing runs."""
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(document.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    return f"{head}{html_body(document, figure)}</body>\n</html>\n"


def html_body(document: Document, figure: Figure | None = None) -> str:
    """What stands between the tags of the body; all text in it is escaped."""
    return "".join(f"{line}\n" for line in _lines(document, figure))


def _lines(document: Document, figure: Figure | None) -> Iterator[str]:
    yield f"<h1>{_text(document.title)}</h1>"
    for section in document.sections:
        title = f"<h2>{_text(section.title)}</h2>" if section.title else ""
        if section.folded:
            yield f"<details><summary>{title}</summary>"
        elif title:
            yield title
        for block in section.blocks:
            yield from _block(block, figure)
        if section.folded:
            yield "</details>"


def _block(block: Block, figure: Figure | None) -> Iterator[str]:
    match block:
        case Paragraph():
            text = _text(block.text)
            yield f"<p><strong>{text}</strong></p>" if block.strong else f"<p>{text}</p>"
        case Bullets():
            yield "<ul>"
            yield from (f"<li>{_text(item)}</li>" for item in block.items)
            yield "</ul>"
        case Grid():
            yield from _table(block)
        case Literally():
            yield f"<pre>{escape(chr(10).join(printable(line) for line in block.lines))}</pre>"
        case CurveSketch() if figure is not None:
            source, words = escape(figure.source), _text(figure.words)
            yield f'<p><img src="{source}" alt="{words}"></p>'
        case CurveSketch():
            yield from [f"<pre>{escape(block.line)}</pre>"] if block.line else []
            yield f"<p>{_text(block.caption)}</p>"
        case _:
            assert_never(block)


def _table(block: Grid) -> Iterator[str]:
    yield "<table>"
    if any(block.head):
        yield f"<thead><tr>{_heads(block.head)}</tr></thead>"
    yield "<tbody>"
    # In a table without a head the first column says what the second is.
    for row in block.rows:
        if any(block.head):
            yield f"<tr>{_cells('td', row)}</tr>"
        else:
            yield f"<tr>{_cells('th', row[:1])}{_cells('td', row[1:])}</tr>"
    yield "</tbody></table>"


def _heads(head: Iterable[str]) -> str:
    """A column without a name has no heading, which a screen reader would read out as one."""
    return "".join(_cells("th" if name else "td", [name]) for name in head)


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "".join(f"<{tag}>{_text(cell)}</{tag}>" for cell in cells)


def _text(text: str) -> str:
    """Text that stays text, on one line."""
    return escape(" ".join(printable(text).split()))
