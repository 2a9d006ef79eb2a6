"""Earlier trouble like the present one: what came before a change was not caused by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from daemon.core.changes.change import Change
from daemon.core.values.units import Frozen, Moment

NEAR = timedelta(minutes=2)
"""How far from a change trouble may begin or end that is its doing."""
_SHOWN = 3


class Precedent(Frozen):
    """From `begin` to `end` it was about as bad as it is now."""

    begin: Moment
    end: Moment


def unexplained(
    precedents: Sequence[Precedent], change: Change, changes: Sequence[Change]
) -> list[Precedent]:
    """Those that were over before the change, oldest first, without those that another change
    began and the next change of the same subject ended: that was another bad deployment."""
    return [
        precedent
        for precedent in sorted(precedents, key=lambda p: p.begin)
        if precedent.end < change.at and not _explained(precedent, changes)
    ]


def precedents_text(precedents: Sequence[Precedent], now: datetime) -> str:
    """When they were, the newest first."""
    newest = sorted(precedents, key=lambda p: p.begin, reverse=True)
    shown = ", ".join(_span(precedent, now) for precedent in newest[:_SHOWN])
    more = len(newest) - _SHOWN
    return shown if more <= 0 else f"{shown} and {more} more time{'s' if more > 1 else ''}"


def _explained(precedent: Precedent, changes: Sequence[Change]) -> bool:
    """Whether a change was made shortly before it, and undone or replaced when it ended."""
    begun = [c for c in changes if -NEAR <= precedent.begin - c.at <= 15 * NEAR]
    ended = [c for c in changes if -NEAR <= precedent.end - c.at <= NEAR]
    return any(
        first.subject == last.subject and first.at < last.at for first in begun for last in ended
    )


def _span(precedent: Precedent, now: datetime) -> str:
    begin, end = precedent.begin.astimezone(UTC), precedent.end.astimezone(UTC)
    day = "" if begin.date() == now.astimezone(UTC).date() else f"{begin:%Y-%m-%d} "
    return f"{day}{begin:%H:%M}–{end:%H:%M}"
