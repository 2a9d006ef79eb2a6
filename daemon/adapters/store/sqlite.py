"""All that is SQLite's own: how to connect, how a write begins, and what its errors mean.

The other modules of the store are plain SQL; PostgreSQL needs a sibling of this one only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from daemon.core.ports.store import Fault, StoreDamaged, StoreDown
from daemon.core.values.outcome import Permanent, Temporary

__all__ = [
    "BUSY_SECONDS",
    "READERS",
    "damaged",
    "explained",
    "insert",
    "integrity_check",
    "portions",
    "quick_check",
    "reading_engine",
    "translated",
    "writing_engine",
]

BUSY_SECONDS = 5
"""How long a write waits for another process (a backup, a shell) that holds the file."""

READERS = 4
"""Reads at the same time."""
_VALUES = 1000  # in one IN (…): databases bound the parameters of a statement
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


def writing_engine(path: Path) -> Engine:
    """One connection, on which every transaction is a write from its first statement on."""
    return _engine(
        URL.create("sqlite", database=str(path)),
        {"journal_mode": "WAL", "synchronous": "FULL", "foreign_keys": "ON"},
        "BEGIN IMMEDIATE",
        pool_size=1,
    )


def reading_engine(path: Path) -> Engine:
    """A few connections that cannot write; WAL lets them read beside the writer."""
    url = URL.create(
        "sqlite",
        database=f"file:{quote(str(path))}",
        query={"mode": "ro", "uri": "true"},
    )
    return _engine(url, {"query_only": "ON"}, "BEGIN", pool_size=READERS)


def portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values in portions of which each fits into one statement."""
    for start in range(0, len(values), _VALUES):
        yield values[start : start + _VALUES]


def translated(error: SQLAlchemyError, path: Path) -> Temporary | Permanent:
    """The failure as the stages know it, in a sentence that names the file and the mend."""
    if isinstance(error, PoolTimeout):
        return Temporary(f"{path}: no connection became free; too much is being read at once")
    return explained(error.orig if isinstance(error, DBAPIError) else error, path)


def explained(cause: BaseException | None, path: Path) -> Temporary | Permanent:
    """Likewise, of what sqlite3 raises."""
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary code
    if code == sqlite3.SQLITE_FULL:
        text = f"the disk of {path} is full; free some space: nothing was acknowledged ({cause})"
        return StoreDown("full", text)
    if code in _FAULTS:
        text = f"{path} {_FAULTS[code]}: nothing was acknowledged ({cause})"
        fault = _OF_THE_STORE.get(code)
        return Temporary(text) if fault is None else StoreDown(fault, text)
    if code in _BROKEN:
        return StoreDamaged("damaged", damaged(path, str(cause)))
    return Permanent(f"{path}: the database refused a statement: {cause}")


def damaged(path: Path, finding: str) -> str:
    """What to do about a damaged database, in a sentence."""
    return (
        f"{path} is damaged or no SQLite database ({finding}); `stopgap store check` looks through "
        "it; stop the daemon and `stopgap store restore` a backup"
    )


def quick_check(connection: Connection) -> list[str]:
    """What is wrong with the pages and rows of the database; empty if it is sound. It reads all of
    it, but does not compare indexes with their tables."""
    return _findings(connection, "quick_check")


def integrity_check(connection: Connection) -> list[str]:
    """Likewise, indexes and all."""
    return _findings(connection, "integrity_check")


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
