"""What a method decided over one draw, and whether that was right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daemon.core.changes.suspects import Change
from tests.worlds.world import Draw

Kind = Literal["act", "ask", "wait"]
"""It rolled something back; it called for a person; neither, until the horizon."""
Verdict = Literal["acted rightly", "acted wrongly", "asked", "waited"]


@dataclass(frozen=True)
class Decided:
    """`at`: Unix seconds of the action, or of the first question; None while it waits.

    `change`: the deployment that was rolled back. `why`: the reason in a few words.
    """

    kind: Kind
    at: float | None = None
    change: Change | None = None
    why: str = ""


def verdict(draw: Draw, decided: Decided) -> Verdict:
    """What became of it, by the truth of the draw."""
    if decided.kind == "ask":
        return "asked"
    if decided.kind == "wait":
        return "waited"
    blamed = decided.change
    right = draw.world.right == "act" and blamed is not None and blamed == draw.guilty
    return "acted rightly" if right else "acted wrongly"


def is_right(draw: Draw, decided: Decided) -> bool:
    """Whether it was the right answer of the world."""
    told = verdict(draw, decided)
    match draw.world.right:
        case "act":
            return told == "acted rightly"
        case "ask":
            return told == "asked"
        case "refrain":
            return told in {"asked", "waited"}
