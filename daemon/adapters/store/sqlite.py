"""All that is SQLite's own: how to connect, how a write begins, and what its errors mean.

Its sibling is `postgresql`; the other modules of the store are plain SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from daemon.adapters.store.backend import BackendKind
from daemon.adapters.store.files import Files, begin_anew, mark_made, must_not_be_missing
from daemon.adapters.store.process_lock import held, held_itself
from daemon.adapters.store.tables import must_exist, prepare_tables
from daemon.core.ports.store import Fault, StoreDamaged, StoreDown
from daemon.core.values.outcome import Permanent, Temporary

BUSY_SECONDS = 5
"""How long a write waits for another process (a backup, a shell) that holds the file."""

CHECKED_AT_START = 256 << 20
"""Bytes up to which a database is read through at the start: a fifth of a second, or a few on a
slow disk. Beyond that only `stopgap store check` does it."""

_READERS = 4
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FAULTS = {
    sqlite3.SQLITE_BUSY: f"is held by another program for more than {BUSY_SECONDS} s; "
    "end the backup or shell that works on it",
    sqlite3.SQLITE_LOCKED: "is locked by another statement; it is tried again",
    sqlite3.SQLITE_NOMEM: "could not be worked on, for memory has run out; free some",
    sqlite3.SQLITE_READONLY: "cannot be written; mount its disk for writing, or give this user "
    "the right to",
    sqlite3.SQLITE_IOERR: "met an I/O error; look at its disk and the kernel's log",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; look at its rights and the number of open files",
}


_OF_THE_STORE: Mapping[int, Fault] = {
    sqlite3.SQLITE_BUSY: "held",
    sqlite3.SQLITE_READONLY: "unwritable",
    sqlite3.SQLITE_IOERR: "failing",
    sqlite3.SQLITE_CANTOPEN: "unwritable",
}
"""Those that say something of the store as a whole, and not of one moment."""
_MOST_FINDINGS = 10


class SqliteBackend:
    """`daemon.adapters.store.backend.Backend` on one file."""

    kind: BackendKind = "sqlite"
    readers = _READERS

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside: Path | None = path
        self.files = Files(path)

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def opened(self, *, new: bool, readonly: bool) -> Iterator[SqliteBackend]:
        """Its real path, held against other daemons unless it is only read."""
        if readonly:
            must_exist(self.path)
            yield self
            return
        with ExitStack() as stack:
            path = stack.enter_context(held(self.path))
            if new:
                begin_anew(path)
            must_not_be_missing(path)
            stack.enter_context(held_itself(path))
            yield SqliteBackend(path)

    def prepare(self) -> None:
        """Make the tables in an empty file; bring those of any other up to today's."""
        with self.changing_tables() as connection:
            prepare_tables(connection, self, lambda: must_not_be_missing(self.path, is_empty=True))
        mark_made(self.path)

    @contextmanager
    def changing_tables(self) -> Iterator[Connection]:
        """A transaction that tables may be changed in, as alembic does it."""
        transactions = self._writing(foreign_keys=False)
        try:
            with transactions.begin() as connection:
                yield connection
        finally:
            transactions.dispose()

    def remember(self, connection: Connection) -> None:
        """Its files are there now, the log of an open connection too."""
        self.files.remember()

    def check(self) -> None:
        """Raises StoreDown if its files are not those that were opened."""
        self.files.check()

    def lost(self) -> str:
        """Which file is not as it was opened."""
        return self.files.lost()

    def reading(self) -> SqliteTransactions:
        """On a few connections that cannot write; WAL lets them read beside the writer."""
        url = URL.create(
            "sqlite",
            database=f"file:{quote(str(self.path))}",
            query={"mode": "ro", "uri": "true"},
        )
        return SqliteTransactions(_engine(url, {"query_only": "ON"}, "BEGIN", self.readers))

    def writing(self) -> SqliteTransactions:
        """On one connection, on which every transaction is a write from its first statement on."""
        return self._writing(foreign_keys=True)

    def _writing(self, *, foreign_keys: bool) -> SqliteTransactions:
        pragmas = {"journal_mode": "WAL", "synchronous": "FULL"}
        pragmas["foreign_keys"] = "ON" if foreign_keys else "OFF"
        url = URL.create("sqlite", database=str(self.path))
        return SqliteTransactions(_engine(url, pragmas, "BEGIN IMMEDIATE", 1))

    def taking(self) -> None:
        """None: SQLite has one writer."""

    def undone(self, connection: Connection) -> bool:
        """SQLite answers some faults by taking back the whole transaction, and would then commit
        each further statement by itself."""
        return not getattr(connection.connection.dbapi_connection, "in_transaction", False)

    def worth_repeating(self, error: BaseException) -> bool:
        """Never: it has waited for others already."""
        return False

    def out_of_reach(self, error: BaseException) -> bool:
        """Never: each transaction finds out for itself."""
        return False

    def translated(self, error: SQLAlchemyError) -> Temporary | Permanent:
        """The failure as the stages know it, in a sentence that names the file and the mend."""
        if isinstance(error, PoolTimeout):
            text = f"{self.path}: no connection became free; too much is being read at once"
            return Temporary(text)
        return explained(error.orig if isinstance(error, DBAPIError) else error, self.path)

    def damaged(self, finding: str) -> str:
        """What to do about a damaged database, in a sentence."""
        return _damaged(self.path, finding)

    def is_small(self) -> bool:
        """By the size of its file."""
        return self.path.stat().st_size <= CHECKED_AT_START

    def quick_check(self, connection: Connection) -> list[str]:
        """What is wrong with the pages and rows; it reads all of them, but does not compare
        indexes with their tables."""
        return _findings(connection, "quick_check")

    def integrity_check(self, connection: Connection) -> list[str]:
        """Likewise, indexes and all."""
        return _findings(connection, "integrity_check")

    def touch(self, connection: Connection) -> None:
        """Change the number that SQLite leaves to its users; nothing reads it."""
        now = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        connection.exec_driver_sql(f"PRAGMA user_version = {(now + 1) % 1000}")

    def forget_pages(self, connection: Connection) -> None:
        """A page that was read damaged stays so in the memory of its connection, even after the
        disk has been mended."""
        connection.exec_driver_sql("PRAGMA shrink_memory")


