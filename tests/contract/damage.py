"""Harm done to a store's files, as disks and people do it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from daemon.adapters.store.database import Database
from daemon.adapters.store.sqlite import SqliteTransactions

PAGE = 4096


def settled(path: Path) -> None:
    """Bring all that is in the log into the database itself, where it can be damaged."""
    with closing(sqlite3.connect(path)) as shell:
        busy, *_ = shell.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy


def damage(path: Path, needle: bytes) -> None:
    """Overwrite the page that holds this text; `settled` it must be."""
    found = path.read_bytes().find(needle)
    assert found > PAGE, "the text is in no page of the database"
    with path.open("r+b") as file:
        file.seek(found - found % PAGE)
        file.write(b"\xa5" * PAGE)


def beside(path: Path, suffix: str) -> Path:
    """A file that is called like the database with something after it."""
    return path.with_name(path.name + suffix)


def copy_of(path: Path) -> bytes:
    """What is in it."""
    return path.read_bytes()


def put_back(path: Path, content: bytes) -> None:
    """Write that into the very same file."""
    with path.open("r+b") as file:
        file.write(content)


def move(path: Path, to: Path) -> None:
    """Rename it."""
    path.rename(to)


def delete(path: Path, *, leave: bool = False) -> None:
    """Remove it; `leave` an empty one."""
    path.unlink()
    if leave:
        path.touch()


def holds_something(path: Path) -> bool:
    """Whether there is a file with anything in it."""
    return path.exists() and path.stat().st_size > 0


def engine_of(database: Database) -> Engine:
    """What its writer works with."""
    assert database._writing is not None
    transactions = database._writing._transactions
    assert isinstance(transactions, SqliteTransactions)
    return transactions.engine
