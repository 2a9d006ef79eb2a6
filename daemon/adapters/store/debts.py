"""What is owed to the journal, in a small file beside the store: `daemon.core.ports.journal.Debts`.

The file has its full size from the beginning on, so that it can be written when the disk is full.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from daemon.adapters.store.database import to_its_end
from daemon.adapters.store.file_modes import private_file
from daemon.core.ports.journal import Owed
from daemon.core.values.outcome import Permanent, Temporary

_log = structlog.get_logger()

RESERVED_BYTES = 256 * 1024
"""Bytes kept free for it: some hundreds of outcomes. More are written if the disk has space."""
_DIGEST = 64


class DebtsFile:
    """One line: the digest of what follows, then its JSON; the rest of the file is blank."""

    def __init__(self, path: Path) -> None:
        """Make the file, or read what an earlier run has left in it. Raises Permanent if it
        cannot be opened or is of another version, Temporary if it cannot be written."""
        self._path = path
        self._retained: list[Owed] = []
        self._turn = asyncio.Lock()
        handle = private_file(path)
        try:
            try:
                text = os.pread(handle, os.fstat(handle).st_size, 0).decode(errors="replace")
                missing = RESERVED_BYTES - len(text)
                if missing > 0:
                    os.pwrite(handle, b" " * missing, len(text.encode()))
            finally:
                os.close(handle)
        except OSError as error:
            raise _failed(path, error) from error
        self._retained = _read(path, text)

    def retained(self) -> Sequence[Owed]:
        """What the earlier run owed; a file that was cut off in the middle of a write owes
        nothing, and says so in the log."""
        return self._retained

    async def keep(self, owed: Sequence[Owed]) -> None:
        """Replace what is kept, durably. Raises Temporary."""
        body = json.dumps([item.model_dump(mode="json") for item in owed])
        line = f"{hashlib.sha256(body.encode()).hexdigest()} {body}\n".encode()
        # To its end and one after the other: an older write must not come after a newer one.
        await to_its_end(self._replace(line), "debts-keep")

    async def _replace(self, line: bytes) -> None:
        try:
            async with self._turn:
                await asyncio.to_thread(self._write, line)
        except OSError as error:
            raise _failed(self._path, error) from error

    def _write(self, line: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(handle, line, 0)
            os.fdatasync(handle)
        finally:
            os.close(handle)


def _read(path: Path, text: str) -> list[Owed]:
    line = text.partition("\n")[0]
    digest, body = line[:_DIGEST], line[_DIGEST + 1 :].strip()
    if not body:
        return []
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        _log.error(
            "what was owed to the journal cannot be read; calls may be repeated", file=str(path)
        )
        return []
    try:
        return [Owed.model_validate(item) for item in json.loads(body)]
    except ValueError as error:
        raise Permanent(
            f"{path} was written by another version of stopgap, and keeps what was done while the "
            "store could not be written: run that version once, or move the file away; then calls "
            "may be repeated"
        ) from error


def _failed(path: Path, error: OSError) -> Temporary:
    return Temporary(
        f"{path} cannot be written ({error.strerror}); it keeps what is done while the store "
        "cannot be: let this user read and write it"
    )
