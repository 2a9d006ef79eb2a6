"""Does what only one replica at a time may do, where this one has the duty.

A lease is held in the store, and ours ends here before it ends there (`daemon.core.values.lease`).
So nobody does what another one may have taken over. Where the store belongs to one daemon alone,
all duties are its own, and nothing is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, get_args

import structlog

from daemon.core.ports.duties import Duties, Duty
from daemon.core.values.lease import DEFAULT_LEASE, ClockReading, HeldLease, renew_every
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer

_log = structlog.get_logger()

_LOOK_SECONDS = 0.5
"""How often it is looked whether the lease still lasts."""
ALL_DUTIES: tuple[Duty, ...] = get_args(Duty)


class DutyKeeper:
    """The duties of one replica. `run` takes them and renews them."""

    def __init__(
        self,
        clock: Callable[[], ClockReading],
        store: Duties | None = None,
        owner: str = "",
        lease: timedelta = DEFAULT_LEASE,
        observer: Observer = QUIET,
    ) -> None:
        self._store = store
        self._owner = owner
        self._lease = lease
        self._observer = observer
        self._clock = clock
        self._held: HeldLease | None = None
        self._mine: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None

    def mine(self, duty: Duty) -> bool:
        """Whether it may be done here at this moment."""
        if self._store is None:
            return True
        held = self._held
        return duty in self._mine and held is not None and held.holds(self._clock())

    @property
    def shared(self) -> bool:
        """Whether there may be other replicas."""
        return self._store is not None

    def held_last(self, duty: Duty) -> bool:
        """Whether it was ours when the store last answered, however long ago that is."""
        return self._store is None or duty in self._mine

    async def holder(self, duty: Duty) -> str:
        """Who has it; empty if nobody has. Raises Temporary, Permanent."""
        if self._store is None:
            return self._owner
        holders = await self._store.holders()
        return next((one.owner for one in holders if one.duty == duty), "")

    async def run(self) -> None:
        """Take and renew, until cancelled; then others may have them at once."""
        if self._store is None:
            return
        try:
            while True:
                await self._take_safely(self._store)
                await asyncio.sleep(renew_every(self._lease).total_seconds())
        finally:
            self._held = None
            self._tell()
            await self._leave(self._store)

    async def take(self) -> None:
        """Take what is free and renew what is ours. Raises Temporary, Permanent."""
        if self._store is not None:
            await self._take(self._store)

    async def hold(self, duty: Duty, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do the work while the duty is ours, from its beginning each time; until cancelled. The
        work goes on for ever; if it ends, the duty is done."""
        if self._store is None:
            await work()
            return
        while True:
            await self._wait_for(duty)
            if await self._work(duty, work):
                return

    async def _work(self, duty: Duty, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Whether it came to its end while the duty was ours."""
        _log.info("this replica has the duty now", duty=duty)
        task = asyncio.create_task(work(), name=f"duty-{duty}")
        try:
            while self.mine(duty):
                await self._change(task)
                if task.done():
                    await task
                    return True
        finally:
            task.cancel()
            await asyncio.wait([task])
        _log.warning("this replica has lost the duty", duty=duty)
        return False

    async def _change(self, task: asyncio.Task[None]) -> None:
        """Wait for its end, for a renewal, or until the lease may be over."""
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait(
                [task, changed], timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()

    async def _wait_for(self, duty: Duty) -> None:
        while not self.mine(duty):
            await self._changed.wait()

    async def _take_safely(self, store: Duties) -> None:
        """What cannot be renewed ends by itself."""
        # Not awaited for longer than it can be of use: a store that hangs must not hold us up.
        if self._taking is None:
            self._taking = asyncio.create_task(self._take(store), name="duties-take")
        taking = self._taking
        try:
            await asyncio.wait([taking], timeout=self._lease.total_seconds())
            if not taking.done():
                _log.warning("duties cannot be renewed", why="the store does not answer")
                return
            self._taking = None
            taking.result()
        except (Temporary, Permanent) as error:
            _log.warning("duties cannot be renewed", why=str(error))
        except Exception:
            _log.exception("renewing duties crashed; trying again")
            self._observer.crashed("duties")

    async def _take(self, store: Duties) -> None:
        asked = self._clock()
        self._mine = await store.take(ALL_DUTIES, self._owner, self._lease)
        self._held = HeldLease(asked, self._lease)
        self._tell()

    async def _leave(self, store: Duties) -> None:
        try:
            await store.leave(self._owner)
        except (Temporary, Permanent) as error:
            _log.warning("duties were not given up; their leases end", why=str(error))

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
