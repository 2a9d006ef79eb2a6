"""Maintenance windows in the store: part of no incident, so the ledger tells of each."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import Connection, select, update

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.database import Database
from daemon.adapters.store.ledger import Ledger, Line, packed
from daemon.adapters.store.schema import maintenance_table
from daemon.core.recovery.maintenance import MaintenanceWindow


class SqlMaintenance:
    """`daemon.core.ports.maintenance.MaintenanceStore` of one store."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def add_window(self, window: MaintenanceWindow) -> None:
        """Keep a window that was announced."""
        await self._database.write(partial(_add, self._ledger, window))

    async def end_window(self, window: str, by: str, at: datetime) -> bool:
        """End a window before its time; False if there is none, or it is over already."""
        return await self._database.write(partial(_end, self._ledger, window, by, at))

    async def windows_since(self, since: datetime) -> list[MaintenanceWindow]:
        """The windows that end then or later, by their announced end, the first to begin first."""
        query = (
            select(maintenance_table)
            .where(maintenance_table.c.ends_at >= since)
            .order_by(maintenance_table.c.begins_at, maintenance_table.c.id)
        )

        def work(connection: Connection) -> list[MaintenanceWindow]:
            return [MaintenanceWindow(**row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)


def _add(ledger: Ledger, window: MaintenanceWindow, connection: Connection) -> None:
    connection.execute(maintenance_table.insert().values(dict(window)))
    body = {
        name: to_stamp(value) if isinstance(value, datetime) else value
        for name, value in window
        if name not in {"announced_at", "ended_by", "ended_at"}
    }
    line = Line("maintenance", to_stamp(window.announced_at), body=packed(body))
    ledger.write(connection, line)


def _end(ledger: Ledger, window: str, by: str, at: datetime, connection: Connection) -> bool:
    table = maintenance_table
    ended = (
        update(table)
        .where(table.c.id == window, table.c.ended_at.is_(None), table.c.ends_at > at)
        .values(ended_by=by, ended_at=at)
    )
    if connection.execute(ended).rowcount != 1:
        return False
    body = packed({"id": window, "by": by})
    ledger.write(connection, Line("maintenance-ended", to_stamp(at), body=body))
    return True
