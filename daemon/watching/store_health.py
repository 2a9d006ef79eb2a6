"""Whether anything may be entrusted to the store: looked at every second, asked for at any time.

While it may not, alerts are refused (Alertmanager sends them again), no heartbeat is sent, and
people are called without it (`daemon.notifying.emergency`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import timedelta

import structlog

from daemon.core.ports.inbox import Inbox
from daemon.core.ports.store import Fault, StoreCondition, StoreTrouble
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import format_duration
from daemon.instrumentation import QUIET, Observer

_log = structlog.get_logger()

_LOOK_SECONDS = 1.0
RECHECK_SECONDS = 60.0
"""How often a damaged store is read through again: an I/O error may have been the cable's."""
_WORST_FIRST: tuple[Fault, ...] = (
    "gone",
    "damaged",
    "failing",
    "full",
    "unwritable",
    "away",
    "held",
)
_PROBED: frozenset[Fault] = frozenset({"failing", "full", "unwritable", "held", "away"})
_PASSING: frozenset[Fault] = frozenset({"held", "away"})
"""What is often over in a moment: a backup holds the file, a server is restarted."""
_READ_THROUGH: frozenset[Fault] = frozenset({"damaged", "failing"})


def judge(
    faults: Mapping[Fault, str], passing: float, waited: float, max_age: timedelta
) -> StoreTrouble | None:
    """What is the matter with the store; None if all is well. Pure.

    `passing`: for how many seconds it has been held by another program, or its server away, both of
    which may be over in a moment. `waited`: for how many seconds the inbox's oldest delivery has.
    """
    bound = max_age.total_seconds()
    for fault in _WORST_FIRST:
        if fault in faults and (fault not in _PASSING or passing > bound):
            return StoreTrouble(kind=fault, text=faults[fault])
    if waited <= bound:
        return None
    text = (
        f"the inbox is not worked off: its oldest delivery has waited for more than "
        f"{format_duration(max_age)} (`inbox.max_age`); the log says why; restart the daemon if "
        "the reason is gone and it does not go on"
    )
    return StoreTrouble(kind="stuck", text=text)


class StoreWatch:
    """Watches one store."""

    def __init__(
        self,
        condition: StoreCondition,
        inbox: Inbox,
        max_age: timedelta,
        observer: Observer = QUIET,
    ) -> None:
        self._condition = condition
        self._inbox = inbox
        self._max_age = max_age
        self._observer = observer
        self._passing_since: float | None = None
        self._faulty_at = -math.inf
        self._rechecked = 0.0
        self._last: StoreTrouble | None = None

    def trouble(self) -> StoreTrouble | None:
        """What is the matter at this moment; None if all is well. Asks nothing of the store."""
        now = asyncio.get_running_loop().time()
        passing = 0.0 if self._passing_since is None else now - self._passing_since
        # What piled up while something else was the matter has until then to be worked off.
        waited = min(self._inbox.waited(), now - self._faulty_at)
        return judge(self._condition.faults, passing, waited, self._max_age)

    def why_not(self) -> str:
        """Why nothing may be entrusted to the store; empty if it may. While its server is away it
        may not from the first moment on, though nobody is called about that yet."""
        trouble = self.trouble()
        return trouble.text if trouble else self._condition.faults.get("away", "")

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        self._rechecked = asyncio.get_running_loop().time()
        while True:
            try:
                await self.look()
            except (Temporary, Permanent):
                pass  # it is among the faults now
            except Exception:
                _log.exception("looking after the store crashed; looking again")
                self._observer.crashed("store")
            self._notify()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Find out what is wrong, and whether what was still is. Raises Temporary or Permanent
        if the store still fails."""
        now = asyncio.get_running_loop().time()
        await self._condition.look()
        faults = self._condition.faults
        if faults:
            self._faulty_at = now
        if not faults.keys() & _PASSING:
            self._passing_since = None
        elif self._passing_since is None:
            self._passing_since = now
        if "gone" in faults:
            return  # what was opened must not be touched
        if faults.keys() & _READ_THROUGH and now - self._rechecked >= RECHECK_SECONDS:
            self._rechecked = now
            await self._condition.recheck()
        if faults.keys() & _PROBED:
            await self._condition.probe()

    def _notify(self) -> None:
        trouble, before = self.trouble(), self._last
        self._last = trouble
        if trouble is None and before is not None:
            _log.warning("the store is well again; alerts are taken", was=before.kind)
        elif trouble is not None and (before is None or before.kind != trouble.kind):
            _log.error(
                "the store is in trouble; alerts are refused", kind=trouble.kind, why=trouble.text
            )
