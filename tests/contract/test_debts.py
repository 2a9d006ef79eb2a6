"""What is owed to the journal survives in its side file, on a full disk too."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.adapters.store.debts import RESERVED_BYTES, DebtsFile
from daemon.core.incident.events import Draft, PageDelivered
from daemon.core.ports.journal import Owed
from daemon.core.values.outcome import Permanent, Temporary

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


def owed(incident: str = "inc-1", proof: str = "rang") -> Owed:
    delivered = PageDelivered(page="r0.t0.ada", method="phone-1", proof=proof)
    return Owed(incident=incident, drafts=(Draft(at=NOW, event=delivered),), release=True)


async def test_what_is_kept_is_read_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "stopgap.db.owed"
    first = DebtsFile(path)
    assert first.retained() == []
    await first.keep([owed("inc-1"), owed("inc-2", "läutete → ✓")])
    assert list(DebtsFile(path).retained()) == [owed("inc-1"), owed("inc-2", "läutete → ✓")]
    await DebtsFile(path).keep([])
    assert DebtsFile(path).retained() == []


async def test_it_needs_no_space_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stopgap.db.owed"
    debts = DebtsFile(path)
    before = path.stat()
    assert before.st_size == RESERVED_BYTES
    assert before.st_blocks * 512 >= RESERVED_BYTES, "a hole in the file would need space later"
    await debts.keep([owed(str(number)) for number in range(100)])
    after = path.stat()
    assert (after.st_size, after.st_blocks) == (before.st_size, before.st_blocks)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Temporary, match="No space left"):
        await debts.keep([owed()])


@pytest.mark.parametrize("cut", [1, 30, 64, 65, 90, 200])
async def test_a_write_that_was_cut_off_owes_nothing(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "stopgap.db.owed"
    await DebtsFile(path).keep([owed()])
    content = path.read_bytes()
    path.write_bytes(content[:cut] + b" " * (RESERVED_BYTES - cut))
    assert DebtsFile(path).retained() == []


def test_what_another_version_kept_is_not_forgotten_but_said(tmp_path: Path) -> None:
    path = tmp_path / "stopgap.db.owed"
    event = {"kind": "OfTomorrow"}
    body = json.dumps([{"incident": "inc-1", "drafts": [{"at": NOW.isoformat(), "event": event}]}])
    path.write_text(f"{hashlib.sha256(body.encode()).hexdigest()} {body}\n")
    with pytest.raises(Permanent, match="run that version once"):
        DebtsFile(path)


async def test_of_two_writes_the_later_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stopgap.db.owed"
    debts = DebtsFile(path)
    threads: list[asyncio.Event] = []

    async def thread(write: Callable[[bytes], None], line: bytes) -> None:
        """A thread that begins its work only when it is let."""
        threads.append(asyncio.Event())
        await threads[-1].wait()
        write(line)

    monkeypatch.setattr(asyncio, "to_thread", thread)
    older = asyncio.create_task(debts.keep([owed("inc-1")]))
    newer = asyncio.create_task(debts.keep([owed("inc-2")]))
    while not (older.done() and newer.done()):
        for let in reversed(threads):
            let.set()
            for _ in range(10):
                await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert list(DebtsFile(path).retained()) == [owed("inc-2")]


async def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "stopgap.db.owed"
    await DebtsFile(path).keep([owed()])
    assert path.stat().st_mode & 0o777 == 0o600
