"""Does the store still say what was written? The work behind `stopgap audit verify`.

All of it is read in one snapshot, so what a running daemon adds meanwhile is no false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection

from daemon.adapters.store.auditing.findings import Break, unknown_key
from daemon.adapters.store.auditing.incidents import COLUMNS, HEAD, Auditor
from daemon.adapters.store.auditing.replay import ROWS, Archived, End, Replay
from daemon.adapters.store.auditing.tables import check_tables
from daemon.adapters.store.journal import SqlJournal
from daemon.core.values.anchor import Anchor
from daemon.core.values.seal import Keyring

__all__ = ["Archived", "Audit", "Break", "audit", "audit_incident"]

_ENTRIES = f"SELECT {COLUMNS} FROM events"  # noqa: S608 - our own columns
_HEADS = f"SELECT {', '.join(HEAD)} FROM heads"  # noqa: S608

_END = """SELECT seq, body, number FROM ledger WHERE incident = ? AND kind = 'entries'
    ORDER BY number DESC LIMIT 1"""


class Audit(NamedTuple):
    """What was found, and how much was looked at."""

    breaks: list[Break]
    incidents: int
    entries: int
    archived: list[Archived]


async def audit(journal: SqlJournal, anchors: Sequence[Anchor] = ()) -> Audit:
    """Look at everything. Raises Temporary or Permanent if the store cannot be read."""
    return await journal.database.read(partial(_look, journal.ledger.keyring, anchors))


async def audit_incident(journal: SqlJournal, incident: str) -> list[Break]:
    """Look at one incident alone; quick if it is one of the newest."""

    def work(connection: Connection) -> list[Break]:
        auditor = Auditor(journal.ledger.keyring)
        rows = _raw(connection, f"{_ENTRIES} WHERE incident = ? ORDER BY seq", incident)
        head = next(_raw(connection, f"{_HEADS} WHERE incident = ?", incident), None)
        end = next(_raw(connection, _END, incident), None)
        breaks = auditor.check(incident, list(rows), head, None if end is None else End(*end))
        return [*breaks, *map(unknown_key, sorted(auditor.unknown))]

    return await journal.database.read(work)


def _look(keyring: Keyring, anchors: Sequence[Anchor], connection: Connection) -> Audit:
    replay = Replay(keyring, anchors).run(_raw(connection, ROWS))
    heads = {row[0]: row for row in _raw(connection, _HEADS)}
    ends, auditor = dict(replay.ends), Auditor(keyring)
    breaks, incidents, entries = list(replay.breaks), 0, 0
    ordered = _raw(connection, f"{_ENTRIES} ORDER BY incident, seq")
    for incident, group in groupby(ordered, itemgetter(0)):
        rows = list(group)
        incidents, entries = incidents + 1, entries + len(rows)
        breaks += auditor.check(incident, rows, heads.pop(incident, None), ends.pop(incident, None))
    for incident in sorted(heads.keys() | ends.keys()):
        breaks += auditor.check(incident, [], heads.get(incident), ends.get(incident))
    breaks += check_tables(connection, replay, auditor.starts)
    breaks += [unknown_key(key) for key in sorted(auditor.unknown - replay.unknown)]
    return Audit(breaks, incidents, entries, replay.archived)


def _raw(connection: Connection, query: str, *values: Any) -> Iterator[Sequence[Any]]:
    """The rows as the database has them, one by one; the digests are over just that."""
    yield from connection.exec_driver_sql(query, values)
