"""What is left of the look-back without the times when this same problem stood.

An outage that filled most of the look-back would pass for what is normal. Where it was an incident
that was verified to have recovered, nobody has to guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.changes.precedent import Precedent
from daemon.core.values.significance import Bin


def bins_outside(
    bins: Sequence[Bin], width: timedelta, trouble: Sequence[Precedent]
) -> Sequence[Bin]:
    """Those that hold nothing of the trouble; `width` is that of a bin that does not tell its
    begin."""
    if not trouble:
        return bins
    seconds = width.total_seconds()
    return [
        b
        for b in bins
        if not _within(trouble, b.end - seconds if b.begin is None else b.begin, b.end, seconds)
    ]


def samples_outside(
    history: Sequence[tuple[float, float]], width: timedelta, trouble: Sequence[Precedent]
) -> Sequence[tuple[float, float]]:
    """Those that hold nothing of the trouble; a sample may be of the window before it."""
    if not trouble:
        return history
    seconds = width.total_seconds()
    return [one for one in history if not _within(trouble, one[0] - seconds, one[0], seconds)]


def _within(trouble: Sequence[Precedent], begin: float, end: float, unsure: float) -> bool:
    """Whether any of [begin, end] (Unix seconds) is of the trouble, which may have begun `unsure`
    seconds before its onset."""
    return any(
        one.begin.timestamp() - unsure < end and begin < one.end.timestamp() for one in trouble
    )
