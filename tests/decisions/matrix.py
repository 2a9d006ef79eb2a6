"""How the decisions came out: what should be done against what was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

DECISION = "decision"
"""The property of a test report that says (what the scenario should do, whether it acted)."""


def matrix(decisions: Sequence[tuple[str, bool]]) -> list[str]:
    """The confusion matrix, in lines."""
    counts = Counter(decisions)
    lines = [f"{len(decisions)} scenarios          acted   refrained"]
    for should in ("act", "refrain"):
        acted, refrained = counts[(should, True)], counts[(should, False)]
        lines.append(f"  should {should:<8} {acted:>10} {refrained:>11}")
    wrong = counts[("refrain", True)] + counts[("act", False)]
    return [*lines, f"  wrong decisions: {wrong}"]
