"""The one writer: whatever waits together is committed together.

A disk can sync only so often a second, so what arrives during one commit shares the next, and so
does what arrives while other replicas write. What one of them raises takes back that one alone:
then all are done anew, each work with a savepoint of its own. Nobody is told before the commit is
on disk.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store.backend import Backend, Transactions
from daemon.adapters.store.statements import before_commit
from daemon.adapters.store.turns import MOST_AT_ONCE, BatchWork, Unit, WriteQueue
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
    """All of a transaction is undone, and not only the part that failed. `by_database`: it was the
    database that did so, or it failed at the COMMIT."""

    def __init__(self, cause: Exception, *, by_database: bool) -> None:
        super().__init__(cause)
        self.cause = cause
        self.by_database = by_database


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

    def _commit(self, units: list[Unit]) -> list[WriteResult]:
        """Whatever goes wrong, nobody is left waiting: neither these nor those that join them."""
        try:
            self._backend.check()
            outcomes = self._carry_out(units)
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

    def _carry_out(self, units: list[Unit]) -> list[WriteResult]:
        """What came of these, and of those that join them. Raises what kept a transaction from
        beginning; that was nobody's fault."""
        tries, apart = 0, False
        while True:
            tries += 1
            try:
                return self._together(units, apart=apart)
            except _Undone as undone:
                repeated = tries < MOST_TRIES and self._backend.worth_repeating(undone.cause)
                if len(units) == 1 and not repeated:
                    return _failed((units[0].work, units), undone.cause)
                if repeated:
                    continue
                if apart or undone.by_database:
                    # A disk that has no room for one of them may have some for another.
                    return self._one_by_one(units)
                apart = True

    def _together(self, units: list[Unit], *, apart: bool) -> list[WriteResult]:
        """All in one transaction, with those that came while it had to wait for its turn; `apart`:
        with savepoints. Raises _Undone if that cannot be, and OutcomeUnknown."""
        outcomes: list[WriteResult] = []
        begun = False
        try:
            with self._transactions.begin() as connection:
                begun = True
                with self._lock:
                    units += self._turns.take(MOST_AT_ONCE - len(units))
                *jobs, last = _jobs(units)
                within = self._within_savepoint if apart else self._within_transaction
                for job in jobs:
                    outcomes += within(connection, job)
                with nullcontext() if apart else before_commit(connection):
                    outcomes += within(connection, last)
        except SQLAlchemyError as error:
            if not begun:
                raise
            raise _Undone(error, by_database=True) from error
        return outcomes

    def _within_transaction(self, connection: Connection, job: Job) -> list[WriteResult]:
        try:
            return _results(connection, job)
        except Exception as error:
            undone = isinstance(error, SQLAlchemyError) and self._backend.undone(connection)
            raise _Undone(error, by_database=undone) from error

    def _one_by_one(self, units: Sequence[Unit]) -> list[WriteResult]:
        """Each in a transaction of its own."""
        outcomes: list[WriteResult] = []
        for done, unit in enumerate(units, start=1):
            outcomes += self._alone((unit.work, [unit]))
            error = outcomes[-1].error
            if error is not None and self._backend.out_of_reach(error):
                # The others need not wait for the same, one after the other.
                return [*outcomes, *(WriteResult(unit, None, error) for unit in units[done:])]
        return outcomes

    def _within_savepoint(self, connection: Connection, job: Job) -> list[WriteResult]:
        work, units = job
        try:
            with connection.begin_nested():
                return _results(connection, job)
        except Exception as error:
            if self._backend.undone(connection):
                raise _Undone(error, by_database=True) from error
            if len(units) > 1:  # one of them is at fault, and the others are not
                alone = ((work, [unit]) for unit in units)
                return [x for one in alone for x in self._within_savepoint(connection, one)]
            return _failed(job, error)

    def _alone(self, job: Job) -> list[WriteResult]:
        tries = 0
        while True:
            tries += 1
            try:
                with self._transactions.begin() as connection, before_commit(connection):
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


def _jobs(units: Sequence[Unit]) -> list[Job]:
    """The units of the same work together, in the order that the first of each came in."""
    jobs: dict[BatchWork, list[Unit]] = {}
    for unit in units:
        jobs.setdefault(unit.work, []).append(unit)
    return list(jobs.items())


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
