"""Check, back up and restore the file of a store: the work behind `stopgap store`."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError

from daemon.adapters.store.auditing import audit_journal
from daemon.adapters.store.database import Database
from daemon.adapters.store.files import COMPANIONS, companion, mark_made, set_aside
from daemon.adapters.store.journal import SqlJournal
from daemon.adapters.store.ledger import Ledger
from daemon.adapters.store.open_store import backend_for
from daemon.adapters.store.place import StorePlace
from daemon.adapters.store.process_lock import held, held_itself
from daemon.adapters.store.schema import SCHEMA
from daemon.adapters.store.sqlite import SqliteBackend, explained
from daemon.adapters.store.tables import bring_up, must_exist, must_not_have_moved, version_of
from daemon.core.ports.store import StoreDamaged
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.seal import Keyring

NO_KEYS = Keyring()
"""For a journal whose digests are not keyed."""


async def check_store(place: StorePlace, keyring: Keyring = NO_KEYS) -> list[str]:
    """What is wrong with the database, one sentence each: every page, row and index is read (of
    PostgreSQL every row), and every incident's chain followed. Empty if it is whole. It works
    beside running daemons.

    Raises Permanent if there is no such store, Temporary if it cannot be read now.
    """
    if isinstance(place, Path):
        must_exist(place)
    async with _opened(place, readonly=True) as database:
        return await _findings(database, place, keyring)


async def backup_store(path: Path, target: Path, keyring: Keyring = NO_KEYS) -> None:
    """Copy the store to a new file, as it is at one moment, and check the copy.

    It works beside a running daemon, which goes on writing. Raises Permanent if there is a target
    already, or what was copied is not whole (then there is no target), or the store has moved to
    another place, which alone is worth a backup; Temporary if the disk fails.
    """
    must_exist(path)
    _must_be_free(target)
    async with _opened(path, readonly=True) as database:
        await database.read(partial(must_not_have_moved, path))
    with _beside(target) as part:
        await asyncio.to_thread(_copy, path, part)
        await _must_be_whole(part, path, keyring)
        _put_in_place(part, target)


async def restore_store(path: Path, source: Path, keyring: Keyring = NO_KEYS) -> Path | None:
    """Put the backup `source` in the place of the store; returns the new name of what was there.

    The copy is checked before anything is touched, and brought up to this version. Raises
    Permanent if a daemon runs on the store, or the backup is not whole or not ours; Temporary if
    the disk fails. After either the store is as it was.
    """
    must_exist(source)
    _must_be_another(source, path)
    with held(path) as path, _nobody_by_another_name(path), _beside(path) as part:
        await asyncio.to_thread(_copy, source, part)
        await _must_be_whole(part, source, keyring)
        await asyncio.to_thread(_bring_up, part, source)
        await _must_be_whole(part, source, keyring)
        try:
            _belong(part, path)
            aside = set_aside(path)
        except OSError as error:
            raise Temporary(f"cannot rename {path}: {error.strerror}") from error
        _put_in_place(part, path)
        mark_made(path)
        return aside


@contextmanager
def _nobody_by_another_name(path: Path) -> Iterator[None]:
    """Hold the file that is to be replaced, if there is one."""
    if not path.exists():
        yield
        return
    with held_itself(path):
        yield


def _must_be_free(target: Path) -> None:
    if target.exists():
        raise Permanent(f"there is a {target} already; name another file")


def _must_be_another(source: Path, path: Path) -> None:
    if path.exists() and source.samefile(path):
        raise Permanent(f"{source} is the store itself; name a backup of it")


async def _must_be_whole(copy: Path, original: Path, keyring: Keyring) -> None:
    async with _opened(copy, readonly=True) as database:
        found = await _findings(database, original, keyring)
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise Permanent(
            f"{original} is not whole, so it was not copied: {found[0]}{more}; `stopgap store "
            f"check {original}` lists all"
        )


async def _findings(database: Database, place: StorePlace, keyring: Keyring) -> list[str]:
    """What is wrong with it. The chains are followed in tables of today's schema alone."""
    try:
        found = await database.read(database.backend.integrity_check)
        if found or await database.read(partial(version_of, place)) < SCHEMA:
            return found
        audited = await audit_journal(SqlJournal(database, Ledger(keyring)))
        return [str(found) for found in audited.breaks]
    except StoreDamaged as error:
        return [str(error)]


@asynccontextmanager
async def _opened(place: StorePlace, *, readonly: bool) -> AsyncIterator[Database]:
    database = Database(backend_for(place), readonly=readonly)
    try:
        yield database
    finally:
        await database.close()


def _bring_up(part: Path, source: Path) -> None:
    backend = SqliteBackend(part)
    try:
        with backend.changing_tables() as connection:
            bring_up(source, connection)
    except SQLAlchemyError as error:
        raise backend.translated(error) from error


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A file for our eyes alone on the same disk, which is gone afterwards unless it was moved."""
    try:
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise Permanent(
            f"cannot write in {target.parent}: {error.strerror}; make that folder, or let this "
            "user write there"
        ) from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        for suffix in ("", *COMPANIONS):
            companion(part, suffix).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """SQLite's online backup, in one step: it reads one snapshot. In several steps it would begin
    anew whenever the daemon has written in between, and perhaps never end."""
    uri = f"file:{quote(str(source))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(uri, uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=-1)
            there.execute("PRAGMA journal_mode = DELETE")  # one file, that can be carried away
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        raise explained(error, target if full else source) from error


def _put_in_place(part: Path, target: Path) -> None:
    """Give it its name, once it is on disk. Raises Temporary."""
    try:
        _synced(part)
        part.rename(target)
        _synced(target.parent)
    except OSError as error:
        raise Temporary(f"cannot write {target}: {error.strerror}") from error


def _belong(part: Path, path: Path) -> None:
    """Give it to whom the store belongs: root restores it, and the daemon's user opens it."""
    if os.geteuid() == 0:
        owner = (path if path.exists() else path.parent).stat()
        os.chown(part, owner.st_uid, owner.st_gid)


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
