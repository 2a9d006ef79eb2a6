"""What changed lately, where nothing tells whether a change came first: shown, never acted on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.core.changes.scoring import SUSPECT_WINDOW, order
from daemon.core.changes.suspects import Change, Suspicion, Weighed
from daemon.core.values.units import clock_time, printable

MOST_RECENT = 8
"""So many recent changes are told of."""


def recent_changes(changes: Sequence[Change], now: datetime, why: str) -> Suspicion:
    """A suspicion that blames nobody and names what changed lately, the newest first.

    `why`: why nobody can be blamed, a sentence without a full stop.
    """
    newest: dict[str, Change] = {}
    for change in sorted(changes, key=order):
        if now - SUSPECT_WINDOW <= change.at <= now:
            newest[change.subject] = change
    found = sorted(newest.values(), key=order, reverse=True)[:MOST_RECENT]
    text = why
    if found:
        text += f"; changed lately: {', '.join(_named(change) for change in found)}"
    candidates = tuple(
        Weighed(change=change, score=0.0, reasons=(f"it began at {clock_time(change.at)}",))
        for change in found
    )
    return Suspicion(verdict="none", text=text, candidates=candidates)


def _named(change: Change) -> str:
    what = change.target or change.subject
    return printable(f"{what} → {change.item} at {clock_time(change.at)}")
