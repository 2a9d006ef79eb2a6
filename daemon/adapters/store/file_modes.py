"""Who may read the store: its own user alone, whatever the umask is and whatever was before.

The keys that sign links are in the database, and every notification that came: whoever reads it
can answer a page in anybody's name. SQLite gives its side files the mode of the database.
"""

from __future__ import annotations

import glob
import os
import stat
from contextlib import suppress
from pathlib import Path

import structlog

from daemon.core.values.outcome import Permanent

FILE, FOLDER = 0o600, 0o700
"""The modes of what we make."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_log = structlog.get_logger()


def private_file(path: Path) -> int:
    """Open for reading and writing, made if it is not there; returns the descriptor, which no
    child inherits. Raises Permanent with the mend.

    What root makes by a command belongs to the folder's owner, or the daemon could not open it.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE)
        owner, made = path.parent.stat(), os.fstat(handle)
        if made.st_uid == 0 != owner.st_uid and made.st_size == 0:
            os.fchown(handle, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise Permanent(
            f"cannot open {path}: {error.strerror}; let this user read and write it, and its folder"
        ) from error
    return handle


def make_folder(folder: Path) -> None:
    """Make the folder of a store, private, unless it is there. Raises Permanent.

    Only the last part of its path: with more missing it is rather a mistake in `store`.
    """
    if folder.is_dir():
        return
    try:
        folder.mkdir(mode=FOLDER)
    except FileExistsError:
        return  # somebody was faster; or it is no folder, and opening the file says so
    except FileNotFoundError:
        raise Permanent(
            f"there is no folder {folder.parent}, so none is made in it; correct `store` in "
            f"stopgap.yaml, or: mkdir -p {folder}"
        ) from None
    except OSError as error:
        raise Permanent(
            f"cannot make the folder {folder}: {error.strerror}; make it for this user"
        ) from error


def found_open(path: Path) -> list[Path]:
    """The files of the store in `path` that others can read or change: the database, what SQLite
    keeps beside it, the lock, and copies of it in the same folder (`stopgap.db.bak`)."""
    beside = sorted(path.parent.glob(f"{glob.escape(path.name)}[-.]*"))
    return [each for each in (path, *beside) if _mode(each) & _OTHERS]


def folder_open(path: Path) -> bool:
    """Whether others can put files into the folder of the store, and take away what is there."""
    return bool(path.parent.stat().st_mode & _MAY_WRITE)


def shown_mode(path: Path) -> str:
    """A file with its mode, for people: `stopgap.db (0644)`."""
    return f"{path.name} ({_mode(path):04o})"


def tighten(path: Path) -> None:
    """Close the files of the store in `path` to others, and log what was done or has to be.

    Never stops a start: pages go out from an open store, too.
    """
    before = {each: shown_mode(each) for each in found_open(path)}
    for each in before:
        with suppress(OSError):  # what is not ours is told below
            os.chmod(each, FILE)
    still = found_open(path)  # some file systems take a chmod and do nothing
    closed = [shown for each, shown in before.items() if each not in still]
    if closed:
        _log.warning(
            "others could read the store; its files are private now",
            files=closed,
            mend="who may have read it can forge links: `stopgap keys rotate --revoke`",
        )
    if still:
        _log.error(
            "others can read the store, and this user may not change that",
            files=[shown_mode(each) for each in still],
            mend=f"as their owner or root: {mend(still)}",
        )
    if folder_open(path):
        _log.warning(
            "others can write in the folder of the store",
            folder=str(path.parent),
            mend=f"chmod go-w {path.parent}",
        )
    if path.exists() and path.stat().st_nlink > 1:
        _log.warning(
            "the database has more than one name (hard links)",
            file=str(path),
            mend="its latest entries are in the -wal file of one name, and who opens it by another "
            "does not see them: remove the other names",
        )


def mend(files: list[Path]) -> str:
    """The command that closes these files."""
    return f"chmod {FILE:o} {' '.join(map(str, files))}"


def _mode(path: Path) -> int:
    """The permissions of a file of its own; 0 if it is none, or has gone meanwhile."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else 0
