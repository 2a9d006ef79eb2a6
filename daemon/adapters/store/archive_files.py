"""Files of the archive: one incident each, an entry a line, all its columns as they were stored.

`2026-03/1124-0200-abcd.jsonl.gz`, by the month in which the incident was closed. `zcat` and `jq`
read them; the digests in them are checked as those in the store are.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from daemon.adapters.store.auditing.findings import Break
from daemon.adapters.store.auditing.incidents import IncidentAuditor
from daemon.adapters.store.auditing.replay import Archived, End
from daemon.adapters.store.journal import entry_of
from daemon.core.incident.events import Entry
from daemon.core.values.outcome import Temporary
from daemon.core.values.seal import Keyring

NAMES = ("incident", "seq", "at", "by", "kind", "format", "body", "digest")

_MEND = "bring the file back from a backup of the archive; only there is the incident whole"


def write(folder: Path, name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Write the entries, and see that they can be read back. Raises Temporary."""
    path, rows = folder / name, [tuple(row) for row in rows]
    lines = (json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) for row in rows)
    packed = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
    beside = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        for changed in (path.parent, folder):
            with _directory(changed) as handle:
                os.fsync(handle)
        if read_archive_file(path) != rows:
            raise Temporary(f"{path} does not hold what was written to it; look at its disk")
    except (OSError, ValueError) as error:
        raise Temporary(
            f"cannot write {path} ({getattr(error, 'strerror', None) or error}): free some space "
            "or mend its rights; the incident stays in the journal meanwhile"
        ) from error


def read_archive_file(path: Path) -> list[tuple[Any, ...]]:
    """The entries of a file, as rows of the table `events`. Raises OSError, or ValueError if it
    is damaged."""
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        return [tuple(json.loads(line)[name] for name in NAMES) for line in lines]
    except (EOFError, gzip.zlib.error, KeyError, TypeError) as error:  # type: ignore[attr-defined]
        raise ValueError(f"it is damaged ({error})") from error


def read_archived(folder: Path, archived: Archived) -> list[Entry]:
    """The entries of an archived incident. Raises OSError, ValueError, Permanent."""
    return [
        entry_of(SimpleNamespace(**dict(zip(NAMES, row, strict=True))))
        for row in read_archive_file(folder / archived.file)
    ]


def check_archive(folder: Path, archived: Iterable[Archived], keyring: Keyring) -> list[Break]:
    """Whether each archived incident is in its file as it left the journal."""
    return [
        Break(each.incident, f"its archive {each.file} {what}", _MEND)
        for each in archived
        for what in _faults(folder, each, keyring)
    ]


def _faults(folder: Path, archived: Archived, keyring: Keyring) -> Iterator[str]:
    try:
        rows = read_archive_file(folder / archived.file)
    except FileNotFoundError:
        yield f"is not in {folder}"
        return
    except (OSError, ValueError) as error:
        yield f"cannot be read: {getattr(error, 'strerror', None) or error}"
        return
    if len(rows) != archived.entries:
        yield f"holds {len(rows)} entries, not {archived.entries}"
    elif {row[0] for row in rows} != {archived.incident}:
        yield "is of another incident"
    else:
        end = End(archived.entries, archived.digest, archived.number)
        yield from (
            f"is edited: {what}" for what in IncidentAuditor(keyring).check_entries(rows, end)
        )


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)
