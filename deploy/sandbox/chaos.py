"""Kill the daemon (kill -9) in the middle of its work, and start it again.

The moment is found in the journal's own file, for the API answers too late: from the opening of
the incident to the end of the rollback it may take the daemon less than a second.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing

from sandbox import Sandbox
from telling import Teller

LOOK_EVERY = 0.0005


class Chaos:
    """Strikes once, as soon as an event of that kind stands in the journal."""

    def __init__(self, sandbox: Sandbox, teller: Teller, kind: str) -> None:
        self.sandbox = sandbox
        self.teller = teller
        self.kind = kind
        self.struck = False
        self._called_off = threading.Event()

    async def strike(self) -> None:
        """Wait for the moment, kill, restart. Cancel it to call it off."""
        self.sandbox.processes.doomed.add("stopgap")
        try:
            newest = await asyncio.to_thread(self._strike)
        finally:
            self._called_off.set()
        self.struck = True
        self.teller.scene(
            f"the daemon was killed (kill -9) at {self.kind}, with {newest} as the newest event; "
            "restarting it"
        )
        await self.sandbox.start_daemon()

    def act(self) -> None:
        """What is done at the moment."""
        self.sandbox.processes.kill("stopgap")

    def _strike(self) -> str:
        """Act at the moment; the kind of the newest event that the journal holds then."""
        journal = f"file:{self.sandbox.folder / 'stopgap.db'}?mode=ro"
        with closing(sqlite3.connect(journal, uri=True)) as events:
            seen = None
            while not seen and not self._called_off.wait(LOOK_EVERY):
                query = "SELECT 1 FROM events WHERE kind = ?"
                seen = events.execute(query, (self.kind,)).fetchone()
            if not seen:
                return ""
            self.act()
            newest = events.execute("SELECT kind FROM events ORDER BY at DESC, seq DESC").fetchone()
            return str(newest[0])
