"""How long the rows of each table are kept, stated in one place; and who takes out what is due.

What the audit rebuilds from the ledger is taken out with a row of the ledger that names it, so
that what is gone is gone by the daemon's word, and nothing else can go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, select, tuple_

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.database import Database
from daemon.adapters.store.ledger import Ledger, Line, packed
from daemon.adapters.store.schema import (
    actions_table,
    changes_table,
    freezes_table,
    heads,
    maintenance_table,
    marks,
    oncall_overrides,
    oncall_swaps,
    sessions,
    tokens,
)
from daemon.core.ports.urgency import Urgency

CHANGES_KEPT = 20
"""So many changes of each subject are kept however old they are: what is gone back to may be."""
_AT_ONCE = 500
"""Rows in one transaction; others write in between."""


class _Records(NamedTuple):
    """The rows of one table that go by themselves: by which columns one is named, and which are
    due, given from when on they are kept and what time it is."""

    table: Table
    key: tuple[str, ...]
    due: Callable[[datetime, datetime], ColumnElement[bool]]
    audited: bool = True
    """Whether the audit rebuilds the table from the ledger."""


def _old_change(before: datetime, _: datetime) -> ColumnElement[bool]:
    c = changes_table.c
    newest_first = func.row_number().over(partition_by=c.subject, order_by=c.at.desc())
    ranked = select(c.subject, c.item, c.at, newest_first.label("rank")).subquery()
    beyond = select(ranked.c.subject, ranked.c.item, ranked.c.at).where(
        ranked.c.rank > CHANGES_KEPT, ranked.c.at < before
    )
    return tuple_(c.subject, c.item, c.at).in_(beyond)


_without_change = ~exists().where(
    changes_table.c.subject == marks.c.subject, changes_table.c.item == marks.c.item
)
_without_incident = ~exists().where(heads.c.incident == actions_table.c.incident)

# Changes before marks: a mark goes with the last change of its item.
_RECORDS = (
    _Records(sessions, ("id",), lambda _, now: sessions.c.ends_at <= now, audited=False),
    _Records(
        tokens,
        ("id",),
        lambda before, _: (tokens.c.revoked_at < before) | (tokens.c.expires_at < before),
        audited=False,
    ),
    _Records(changes_table, ("subject", "item", "at"), _old_change, audited=False),
    _Records(marks, ("subject", "item"), lambda before, _: (marks.c.at < before) & _without_change),
    # The entries of an incident tell of its actions, so they go after it.
    _Records(
        actions_table,
        ("incident", "step", "target", "started_at"),
        lambda before, _: (actions_table.c.finished_at < before) & _without_incident,
    ),
    _Records(
        freezes_table,
        ("scope",),
        lambda before, _: (freezes_table.c.thawed_at < before) | (freezes_table.c.until < before),
    ),
    _Records(maintenance_table, ("id",), lambda before, _: maintenance_table.c.ends_at < before),
    _Records(oncall_overrides, ("id",), lambda before, _: oncall_overrides.c.until < before),
    _Records(oncall_swaps, ("id",), lambda before, _: oncall_swaps.c.until < before),
)

RETENTION_RULES: Mapping[str, str] = {
    "events": "`retention.keep`: with their incident to the archive",
    "heads": "`retention.keep`: with their incident to the archive",
    "ledger": "for ever, as a chain is; of an archived incident its rows are emptied",
    "inbox": "`inbox.remember`, once processed",
    "alert_ends": "`inbox.remember`",
    "sessions": "until they end",
    "tokens": "`retention.records` after they were revoked or ran out",
    "changes": f"`retention.records`; the newest {CHANGES_KEPT} of each subject for ever",
    "marks": "`retention.records`, and as long as a change of their item is kept",
    "actions": "`retention.records`, and as long as their incident is in the store",
    "freezes": "`retention.records` after they were lifted or over; one a scope",
    "maintenance_windows": "`retention.records` after their end",
    "oncall_overrides": "`retention.records` after their end",
    "oncall_swaps": "`retention.records` after the shift that they are about",
    "meta": "for ever: one of each name, and there is a name for each rule at most",
    "replicas": "one a replica that has ever joined",
    "duties": "one a duty",
    "news": "one a topic",
    "alembic_version": "one row",
}
"""Table → how long its rows are kept, in the words of the settings. Every table is here."""


class SqlRecords:
    """`daemon.core.ports.archive.Records` in SQL."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def expire(self, before: datetime, now: datetime) -> Mapping[str, int]:
        """Take out what was over before that; how many rows of which table."""
        gone: dict[str, int] = {}
        for records in _RECORDS:
            while taken := await self._take_out(records, before, now):
                gone[records.table.name] = gone.get(records.table.name, 0) + taken
        return gone

    async def _take_out(self, records: _Records, before: datetime, now: datetime) -> int:
        work = partial(_take_some, self._ledger, records, before, now)
        return await self._database.write(work, Urgency.LOW)


def _take_some(
    ledger: Ledger, records: _Records, before: datetime, now: datetime, connection: Connection
) -> int:
    columns = [records.table.c[name] for name in records.key]
    query = select(*columns).where(records.due(before, now)).order_by(*columns).limit(_AT_ONCE)
    keys = [tuple(row) for row in connection.execute(query)]
    for key in keys:
        named = (column == value for column, value in zip(columns, key, strict=True))
        connection.execute(delete(records.table).where(*named))
    if keys and records.audited:
        body = {"table": records.table.name, "rows": [_stored(key) for key in keys]}
        ledger.write(connection, Line("expired", to_stamp(now), body=packed(body)))
    return len(keys)


def _stored(key: Sequence[Any]) -> list[Any]:
    return [to_stamp(value) if isinstance(value, datetime) else value for value in key]
