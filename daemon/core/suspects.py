"""Changes, and which of them is to blame: pure, explained, and shy.

A change is the one suspect only if it started shortly before the measured onset, touches the
very target, and stands alone. Two candidates are `ambiguous`, and `ambiguous` never acts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.units import Frozen, Moment, format_duration

Mark = Literal["healthy", "bad"]

SUSPECT_WINDOW = timedelta(minutes=30)
"""How long before the onset a change may have been made and still be suspected."""

MIN_OVERLAP = 0.1
"""The part of the baseline during which an item must have been live to be called healthy by it."""


class Change(Frozen):
    """Something was switched: on `subject` (an action's target), `item` became live at `at`.

    `previous` is what was live before, empty when nobody knows. `seen_by` names the watcher.
    """

    subject: str
    item: str
    previous: str = ""
    at: Moment
    seen_by: str


class Suspicion(Frozen):
    """Which change is to blame: `verdict` with the sentence that explains it."""

    verdict: Literal["suspect", "none", "ambiguous"]
    text: str
    change: Change | None = None


class Candidate(Frozen):
    """The item to go back to, or the reason why there is none."""

    item: str = ""
    reason: Literal["measured_healthy", "no_healthy_item"]
    text: str


def candidates(changes: Sequence[Change], onset: datetime, resolution: timedelta) -> list[Change]:
    """The newest change of each subject that came shortly before the onset, oldest first.

    An older change of the same subject is acquitted: what came after it was healthy.
    """
    newest: dict[str, Change] = {}
    for change in sorted(changes, key=lambda c: c.at):
        if onset - SUSPECT_WINDOW <= change.at <= onset + resolution:
            newest[change.subject] = change
    return sorted(newest.values(), key=lambda c: c.at)


def suspect(changes: Sequence[Change], onset: datetime | None, resolution: timedelta) -> Suspicion:
    """Find the one change that explains the onset.

    `resolution` is the uncertainty of the onset: a change may appear up to that much later than
    the estimated onset and still have come first.
    """
    if onset is None:
        return Suspicion(verdict="none", text="the onset is not known, so no change can explain it")
    near = candidates(changes, onset, resolution)
    if not near:
        window = format_duration(SUSPECT_WINDOW)
        return Suspicion(verdict="none", text=f"no change in the {window} before the onset")
    if len(near) > 1:
        names = ", ".join(f"{c.subject} → {c.item}" for c in near)
        return Suspicion(verdict="ambiguous", text=f"{len(near)} changes fit the onset: {names}")
    change = near[0]
    lead = onset - change.at
    when = f"{format_duration(timedelta(seconds=round(lead.total_seconds())))} before the onset"
    if lead < timedelta(seconds=1):
        when = "at the onset"
    text = f"{change.subject}: {change.previous or '?'} → {change.item}, {when}"
    return Suspicion(verdict="suspect", text=text, change=change)


def last_healthy(
    current: str,
    history: Sequence[Change],
    marks: Mapping[str, Mark],
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
    return Candidate(
        reason="no_healthy_item",
        text=f"nothing but {current} is known to have been live and healthy; "
        "roll back by hand, or name what is good",
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
