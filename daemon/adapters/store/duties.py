"""Duties in the store: a row for each, with who has it and until when.
`daemon.core.ports.duties.Duties`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, or_, select

from daemon.adapters.store.database import Database
from daemon.adapters.store.replicas import database_now, utc_now
from daemon.adapters.store.schema import duties_table
from daemon.adapters.store.statements import insert
from daemon.core.ports.duties import DutyHolder


class SqlDuties:
    """The duties of one store. `clock` is asked where the database has none of its own: SQLite, of
    whose file there is one daemon."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def take(self, names: Collection[str], owner: str, lease: timedelta) -> frozenset[str]:
        """Take or renew what is free, has no living holder or is the owner's own already."""
        if not names:
            return frozenset()

        def work(connection: Connection) -> frozenset[str]:
            now = database_now(connection, self._clock)
            rows = [
                {"name": name, "owner": owner, "lease_until": now + lease} for name in sorted(names)
            ]
            added = insert(connection, duties_table).values(rows)
            theirs = duties_table.c.owner == added.excluded.owner
            taken = added.on_conflict_do_update(
                index_elements=[duties_table.c.name],
                set_={
                    "owner": added.excluded.owner,
                    "lease_until": added.excluded.lease_until,
                },
                where=or_(theirs, duties_table.c.lease_until <= now),
            ).returning(duties_table.c.name)
            return frozenset(connection.scalars(taken))

        return await self._database.write(work)

    async def leave(self, owner: str) -> None:
        """Give up all that is the owner's."""
        gone = delete(duties_table).where(duties_table.c.owner == owner)
        await self._database.write(lambda connection: connection.execute(gone))

    async def holders(self) -> list[DutyHolder]:
        """Who has what, by duty."""

        def work(connection: Connection) -> list[DutyHolder]:
            now = database_now(connection, self._clock)
            query = select(duties_table).where(duties_table.c.lease_until > now)
            return [
                DutyHolder(row.name, row.owner, (row.lease_until - now).total_seconds())
                for row in connection.execute(query.order_by(duties_table.c.name))
            ]

        return await self._database.read(work)