class SqliteTransactions:
    """`daemon.adapters.store.backend.Transactions` of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: on disk when this ends well."""
        with self.engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close the connections that nobody uses."""
        self.engine.dispose()


def explained(cause: BaseException | None, path: Path) -> Temporary | Permanent:
    """What sqlite3 raises, as `translated` has it."""
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary code
    if code == sqlite3.SQLITE_FULL:
        text = f"the disk of {path} is full; free some space: nothing was acknowledged ({cause})"
        return StoreDown("full", text)
    if code in _FAULTS:
        text = f"{path} {_FAULTS[code]}: nothing was acknowledged ({cause})"
        fault = _OF_THE_STORE.get(code)
        return Temporary(text) if fault is None else StoreDown(fault, text)
    if code in _BROKEN:
        return StoreDamaged("damaged", _damaged(path, str(cause)))
    return Permanent(f"{path}: the database refused a statement: {cause}")


def _damaged(path: Path, finding: str) -> str:
    return (
        f"{path} is damaged or no SQLite database ({finding}); `stopgap store check` looks through "
        "it; stop the daemon and `stopgap store restore` a backup"
    )


def _findings(connection: Connection, pragma: str) -> list[str]:
    findings = connection.exec_driver_sql(f"PRAGMA {pragma}({_MOST_FINDINGS})").scalars().all()
    return (
        [] if findings == ["ok"] else [line for text in findings for line in str(text).splitlines()]
    )


def _engine(url: URL, pragmas: dict[str, str], begin: str, pool_size: int) -> Engine:
    # isolation_level None: sqlite3 would otherwise begin by itself, late and DEFERRED, and a
    # transaction that reads first and writes later can fail with "database is locked".
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS},
        pool_size=pool_size,
        max_overflow=0,
        pool_reset_on_return=None,  # every use is one transaction that has ended by itself
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for name, value in pragmas.items():
            cursor.execute(f"PRAGMA {name} = {value}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
