"""Overrides and swaps of on-call shifts in the store: part of no incident, so the ledger tells of
each. `daemon.core.people.oncall_changes.OncallChanges`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.database import Database
from daemon.adapters.store.ledger import Ledger, Line, packed
from daemon.adapters.store.schema import oncall_overrides, oncall_swaps
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap, SwapAnswer

_OVERRIDE = tuple(OncallOverride.model_fields)
_SWAP = tuple(ShiftSwap.model_fields)


class SqlOncallChanges:
    """The overrides and swaps of one store. Raises Temporary or Permanent."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def overrides(self, since: datetime) -> list[OncallOverride]:
        """Those that were not removed and last beyond that moment, the oldest first."""
        table = oncall_overrides.c
        query = select(*(table[name] for name in _OVERRIDE))
        query = query.where(table.removed_at.is_(None), table.until > since)
        query = query.order_by(table.at, table.id)

        def work(connection: Connection) -> list[OncallOverride]:
            return [OncallOverride(**row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def swaps(self) -> list[ShiftSwap]:
        """Those that wait for an answer, the oldest first."""
        query = select(oncall_swaps).where(oncall_swaps.c.answer == "")
        query = query.order_by(oncall_swaps.c.at, oncall_swaps.c.id)

        def work(connection: Connection) -> list[ShiftSwap]:
            return [ShiftSwap(**row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def add_override(self, override: OncallOverride) -> None:
        """Keep it."""
        await self._database.write(lambda connection: self._add(connection, override))

    async def remove_override(self, id: str, by: str, at: datetime) -> bool:  # noqa: A002
        """Whether it was there, and not removed before."""
        table = oncall_overrides
        gone = update(table).where(table.c.id == id, table.c.removed_at.is_(None))
        gone = gone.values(removed_by=by, removed_at=at)
        line = Line("override-removed", to_stamp(at), body=packed({"id": id, "by": by}))

        def work(connection: Connection) -> bool:
            if connection.execute(gone).rowcount != 1:
                return False
            self._ledger.write(connection, line)
            return True

        return await self._database.write(work)

    async def ask_swap(self, swap: ShiftSwap) -> None:
        """Keep the question."""
        row = {name: getattr(swap, name) for name in _SWAP}
        left_out = {"answer", "answered_at"}
        line = Line("swap-asked", to_stamp(swap.at), body=packed(_stored(row, left_out)))

        def work(connection: Connection) -> None:
            connection.execute(oncall_swaps.insert().values(row))
            self._ledger.write(connection, line)

        await self._database.write(work)

    async def answer_swap(
        self,
        id: str,  # noqa: A002
        answer: SwapAnswer,
        at: datetime,
        overrides: Sequence[OncallOverride],
    ) -> bool:
        """Answer it and keep what it comes to, all or nothing; False if it was answered before."""
        table = oncall_swaps
        answered = update(table).where(table.c.id == id, table.c.answer == "")
        answered = answered.values(answer=answer, answered_at=at)
        line = Line("swap-answered", to_stamp(at), body=packed({"id": id, "answer": answer}))

        def work(connection: Connection) -> bool:
            if connection.execute(answered).rowcount != 1:
                return False
            self._ledger.write(connection, line)
            for override in overrides:
                self._add(connection, override)
            return True

        return await self._database.write(work)

    def _add(self, connection: Connection, override: OncallOverride) -> None:
        row = {name: getattr(override, name) for name in _OVERRIDE}
        connection.execute(
            oncall_overrides.insert().values({**row, "removed_by": None, "removed_at": None})
        )
        body = packed(_stored(row, set()))
        self._ledger.write(connection, Line("overridden", to_stamp(override.at), body=body))


def _stored(row: dict[str, object], left_out: set[str]) -> dict[str, object]:
    """A row as the ledger tells it: times as they are stored, without the row's own `at`."""
    return {
        name: to_stamp(value) if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "at" and name not in left_out
    }
