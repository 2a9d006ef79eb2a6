"""The code blocks of README.md and of the guides, read as their tests need them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
FOLDER = TREE / "deploy/guides"
TEXTS: Mapping[str, str] = {
    path.stem: path.read_text(encoding="utf-8")
    for path in (TREE / "README.md", *sorted(FOLDER.glob("*.md")))
}
"""Each text by its file's name."""
_BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block: in which text it stands, its language with perhaps a word, its content."""

    guide: str
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines as a shell reads them: joined where one ends with a backslash, without
        comments that stand behind two spaces."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.split(r" {2,}#|^#", line)[0].strip() for line in joined.splitlines())
        return [line for line in lines if line]


BLOCKS: Sequence[Block] = [
    Block(guide, found[1], found[2])
    for guide, text in TEXTS.items()
    for found in _BLOCK.finditer(text)
]


def blocks(kind: str, guide: str = "") -> list[Block]:
    """Those of that kind; of one guide if it is named."""
    return [one for one in BLOCKS if one.kind == kind and guide in ("", one.guide)]


def the_block(kind: str, guide: str) -> str:
    """The text of the only one of that kind in a guide."""
    [found] = blocks(kind, guide)
    return found.text
