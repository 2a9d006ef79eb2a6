"""One daemon a database, by whatever name it comes to it.

Two locks, both the kernel's, which frees them when their holder dies; a kill -9 leaves nothing to
clean up.

The first is on a lock file beside the database, named after its real path: symbolic links lead to
the same one. It has the holder's process id in it, for the sentence; it outlives the database, so
that nobody starts a new one at the place of one that was moved away under a running daemon. The
file stays: removing it would let two daemons hold two files of the same name.

The second is on the database file itself, for hard links, bind mounts, a store that was moved, a
lock file that was removed. It must not get in the way of SQLite's own locks on that file, hence:

- It is an open file description lock (OFD, see fcntl(2)), for others of the same process do not
  release it. SQLite takes POSIX locks and closes descriptors of its own, which would drop a POSIX
  lock of ours. A flock would do on a local disk, but NFS turns it into a POSIX lock on the whole
  file, and SQLite would wait for it forever.
- It is on one byte far behind those that SQLite locks (from 1 GiB on, 512 of them) and behind any
  database; nothing is there, nor needs to be.
- Its descriptor is opened before SQLite's and closed after them, since closing any descriptor of
  a file drops every POSIX lock that the process has on it. For the same reason nothing in the
  daemon may open and close the database file by itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.adapters.store.file_modes import make_folder, private_file, tighten
from daemon.core.values.outcome import Permanent

_BYTE = 1 << 62
_TAKEN = {errno.EAGAIN, errno.EACCES}
_MEND = "stop that one, or give this one a database of its own"


class InUse(Permanent):
    """Another daemon has the database; the text says which."""


@contextmanager
def held(path: Path, mend: str = _MEND) -> Iterator[Path]:
    """Hold the place of a database for as long as this lasts, whether one is there or not; its
    folder is made, and its files are closed to others.

    Yields its real path, by which it is to be opened; `held_itself` is the other half. Raises
    InUse naming who holds it and the `mend`, Permanent if that is not possible.
    """
    path = Path(os.path.realpath(path))
    make_folder(path.parent)
    lock = private_file(path.with_name(f"{path.name}.lock"))
    try:
        _lock_by_name(lock, path, mend)
        tighten(path)
        yield path
    finally:
        os.close(lock)


@contextmanager
def held_itself(path: Path) -> Iterator[None]:
    """Hold the database file whose place is held; made, empty, if it is not there.

    Enter it before SQLite opens the file, and leave it after SQLite has closed it. Raises InUse
    if a daemon has the file by another name, Permanent if it cannot be opened or locked.
    """
    database = private_file(path)
    try:
        _lock_itself(database, path)
        yield
    finally:
        os.close(database)


def _lock_by_name(handle: int, path: Path, mend: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        raise InUse(f"{path} is in use by another daemon, process {holder}; {mend}") from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


def _lock_itself(handle: int, path: Path) -> None:
    # struct flock: type, whence, start, length, pid (0 for this kind), and its padding.
    request = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, _BYTE, 1, 0)
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in _TAKEN:
            raise InUse(
                f"{path} is in use by another daemon, which has it by another name: a hard link, "
                f"a mount, or the name it had before it was moved (`lsof {path}` names its "
                f"process); {_MEND}"
            ) from None
        raise Permanent(
            f"{path} cannot be locked: {error.strerror}; SQLite needs locks, too: put it on a "
            "disk of this machine"
        ) from error
