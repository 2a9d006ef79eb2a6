"""Transactions: one writer at a time, readers beside it, each carried to its end.

A transaction is plain synchronous code in a thread: one leap out of the event loop and back for
all of it, where an asynchronous driver leaps with every statement.

A cancelled caller leaves a transaction either committed or not begun to count, never half; so
the transaction is awaited to its end first, and the cancellation is passed on after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store import sqlite
from daemon.adapters.store.files import Files
from daemon.core.ports.store import StoreFailure
from daemon.core.values.outcome import Permanent, Temporary

T = TypeVar("T")
Work = Callable[[Connection], T]
"""What is done inside a transaction; whatever it raises rolls everything back."""
Kind = Literal["read", "write"]
Listener = Callable[[Kind, float, bool], None]
"""Hears of every transaction: its kind, the seconds from the call to its end, and whether the
database did it."""
FailureListener = Callable[[Kind, StoreFailure], None]
"""Hears of every transaction that failed for the store's own sake."""


async def to_its_end(work: Coroutine[Any, Any, T], name: str) -> T:
    """Await the work even if we are cancelled meanwhile; the cancellation is raised after it.

    For work that ends by itself soon: a transaction waits no longer than SQLite's busy timeout.
    """
    task = asyncio.create_task(work, name=name)
    interrupted: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # marks it as seen; the caller is gone and cannot be told
    raise interrupted


class Database:
    """The database of one store. Raises Temporary or Permanent where SQLAlchemy would its own."""

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self.path = path
        self.files = Files(path)
        self._reader = sqlite.reading_engine(path)
        self._writer = None if readonly else sqlite.writing_engine(path)
        self._reading = ThreadPoolExecutor(sqlite.READERS, thread_name_prefix="store-read")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._closed = False
        self.listeners: list[Listener] = []
        self.failures: list[FailureListener] = []

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot."""
        transaction = partial(_transact, self.files, self._reader, work)
        reading = self._transaction("read", self._reading, transaction)
        return await to_its_end(reading, "store-read")

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a write transaction; when this returns, it is on disk."""
        return await to_its_end(self._write(work), "store-write")

    async def write_to_acknowledge(self, work: Work[T]) -> T:
        """Like `write`, for what somebody is told to be safe: when this returns, it is in a file
        that is still where the next start looks for it. For a task that nobody cancels."""
        return await self._write(work, acknowledged=True)

    async def _write(self, work: Work[T], *, acknowledged: bool = False) -> T:
        if self._writer is None:
            raise Permanent(f"{self.path} was opened for reading only")
        run = _acknowledged if acknowledged else _transact
        transaction = partial(run, self.files, self._writer, work)
        return await self._transaction("write", self._writing, transaction)

    async def forget_pages(self) -> None:
        """Let what follows read the disk again. A page that was read damaged stays so in the
        memory of its connection, even after the disk has been mended."""
        if self._writer is not None:
            await self.write(lambda c: c.exec_driver_sql("PRAGMA shrink_memory"))
        await asyncio.to_thread(self._reader.dispose)  # those in use end with their transaction

    async def close(self) -> None:
        """Close every connection, after what is under way."""
        self._closed = True
        for threads, engine in ((self._reading, self._reader), (self._writing, self._writer)):
            await asyncio.to_thread(threads.shutdown)
            if engine is not None:
                engine.dispose()

    async def _transaction(
        self, kind: Kind, threads: ThreadPoolExecutor, transaction: Callable[[], T]
    ) -> T:
        if self._closed:
            raise Temporary(f"the store {self.path} is closed; the daemon is stopping")
        loop = asyncio.get_running_loop()
        began, done = loop.time(), True
        try:
            return await loop.run_in_executor(threads, transaction)
        except SQLAlchemyError as error:
            done = False
            raise self._heard(kind, sqlite.translated(error, self.path)) from error
        except StoreFailure as failure:
            done = False
            raise self._heard(kind, failure) from None
        finally:
            for listener in self.listeners:
                listener(kind, loop.time() - began, done)

    def _heard(self, kind: Kind, error: Exception) -> Exception:
        if isinstance(error, StoreFailure):
            for listener in self.failures:
                listener(kind, error)
        return error


def _transact(files: Files, engine: Engine, work: Work[T]) -> T:
    files.check()
    with engine.begin() as connection:
        return work(connection)


def _acknowledged(files: Files, engine: Engine, work: Work[T]) -> T:
    done = _transact(files, engine, work)
    files.check()  # what is in a file that nobody will find again is not safe
    return done
