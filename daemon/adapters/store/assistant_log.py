"""What assistants asked and did, as rows of the ledger: `daemon.core.ports.assistants`."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.database import Database
from daemon.adapters.store.ledger import Ledger, Line, packed
from daemon.adapters.store.schema import ledger as rows
from daemon.core.ports.assistants import AssistantCall


class SqlAssistantLog:
    """In the chain over the whole journal, so that none can be taken out unnoticed."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def note(self, call: AssistantCall) -> None:
        """Keep it, durably."""
        body = packed({"person": call.person, "tool": call.tool, "asked": call.asked})
        line = Line("assisted", to_stamp(call.at), call.incident, body=body)
        await self._database.write(lambda connection: self._ledger.write(connection, line))

    async def newest(self, limit: int) -> list[AssistantCall]:
        """The newest calls, the newest first."""
        query = select(rows).where(rows.c.kind == "assisted")
        query = query.order_by(rows.c.number.desc()).limit(limit)

        def work(connection: Connection) -> list[AssistantCall]:
            return [_call(row) for row in connection.execute(query)]

        return await self._database.read(work)


def _call(row: Any) -> AssistantCall:
    return AssistantCall(at=row.at, incident=row.incident, **json.loads(row.body))
