"""The next version of Stopgap, as far as another one sees it: a column more, a kind of event more,
and a field more in one that is known. Run on a store, it writes all of that into what is open.

    python tests/upgrade/next.py PLACE
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import Connection, update

from daemon.adapters.store import PostgresAddress, open_store
from daemon.adapters.store import append as appending
from daemon.adapters.store.schema import SCHEMA, meta
from daemon.core.incident import events as e
from daemon.core.incident.events import FORMAT
from daemon.core.incident.fold import fold
from daemon.core.ports.journal import HeadState

NEWER = [
    '{"cups":2,"kind":"CoffeeFetched"}',
    '{"by_voice":true,"kind":"Noted","text":"with a field of tomorrow"}',
]


def _add_column(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE heads ADD COLUMN mood TEXT DEFAULT '' NOT NULL")
    row = update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA + 1))
    connection.execute(row)


async def main(place: str) -> None:
    """Everything that the next version does."""
    where = PostgresAddress(place) if "://" in place else Path(place)
    async with open_store(where) as store:
        await store.journal.database.write(_add_column)
        incident = fold(await store.journal.read("inc-1"))
        appending.FORMAT = FORMAT + 1  # type: ignore[attr-defined]
        appending.encode = lambda event: event.body  # type: ignore[attr-defined,union-attr]
        drafts = [_draft(body) for body in NEWER]
        state = HeadState.of(incident, None).model_copy(update={"title": "told by the next"})
        await store.journal.append("inc-1", incident.seq, drafts, state)


def _draft(body: str) -> e.Draft:
    """What this version has no class for."""
    event = SimpleNamespace(kind=json.loads(body)["kind"], body=body)
    return e.Draft.model_construct(at=datetime.now(UTC), by=e.DAEMON, event=event)  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
