"""One daemon a database: a lock file beside it that the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.core.values.outcome import Permanent


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold `<path>.lock` for as long as this lasts. Raises Permanent naming who holds it.

    The lock is the kernel's (flock) and not the file, so a kill -9 leaves nothing to clean up;
    the process id inside is only for the sentence. The file stays: removing it would let two
    daemons hold two files of the same name.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Permanent(
            f"cannot open {lock}: {error.strerror}; create its folder and let this user write there"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise Permanent(
                f"{path} is in use by another daemon, process {holder}; "
                "stop that one, or give this one a database of its own"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
