"""Does the journal still say what was written? The work behind `stopgap audit verify`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from daemon.adapters.store.journal import SqlJournal
from daemon.core.incident.events import chain


async def audit(journal: SqlJournal) -> list[str]:
    """Every break in every incident's chain, one sentence each; empty if all is whole.

    Raises Temporary or Permanent if the journal cannot be read.
    """
    breaks: list[str] = []
    async for incident, head, rows in journal.stored():
        breaks += verify_chain(incident, head, rows)
    return breaks


def verify_chain(incident: str, head: int | None, rows: Iterable[Any]) -> list[str]:
    """The breaks in one incident's chain, over the stored columns and not the decoded events.

    `rows` have the columns of the table `events`, in the order of seq; `head` is the seq of the
    head row, None without one. Each entry is checked against the digest that the one before it
    has stored, so one edit is one break and not a break in all that follows.
    """
    breaks = []
    last, previous = 0, ""
    for row in rows:
        stored = (incident, row.seq, row.at, row.by, row.kind, row.format, row.body)
        if row.seq != last + 1:
            gone = (
                f"entry {last + 1}" if row.seq == last + 2 else f"entries {last + 1}…{row.seq - 1}"
            )
            breaks.append(f"{incident}: {gone} missing before entry {row.seq}")
        elif row.digest != chain(previous, *stored):
            breaks.append(f"{incident}: entry {row.seq} is not what was written")
        last, previous = row.seq, row.digest
    if head is None:
        breaks.append(f"{incident}: the head row is missing; the journal holds {last} entries")
    elif head != last:
        breaks.append(
            f"{incident}: the head says {head} entries, the journal ends with entry {last}"
        )
    return breaks
