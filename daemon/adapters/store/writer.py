"""The one writer: whatever waits together is committed together.

A disk can sync only so often a second, so what arrives during one commit shares the next. There
each work has a savepoint of its own: what one raises takes back that one alone. Nobody is told
before the commit is on disk.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store.backend import Backend, Transactions
from daemon.adapters.store.turns import BatchWork, Unit, WriteQueue
from daemon.core.ports.store import StoreFailure

CROWD = 3
GATHER_SECONDS = 0.004
"""After a commit that served a crowd, the next begins no sooner than that after it, so that it
serves a crowd as well: on a fast disk commits would be many and small otherwise."""
MOST_TRIES = 3
"""So often a unit is done in a transaction of its own, if that may help."""
UNITS_AT_ONCE = 4
"""So many are told of their results before the event loop serves others again."""


class WriteResult(NamedTuple):
    """What became of a unit: its result, or the error in its place."""

    unit: Unit
    result: Any
    error: Exception | None = None


Job = tuple[BatchWork, list[Unit]]


class _Undone(Exception):
    """All of a transaction is undone, and not only the part that failed."""


class Writer:
    """Commits units of work in one thread, by the transactions of a backend; `ended` is told, on
    the loop, what became of each unit."""

    def __init__(
        self, backend: Backend, transactions: Transactions, ended: Callable[[WriteResult], None]
    ) -> None:
        self._backend = backend
        self._transactions = transactions
        self._ended = ended
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._turns = WriteQueue()
        self._lock = threading.Lock()
        self._busy = False

    def add(self, unit: Unit) -> None:
        """Do it as soon as it is its turn, and settle its future with the outcome."""
        with self._lock:
            self._turns.add(unit)
            if self._busy:
                return
            self._busy = True
        # Not at once: whatever else the loop has to do now may bring more for the same commit. By
        # the loop, as all work in threads: a simulation carries it out at a moment of its own.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.run_in_executor, self._thread, self._work_off)

    def close(self) -> None:
        """Do what waits, and end. Blocks until then; to be called from beside the loop."""
        self._thread.shutdown()
        self._transactions.dispose()

    def _work_off(self) -> None:
        while True:
            with self._lock:
                units = self._turns.take()
                self._busy = bool(units)
            if not units:
                return
            began = time.monotonic()
            outcomes = self._commit(units)
            units[0].completion.get_loop().call_soon_threadsafe(self._notify, outcomes)
            if len(units) >= CROWD:
                time.sleep(max(0.0, began + GATHER_SECONDS - time.monotonic()))

    def _commit(self, units: Sequence[Unit]) -> list[WriteResult]:
        """Whatever goes wrong, nobody is left waiting."""
        jobs: dict[BatchWork, list[Unit]] = {}
        for unit in units:
            jobs.setdefault(unit.work, []).append(unit)
        try:
            self._backend.check()
            outcomes = self._carry_out(list(jobs.items()))
        except Exception as error:
            return [WriteResult(unit, None, error) for unit in units]
        return self._confirmed(outcomes) if any(unit.safe for unit in units) else outcomes

    def _confirmed(self, outcomes: list[WriteResult]) -> list[WriteResult]:
        """What is in a file that nobody will find again is not safe."""
        try:
            self._backend.check()
        except StoreFailure as lost:
            return [
                WriteResult(x.unit, None, x.error or lost) if x.unit.safe else x for x in outcomes
            ]
        return outcomes

    def _carry_out(self, jobs: Sequence[Job]) -> list[WriteResult]:
        """Raises what kept a transaction from beginning; that was nobody's fault."""
        alone = [(work, [unit]) for work, units in jobs for unit in units]
        tries = 0
        while len(alone) > 1:
            tries += 1
            try:
                return self._together(jobs)
            except _Undone as undone:
                cause = undone.__cause__
                if tries < MOST_TRIES and cause and self._backend.worth_repeating(cause):
                    continue
                # A disk that has no room for one of them may have some for another.
                break
        outcomes: list[WriteResult] = []
        for done, job in enumerate(alone):
            outcomes += self._alone(job)
            error = outcomes[-1].error
            if error is not None and self._backend.out_of_reach(error):
                # The others need not wait for the same, one after the other.
                rest = [unit for _, units in alone[done + 1 :] for unit in units]
                return [*outcomes, *(WriteResult(unit, None, error) for unit in rest)]
        return outcomes

    def _together(self, jobs: Sequence[Job]) -> list[WriteResult]:
        """All in one transaction. Raises _Undone if that cannot be, and OutcomeUnknown."""
        outcomes: list[WriteResult] = []
        begun = False
        try:
            with self._transactions.begin() as connection:
                begun = True
                for job in jobs:
                    outcomes += self._within_savepoint(connection, job)
        except SQLAlchemyError as error:
            if not begun:
                raise
            raise _Undone from error
        return outcomes

    def _within_savepoint(self, connection: Connection, job: Job) -> list[WriteResult]:
        work, units = job
        try:
            with connection.begin_nested():
                return _results(connection, job)
        except Exception as error:
            if self._backend.undone(connection):
                raise _Undone from error
            if len(units) > 1:  # one of them is at fault, and the others are not
                alone = ((work, [unit]) for unit in units)
                return [x for one in alone for x in self._within_savepoint(connection, one)]
            return _failed(job, error)

    def _alone(self, job: Job) -> list[WriteResult]:
        tries = 0
        while True:
            tries += 1
            try:
                with self._transactions.begin() as connection:
                    return _results(connection, job)
            except Exception as error:
                if tries < MOST_TRIES and self._backend.worth_repeating(error):
                    continue
                return _failed(job, error)

    def _notify(self, outcomes: Sequence[WriteResult]) -> None:
        loop = asyncio.get_running_loop()
        for outcome in outcomes[:UNITS_AT_ONCE]:
            loop.call_soon(self._ended, outcome)  # apart, so that no defect keeps others waiting
        if len(outcomes) > UNITS_AT_ONCE:
            loop.call_soon(self._notify, outcomes[UNITS_AT_ONCE:])


def _results(connection: Connection, job: Job) -> list[WriteResult]:
    work, units = job
    results = work(connection, [unit.item for unit in units])
    return [
        WriteResult(unit, None, result)
        if isinstance(result, Exception)
        else WriteResult(unit, result)
        for unit, result in zip(units, results, strict=True)
    ]


def _failed(job: Job, error: Exception) -> list[WriteResult]:
    return [WriteResult(unit, None, error) for unit in job[1]]
