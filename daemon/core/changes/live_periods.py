"""What was live when: the changes of one subject, put together from all who saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from daemon.core.changes.suspects import Change


@dataclass(frozen=True)
class Life:
    """An item was live from `begin` to `end`."""

    item: str
    begin: datetime
    end: datetime


def merge_periods(*histories: Sequence[Change]) -> list[Change]:
    """The histories of one subject as one, oldest first, each with what was live before it.

    Two who saw the same change date it a little differently; the earlier one counts. So an item
    follows itself nowhere.
    """
    found: list[Change] = []
    unique = {(c.item, c.at): c for history in histories for c in history}
    for change in sorted(unique.values(), key=lambda c: c.at):
        if not found:
            found.append(change)
        elif found[-1].item == change.item:
            found[-1] = _told_by_both(found[-1], change)
        else:
            found.append(change.model_copy(update={"previous": found[-1].item}))
    return found


def lives(history: Sequence[Change]) -> list[Life]:
    """From when to when each item was live, oldest first; without the one that still is."""
    return [Life(before.item, before.at, after.at) for before, after in pairwise(history)]


def _told_by_both(first: Change, second: Change) -> Change:
    text = first.text or second.text
    return first.model_copy(update={"text": text, "rolling": second.rolling})
