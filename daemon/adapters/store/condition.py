"""What is wrong with a store: `daemon.core.ports.store.StoreCondition`, fed by its transactions.

That a transaction works proves little: other pages are whole, another write had no need of new
room. So a fault stays until something that would meet it has not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from daemon.adapters.store.database import Database, UnitKind
from daemon.core.ports.store import Fault, StoreFailure

_READ: frozenset[Fault] = frozenset({"damaged", "failing"})
"""What a read can prove. That it finds no free file handle, say, is no fault of the store."""


class Condition:
    """The condition of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lost = ""
        self._unreadable: dict[Fault, str] = {}
        self._unwritable: dict[Fault, str] = {}
        database.failures.append(self.note)

    @property
    def faults(self) -> Mapping[Fault, str]:
        """What is not known to be mended."""
        gone: dict[Fault, str] = {"gone": self._lost} if self._lost else {}
        return {**gone, **self._unreadable, **self._unwritable}

    def note(self, kind: UnitKind, failure: StoreFailure) -> None:
        """A transaction has met this."""
        if failure.fault == "gone":
            self._lost = str(failure)
        elif failure.fault == "damaged" or (kind == "read" and failure.fault in _READ):
            self._unreadable[failure.fault] = str(failure)
        elif kind == "write" or failure.fault == "away":
            self._unwritable[failure.fault] = str(failure)

    def unanswered(self) -> float:
        """For how many seconds no transaction has ended, while one waits."""
        return self._database.progress.unanswered()

    async def look(self) -> None:
        """Look whether its files are where they were."""
        self._lost = await asyncio.to_thread(self._database.backend.lost)

    async def probe(self) -> None:
        """Write to it: really, for a transaction that changes nothing needs no room."""
        await self._database.write(self._database.backend.touch)
        self._unwritable.clear()

    async def recheck(self) -> None:
        """Read through all of it, and remember what is damaged."""
        await self._database.forget_pages()
        found = await self._database.read(self._database.backend.quick_check)
        self._unreadable.clear()
        if found:
            self._unreadable["damaged"] = self._database.backend.damaged(found[0])
