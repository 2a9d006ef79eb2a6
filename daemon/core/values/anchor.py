"""A point of the journal that can be kept elsewhere: whoever has it can prove what is missing."""

from __future__ import annotations

import re

from daemon.core.values.units import Frozen, Moment

_LINE = re.compile(r"stopgap-anchor (\d{1,18}) (\S+) ([0-9a-z:-]{64,100})")


class Anchor(Frozen):
    """The ledger's entry `number`, when it was written, and its digest, which covers all before."""

    number: int
    at: Moment
    digest: str

    def __str__(self) -> str:
        return f"stopgap-anchor {self.number} {self.at.isoformat()} {self.digest}"


def anchors(text: str) -> list[Anchor]:
    """The anchors in a text: a line, a log of many, a mail. Raises ValueError if it has none."""
    found = [
        Anchor.model_validate({"number": number, "at": at, "digest": digest})
        for number, at, digest in _LINE.findall(text)
    ]
    if not found:
        raise ValueError("there is no anchor in it; `stopgap audit anchor` prints one")
    return found
