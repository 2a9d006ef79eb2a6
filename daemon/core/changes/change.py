"""Changes, and what to go back to: an item that was measured healthy, never merely n−1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from daemon.core.values.units import Frozen, Moment, printable

HealthMark = Literal["healthy", "bad"]

REPORTED_PREFIX = "reported:"
"""How the subjects of reported changes begin; no action's target does."""

MIN_OVERLAP = 0.1
"""The part of the baseline during which an item must have been live to be called healthy by it."""


class Change(Frozen):
    """Something was switched: on `subject` (an action's target), `item` became live at `at`.

    `previous` is what was live before, empty when nobody knows. `seen_by` names the watcher, or
    the system that reported it. `text` is what people call the item ("app:2, revision 3").
    What was reported says by `labels` what it concerns (none: everything), and may name the
    action's `target` that it changed. `rolling`: its rollout was not finished when last seen.
    """

    subject: str
    item: str
    previous: str = ""
    at: Moment
    seen_by: str
    text: str = ""
    target: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    rolling: bool = False

    @property
    def reported(self) -> bool:
        """Whether another system told us, instead of a watch of ours seeing it."""
        return self.subject.startswith(REPORTED_PREFIX)

    @property
    def aim(self) -> str:
        """The action's target that it changed."""
        return self.target or self.subject


class Candidate(Frozen):
    """The item to go back to, or the reason why there is none."""

    item: str = ""
    reason: Literal["measured_healthy", "no_healthy_item"]
    text: str


def last_healthy(
    current: str,
    history: Sequence[Change],
    marks: Mapping[str, HealthMark],
    healthy_between: tuple[datetime, datetime] | None,
) -> Candidate:
    """The newest item that was *measured healthy while it was live*; never merely n−1.

    `history` is oldest first. An item counts as measured healthy when it was live during the
    baseline (`healthy_between`), or carries the mark of an earlier measurement. Items marked
    bad, and the current one, are never chosen.
    """
    healthy: list[str] = []
    for position, change in enumerate(history):
        begin = change.at
        end = history[position + 1].at if position + 1 < len(history) else None
        if change.previous and position == 0 and _during(None, begin, healthy_between):
            healthy.append(change.previous)
        if _during(begin, end, healthy_between) or marks.get(change.item) == "healthy":
            healthy.append(change.item)
    for item in reversed(healthy):
        if item != current and marks.get(item) != "bad":
            return Candidate(
                item=item,
                reason="measured_healthy",
                text=f"{item} was measured healthy while it was live",
            )
    text = f"nothing but {current} is known to have been live and healthy"
    live = dict.fromkeys(item for c in history for item in (c.previous, c.item))
    bad = [printable(item) for item in live if item != current and marks.get(item) == "bad"]
    if bad:
        text += f" ({', '.join(bad)} was measured bad while it was live)"
    return Candidate(
        reason="no_healthy_item", text=f"{text}; roll back by hand, or name what is good"
    )


def _during(
    begin: datetime | None, end: datetime | None, span: tuple[datetime, datetime] | None
) -> bool:
    """Whether [begin, end) covers enough of the span to be judged by it; None is open-ended."""
    if span is None:
        return False
    first = span[0] if begin is None else max(begin, span[0])
    last = span[1] if end is None else min(end, span[1])
    return last - first >= MIN_OVERLAP * (span[1] - span[0]) and last > first
