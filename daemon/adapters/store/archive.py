"""Old incidents move from the journal to files: `daemon.core.ports.archive.Archive`.

First the file, read back, then one small transaction that takes the incident out and says on the
ledger where it went. A crash in between leaves it in both, and the next time it is moved again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, exists, select, update

from daemon.adapters.store import archive_files
from daemon.adapters.store.auditing.incidents import IncidentAuditor
from daemon.adapters.store.auditing.replay import Archived, End
from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.ledger import Line, packed, ranges
from daemon.adapters.store.schema import (
    action_runs,
    actions_table,
    events,
    head_is_pending,
    heads,
    ledger,
)
from daemon.core.incident.events import ReviewWritten
from daemon.core.ports.urgency import Urgency
from daemon.core.values.outcome import Permanent, Temporary

_reviewed = exists().where(
    events.c.incident == heads.c.incident, events.c.kind == ReviewWritten.__name__
)
_locking = exists().where(actions_table.c.incident == heads.c.incident, action_runs)


class FileArchive:
    """The archive of one store, in a folder."""

    def __init__(self, journal: SqlJournal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder
        self._lines: dict[str, list[End]] = {}

    async def due(self, before: datetime, limit: int) -> list[str]:
        """Incidents closed before that, the oldest first, that need nothing more: their review is
        written, and no follow-up of theirs is open."""
        closed = heads.c.closed_at < before
        query = select(heads.c.incident).where(closed, _reviewed, ~_locking, ~head_is_pending)
        query = query.order_by(heads.c.closed_at, heads.c.incident).limit(limit)

        def work(connection: Connection) -> list[str]:
            incidents = list(connection.execute(query).scalars())
            # In one look for all of them: the ledger is in the order of time, and has no index.
            self._lines = _lines(incidents, connection)
            return incidents

        return await self._journal.database.read(work)

    async def put_away(self, incident: str, at: datetime) -> str:
        """Move one that was due. Raises Temporary, or Permanent if it is not as it was written."""
        lines = self._lines.pop(incident, [])
        rows, closed_at = await self._journal.database.read(partial(_whole, incident))
        end = lines[-1] if lines else End(0, "", 0)
        wrong = IncidentAuditor(self._journal.ledger.keyring).check_entries(rows, end)
        if wrong or end.seq != len(rows):
            what = wrong[0] if wrong else f"the ledger says {end.seq} entries, not {len(rows)}"
            raise Permanent(f"{incident} is not archived: {what}; `stopgap audit verify`")
        name = f"{closed_at:%Y-%m}/{incident}.jsonl.gz"
        await asyncio.to_thread(archive_files.write, self._folder, name, rows)
        await self._journal.database.write(
            partial(self._take_out, incident, lines, name, at), Urgency.LOW
        )
        return name

    def _take_out(
        self, incident: str, lines: Sequence[End], name: str, at: datetime, connection: Connection
    ) -> None:
        # A follow-up that was added meanwhile has made it grow.
        seq = connection.scalar(select(heads.c.seq).where(heads.c.incident == incident))
        if seq != lines[-1].seq:
            raise Temporary(f"{incident} has grown while it was archived; it is done again")
        connection.execute(delete(events).where(events.c.incident == incident))
        connection.execute(delete(heads).where(heads.c.incident == incident))
        numbers = [line.number for line in lines]
        # The digests stay: the rows after them are chained to them.
        blank = {"kind": "blank", "at": "", "incident": "", "seq": 0, "body": ""}
        connection.execute(update(ledger).where(ledger.c.number.in_(numbers)).values(blank))
        body = {"digest": lines[-1].digest, "file": name, "rows": ranges(numbers)}
        line = Line("archived", to_stamp(at), incident, lines[-1].seq, packed(body))
        self._journal.ledger.write(connection, line)


def _whole(incident: str, connection: Connection) -> tuple[list[Sequence[Any]], datetime]:
    """The entries as they are stored, and when the incident was closed."""
    ours = events.c.incident == incident
    rows = connection.execute(select(events).where(ours).order_by(events.c.seq)).all()
    closed_at = connection.scalar(select(heads.c.closed_at).where(heads.c.incident == incident))
    if closed_at is None or not rows:
        raise Permanent(f"{incident} is no closed incident, so it is not archived")
    return [tuple(row) for row in rows], closed_at


def _lines(incidents: Sequence[str], connection: Connection) -> dict[str, list[End]]:
    """What the ledger has of the entries of each."""
    query = select(ledger.c.incident, ledger.c.seq, ledger.c.body, ledger.c.number)
    query = query.where(ledger.c.kind == "entries", ledger.c.incident.in_(incidents))
    found: dict[str, list[End]] = {}
    for incident, *line in connection.execute(query.order_by(ledger.c.number)):
        found.setdefault(incident, []).append(End(*line))
    return found


async def archived(journal: SqlJournal) -> list[Archived]:
    """The incidents that were archived, in that order."""
    query = select(ledger).where(ledger.c.kind == "archived").order_by(ledger.c.number)

    def work(connection: Connection) -> list[Archived]:
        rows = [(row, json.loads(row.body)) for row in connection.execute(query)]
        return [Archived.of(row.number, row.incident, row.seq, body) for row, body in rows]

    return await journal.database.read(work)
