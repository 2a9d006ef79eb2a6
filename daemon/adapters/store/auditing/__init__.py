"""Does the store still say what was written? The work behind `stopgap audit verify`.

The incidents are looked at side by side, each portion in a snapshot of its own. Then all that
looked wrong, or differs from the ledger, is looked at once more in one snapshot together with
the ledger's newest rows: what a running daemon adds meanwhile is no false alarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from daemon.adapters.store.auditing.findings import Break, unknown_key
from daemon.adapters.store.auditing.incidents import IncidentAuditor
from daemon.adapters.store.auditing.portions import (
    ENTRIES,
    HEADS,
    Portion,
    bounds,
    look_at_all,
    raw,
)
from daemon.adapters.store.auditing.replay import ROWS, Archived, End, Replay
from daemon.adapters.store.auditing.tables import check_tables
from daemon.adapters.store.journal import SqlJournal
from daemon.core.values.anchor import Anchor

__all__ = ["Archived", "Audit", "Break", "audit_incident", "audit_journal"]

_END = """SELECT seq, body, number FROM ledger WHERE incident = ? AND kind = 'entries'
    ORDER BY number DESC LIMIT 1"""


class Audit(NamedTuple):
    """What was found, and how much was looked at."""

    breaks: list[Break]
    incidents: int
    entries: int
    archived: list[Archived]
    rows: int
    """Of the ledger."""
    vouched_from: int
    """The row of the ledger from which on some key was always in use; 0 if none is."""


async def audit_journal(journal: SqlJournal, anchors: Sequence[Anchor] = ()) -> Audit:
    """Look at everything. Raises Temporary or Permanent if the store cannot be read."""
    database, keyring = journal.database, journal.ledger.keyring
    replay = Replay(keyring, anchors)
    shares = await database.read(bounds)
    looking = asyncio.to_thread(lambda: list(look_at_all(database.backend, keyring, shares)))
    replaying = database.read(partial(_follow, replay))
    portions, _ = await asyncio.gather(looking, replaying)
    return await database.read(partial(_judge, replay, portions))


async def audit_incident(journal: SqlJournal, incident: str) -> list[Break]:
    """Look at one incident alone; quick if it is one of the newest."""

    def work(connection: Connection) -> list[Break]:
        auditor = IncidentAuditor(journal.ledger.keyring)
        end = next(raw(connection, _END, incident), None)
        breaks = _again(connection, auditor, incident, None if end is None else End(*end))
        return [*breaks, *map(unknown_key, sorted(auditor.unknown))]

    return await journal.database.read(work)


def _follow(replay: Replay, connection: Connection) -> None:
    replay.run(raw(connection, ROWS, replay.number))


def _judge(replay: Replay, portions: Iterable[Portion], connection: Connection) -> Audit:
    """The verdict, from one snapshot that is newer than all that was seen so far."""
    _follow(replay, connection)
    replay.finish()
    breaks = list(replay.breaks)
    auditor = IncidentAuditor(replay.keyring)
    incidents = entries = 0
    unseen, suspects = set(replay.ends), set()
    for portion in portions:
        incidents, entries = incidents + len(portion.ends), entries + portion.entries
        unseen -= portion.ends.keys()
        suspects |= set(portion.suspects) | set(_otherwise(portion, replay))
        auditor.starts += portion.starts
        auditor.unknown |= portion.unknown
    for incident in sorted(suspects | unseen, key=repr):  # of any type, once edited
        breaks += _again(connection, auditor, incident, replay.ends.get(incident))
    breaks += check_tables(connection, replay, set(auditor.starts))
    breaks += [unknown_key(key) for key in sorted(auditor.unknown - replay.unknown)]
    rows, vouched_from = replay.number, replay.vouched_from
    return Audit(breaks, incidents, entries, replay.archived, rows, vouched_from)


def _otherwise(portion: Portion, replay: Replay) -> Iterator[str]:
    """The incidents that do not end as the ledger says."""
    for incident, seen in portion.ends.items():
        end = replay.ends.get(incident)
        if end is None or (end.seq, end.digest) != seen:
            yield incident


def _again(
    connection: Connection, auditor: IncidentAuditor, incident: str, end: End | None
) -> Iterator[Break]:
    rows = list(raw(connection, f"{ENTRIES} WHERE incident = ? ORDER BY seq", incident))
    head = next(raw(connection, f"{HEADS} WHERE incident = ?", incident), None)
    yield from auditor.check(incident, rows, head, end)
