"""A document as plain blocks: all its text is just text, whoever wrote it, and is escaped by
whoever sets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; a `strong` one is what the section comes down to."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table. Its first row is the head, which may be empty."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Literally:
    """Lines that are set as they are, such as queries."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class CurveSketch:
    """The symptom over time in one line of characters, with a caption; an empty line where there is
    none. Where pictures can be shown, the chart stands in its place."""

    line: str
    caption: str


Block = Paragraph | Bullets | Grid | Literally | CurveSketch


@dataclass(frozen=True)
class Section:
    """A part of the document. An empty title: it needs none. `folded`: it is there for whoever
    looks for it, so it stands at the end, and is unfolded where that can be."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True)
class Document:
    """The whole of it."""

    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Figure:
    """A picture for the place of the `CurveSketch`: its address (`data:` where the document has to
    stand alone) and what it shows, in words."""

    source: str
    words: str
