"""Transactions: one writer at a time, readers beside it, each carried to its end.

A cancelled caller leaves a transaction either committed or not begun to count, never half; so
the transaction is awaited to its end first, and the cancellation is passed on after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from daemon.adapters.store import sqlite
from daemon.core.outcome import Permanent, Temporary

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
"""What is done inside a transaction; whatever it raises rolls everything back."""


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
        self._reader = sqlite.reading_engine(path)
        self._writer = None if readonly else sqlite.writing_engine(path)
        self._lock = asyncio.Lock()
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one consistent snapshot."""
        return await to_its_end(self._transaction(self._reader, work), "store-read")

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a write transaction; when this returns, it is on disk."""
        return await to_its_end(self.write_here(work), "store-write")

    async def write_here(self, work: Work[T]) -> T:
        """Like `write`, for a task that nobody cancels: it saves the shielding."""
        if self._writer is None:
            raise Permanent(f"{self.path} was opened for reading only")
        async with self._lock:
            return await self._transaction(self._writer, work)

    async def close(self) -> None:
        """Close every connection, after the write that is under way."""
        self._closed = True
        async with self._lock:
            await self._reader.dispose()
            if self._writer is not None:
                await self._writer.dispose()

    async def _transaction(self, engine: AsyncEngine, work: Work[T]) -> T:
        if self._closed:  # an engine that was disposed of would silently connect anew
            raise Temporary(f"the store {self.path} is closed; the daemon is stopping")
        try:
            async with engine.begin() as connection:
                return await work(connection)
        except SQLAlchemyError as error:
            raise sqlite.translated(error, self.path) from error
