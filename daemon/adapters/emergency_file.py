"""The memory of emergency calls in a small file of its own: `daemon.core.ports.emergency`.

It has one size from the start and is written over in place, so that it can be written on a disk
that has no byte left. A write that was torn reads as nothing, and people are called once more.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from daemon.adapters.store.database import to_its_end
from daemon.core.ports.emergency import EmergencyNotice
from daemon.core.values.outcome import Temporary

BLOCK = 4096
"""The file's size is a multiple of so many bytes."""
_NOTICES = TypeAdapter(tuple[EmergencyNotice, ...])


class EmergencyFile:
    """The memory in one file, which is made when it is first looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> tuple[EmergencyNotice, ...]:
        """What was saved last. Raises Temporary."""
        return await asyncio.to_thread(self._load)

    async def save(self, notices: tuple[EmergencyNotice, ...]) -> None:
        """Replace it. Raises Temporary."""
        # To its end: whoever ends the daemon over this looks next at what was saved.
        writing = asyncio.to_thread(self._write, _NOTICES.dump_json(notices))
        await to_its_end(writing, "emergency-save")

    def _load(self) -> tuple[EmergencyNotice, ...]:
        try:
            found = self._path.read_bytes()
        except FileNotFoundError:
            self._write(b"[]")  # while there is room for it
            return ()
        except OSError as error:
            raise self._failure(error) from error
        try:
            return _NOTICES.validate_json(found)
        except ValidationError:
            return ()

    def _write(self, content: bytes) -> None:
        padded = content.ljust(-(-len(content) // BLOCK) * BLOCK)
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(handle, padded, 0)
                os.ftruncate(handle, len(padded))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> Temporary:
        return Temporary(f"{self._path}: {error.strerror}; let this user write there")
