"""Transactions: one writer, which commits many at once, and readers beside it.

A transaction is plain synchronous code in a thread: one leap out of the event loop and back for
all of it, where an asynchronous driver leaps with every statement.

A cancelled caller leaves a transaction either committed or not begun to count, never half; so
the transaction is awaited to its end first, and the cancellation is passed on after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store.backend import Backend, Transactions
from daemon.adapters.store.progress import Progress
from daemon.adapters.store.turns import Unit
from daemon.adapters.store.writer import Writer, WriteResult
from daemon.core.ports.store import StoreFailure
from daemon.core.ports.urgency import Urgency
from daemon.core.values.outcome import Permanent, Temporary

_T = TypeVar("_T")
_Item = TypeVar("_Item")
TransactionWork = Callable[[Connection], _T]
"""What is done inside a transaction; whatever it raises takes back all that it did. It must be
repeatable: the transaction may be undone for another's fault, and is then done anew."""
WorkOnMany = Callable[[Connection, list[_Item]], Sequence[_T | Exception]]
"""The same for many items at once. It returns the result of each, or an exception for one that
it has written nothing of; what it raises concerns all of them."""
UnitKind = Literal["read", "write"]
CommitListener = Callable[[UnitKind, float, bool], None]
"""Hears of every transaction: its kind, the seconds from the call to its end, and whether the
database did it."""
FailureListener = Callable[[UnitKind, StoreFailure], None]
"""Hears of every transaction that failed for the store's own sake."""


async def to_its_end(work: Coroutine[Any, Any, _T], name: str) -> _T:
    """Await the work even if we are cancelled meanwhile; the cancellation is raised after it.

    For work that ends by itself soon: no transaction waits without a bound.
    """
    return await _settled(asyncio.create_task(work, name=name))


async def _settled(future: asyncio.Future[_T]) -> _T:
    interrupted: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # marks it as seen; the caller is gone and cannot be told
    raise interrupted


class Database:
    """The database of one store. Raises Temporary or Permanent where SQLAlchemy would its own."""

    def __init__(self, backend: Backend, *, readonly: bool) -> None:
        self.backend = backend
        self._reader = backend.reading()
        self._reading = ThreadPoolExecutor(backend.readers, thread_name_prefix="store-read")
        self._writing = None if readonly else Writer(backend, backend.writing(), self._ended)
        taking = None if readonly else backend.taking()
        self._taking = self._writing if taking is None else Writer(backend, taking, self._ended)
        self._closed = False
        self.progress = Progress()
        self.listeners: list[CommitListener] = []
        self.failures: list[FailureListener] = []

    @property
    def place(self) -> str:
        """Where it is, for sentences."""
        return str(self.backend)

    async def read(self, work: TransactionWork[_T]) -> _T:
        """Run `work` on one consistent snapshot."""
        return await to_its_end(self._read(work), "store-read")

    async def write(self, work: TransactionWork[_T], urgency: Urgency = Urgency.NORMAL) -> _T:
        """Run `work` in a write transaction; when this returns, it is on disk."""

        def one(connection: Connection, _: list[None]) -> Sequence[_T]:
            return (work(connection),)

        return await _settled(self.submit(one, None, urgency))

    async def write_together(
        self, work: WorkOnMany[_Item, _T], item: _Item, urgency: Urgency = Urgency.NORMAL
    ) -> _T:
        """Like `write`, for one item; those that wait for the same `work` are done at once."""
        return await _settled(self.submit(work, item, urgency))

    def take(
        self, work: WorkOnMany[_Item, _T], item: _Item, urgency: Urgency
    ) -> asyncio.Future[_T]:
        """Like `write_together`, for what depends on nothing that others write at the same time:
        it does not wait for them where the database permits it.

        The future is settled whether anybody waits for it or not. Somebody outside is told that it
        is stored, so it must still be where the next start looks for it.
        """
        return self._submit(self._taking, work, item, urgency, safe=True)

    def submit(
        self, work: WorkOnMany[_Item, _T], item: _Item, urgency: Urgency
    ) -> asyncio.Future[_T]:
        """Like `write_together`. The future is settled whether anybody waits for it or not."""
        return self._submit(self._writing, work, item, urgency, safe=False)

    def _submit(
        self,
        writer: Writer | None,
        work: WorkOnMany[_Item, _T],
        item: _Item,
        urgency: Urgency,
        *,
        safe: bool,
    ) -> asyncio.Future[_T]:
        if writer is None:
            raise Permanent(f"{self.place} was opened for reading only")
        self._must_be_open()
        loop = asyncio.get_running_loop()
        completion: asyncio.Future[_T] = loop.create_future()
        self.progress.began("write")
        writer.add(Unit(work, item, urgency, completion, loop.time(), safe))
        return completion

    async def forget_pages(self) -> None:
        """Let what follows read the disk again. A page that was read damaged stays so in the
        memory of its connection, even after the disk has been mended."""
        if self._writing is not None:
            await self.write(self.backend.forget_pages)
        await asyncio.to_thread(self._reader.dispose)  # those in use end with their transaction

    async def close(self) -> None:
        """Close every connection, after what is under way."""
        self._closed = True
        await asyncio.to_thread(self._reading.shutdown)
        self._reader.dispose()
        for writer in filter(None, {self._writing, self._taking}):
            await asyncio.to_thread(writer.close)

    async def _read(self, work: TransactionWork[_T]) -> _T:
        self._must_be_open()
        loop = asyncio.get_running_loop()
        began, done = loop.time(), True
        self.progress.began("read")
        transaction = partial(_transact, self.backend, self._reader, work)
        try:
            return await loop.run_in_executor(self._reading, transaction)
        except SQLAlchemyError as error:
            done = False
            raise self._reported("read", self.backend.translated(error)) from error
        except StoreFailure as failure:
            done = False
            raise self._reported("read", failure) from None
        finally:
            self._listen("read", began, done)

    def _must_be_open(self) -> None:
        if self._closed:
            raise Temporary(f"the store {self.place} is closed; the daemon is stopping")

    def _ended(self, outcome: WriteResult) -> None:
        """Tell whoever waits for it, and the listeners."""
        unit, result, error = outcome
        fault = error
        if isinstance(error, SQLAlchemyError):
            fault = self.backend.translated(error)
            fault.__cause__ = error
        if fault is None:
            unit.completion.set_result(result)
        else:
            unit.completion.set_exception(self._reported("write", fault))
        self._listen("write", unit.came, not isinstance(error, SQLAlchemyError | StoreFailure))

    def _listen(self, kind: UnitKind, began: float, done: bool) -> None:
        self.progress.ended(kind)
        took = asyncio.get_running_loop().time() - began
        for listener in self.listeners:
            listener(kind, took, done)

    def _reported(self, kind: UnitKind, error: Exception) -> Exception:
        if isinstance(error, StoreFailure):
            for listener in self.failures:
                listener(kind, error)
        return error


def _transact(backend: Backend, reader: Transactions, work: TransactionWork[_T]) -> _T:
    backend.check()
    try:
        with reader.begin() as connection:
            done = work(connection)
    except SQLAlchemyError as error:
        if not backend.worth_repeating(error):
            raise
        with reader.begin() as connection:
            done = work(connection)
    backend.check()  # what is in a file that nobody will find again is not stored
    return done
