"""The files of one database: whether they are still those that were opened, and the marker that
tells a first start from a store that is missing.

Looked at by `stat` alone. To open and close such a file would free every lock that this process
holds on it: POSIX gives them up with the first close, whichever descriptor took them.
"""

from __future__ import annotations

import os
from pathlib import Path

from daemon.adapters.store.file_modes import private_file
from daemon.core.ports.store import StoreDown
from daemon.core.values.outcome import Permanent

COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside a database while it is open."""


def companion(path: Path, suffix: str) -> Path:
    """The file that is called like the database with something after it."""
    return path.with_name(path.name + suffix)


def marker(path: Path) -> Path:
    """Says that there was a store at this path."""
    return companion(path, ".made")


def mark_made(path: Path) -> None:
    """Leave the marker. Raises Permanent if that is not possible."""
    if not marker(path).exists():  # it may be another user's, who restored the store
        os.close(private_file(marker(path)))


def note_where(beside: Path, place: str) -> None:
    """Leave a marker that tells of a store on a server. Raises Permanent if that cannot be."""
    handle = private_file(marker(beside))
    try:
        os.truncate(handle, 0)
        os.pwrite(handle, place.encode(), 0)
    finally:
        os.close(handle)


def noted_where(beside: Path) -> str:
    """Where the store on a server was that the marker tells of; empty if there is none."""
    try:
        return marker(beside).read_text(encoding="utf-8")
    except OSError:
        return ""


def must_not_be_missing(path: Path, *, is_empty: bool = False) -> None:
    """Raises StoreDown if there was a store at this path, and is none or an empty one.

    An empty one in its place would look well, and everything would be forgotten.
    """
    there = path.exists() and path.stat().st_size > 0 and not is_empty
    if not there and marker(path).exists():
        raise StoreDown(
            "gone",
            f"the store {path} is {'empty' if path.exists() else 'not there'}, and there was one "
            f"({marker(path)} says so); mount its disk or put it back, or `stopgap store restore` "
            "a backup. Only `stopgap run --new-store` begins anew, and forgets every incident",
        )


def begin_anew(path: Path) -> None:
    """Let a store be made where an earlier one is missing; what is left of it is set aside.

    Raises Permanent if one is there: nobody means to forget that.
    """
    if path.exists() and path.stat().st_size > 0:
        raise Permanent(
            f"there is a store at {path}, so --new-store was refused; start without it, or move "
            "that file away first"
        )
    set_aside(path)
    marker(path).unlink(missing_ok=True)


def set_aside(path: Path) -> Path | None:
    """Rename the files of a database that nobody has open; returns its new name, None if it was
    not there. Together they stay a database that can be opened. Raises OSError."""
    number = 1
    while any(companion(path, f".old-{number}{suffix}").exists() for suffix in ("", *COMPANIONS)):
        number += 1
    aside = companion(path, f".old-{number}")
    there = path.exists()
    # The database goes first: without its log it must not be found here, if this is interrupted.
    for suffix in ("", *COMPANIONS):
        if companion(path, suffix).exists():
            companion(path, suffix).rename(companion(aside, suffix))
    return aside if there else None


class Files:
    """The files behind the open connections of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: dict[Path, tuple[int, int]] = {}

    def remember(self) -> None:
        """From now on, the files are to be those that are there now."""
        names = (self._path, *(companion(self._path, suffix) for suffix in COMPANIONS))
        found = {name: _identity(name) for name in names}
        self._opened = {name: identity for name, identity in found.items() if identity}

    def lost(self) -> str:
        """What is not as it was opened, and the mend; empty if all is."""
        for name, opened in self._opened.items():
            found = _identity(name)
            if found != opened:
                return self._sentence(name, moved=found is None)
        return ""

    def check(self) -> None:
        """Raises StoreDown if they are not those that were opened."""
        lost = self.lost()
        if lost:
            raise StoreDown("gone", lost)

    def _sentence(self, name: Path, *, moved: bool) -> str:
        if name != self._path:
            return (
                f"{name} was removed or replaced while the daemon works with it; stop the daemon "
                "with SIGTERM, not kill -9: on its way out it writes what that file held into "
                f"{self._path}; then start it again"
            )
        if moved:
            return (
                f"{name} is not there any more: it was moved or deleted while the daemon works "
                "with it; put that very file back and all goes on, or stop the daemon and "
                "`stopgap store restore` a backup"
            )
        return (
            f"{name} is another file than the one that the daemon has opened; put that one back, "
            "or stop the daemon and `stopgap store restore` the one that is meant"
        )


def _identity(name: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino
