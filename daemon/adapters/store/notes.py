"""A few facts that belong to no incident, in the table of the store's own facts:
`daemon.core.ports.notes.Notes`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, select

from daemon.adapters.store.database import Database
from daemon.adapters.store.news import count_up
from daemon.adapters.store.schema import meta
from daemon.adapters.store.statements import insert
from daemon.core.ports.news import note_topic


class SqlNotes:
    """The notes of one store. Raises Temporary or Permanent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, name: str) -> tuple[str, ...]:
        """What was written last under that name."""
        query = select(meta.c.value).where(meta.c.name == _row(name))

        def work(connection: Connection) -> str | None:
            return connection.scalar(query)

        found = await self._database.read(work)
        return tuple(json.loads(found)) if found is not None else ()

    async def write(self, name: str, values: Sequence[str]) -> None:
        """Keep these words in place of those before."""

        def work(connection: Connection) -> None:
            put = insert(connection, meta)
            put = put.values(name=_row(name), value=json.dumps(list(values)))
            put = put.on_conflict_do_update(
                index_elements=[meta.c.name], set_={"value": put.excluded.value}
            )
            connection.execute(put)
            count_up(connection, note_topic(name))

        await self._database.write(work)


def _row(name: str) -> str:
    return f"note:{name}"
