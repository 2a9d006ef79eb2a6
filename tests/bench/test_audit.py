"""The audit of a large journal, with and without a key."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from daemon.adapters.store import audit_journal, open_store
from daemon.core.values.seal import Keyring, Seal
from tests.bench.journal_maker import fill

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

INCIDENTS = 100_000
AIM = 30.0
FLOOR = 900.0
"""Above this something is wrong, however slow and busy the machine. Both in seconds."""


def _cpu() -> float:
    """Seconds of processor time of this process and those that it has waited for."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in spent)


@pytest.mark.parametrize("key", [None, "a key that is long enough"], ids=["sha256", "hmac"])
async def test_a_hundred_thousand_incidents(
    tmp_path: Path, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path, keyring = tmp_path / "stopgap.db", Keyring(Seal(key))
    await fill(path, INCIDENTS, keyring)
    async with open_store(path, readonly=True, keyring=keyring) as store:
        began, busy = time.perf_counter(), _cpu()
        report = await audit_journal(store.journal)
        took, busy = time.perf_counter() - began, _cpu() - busy
    size = path.stat().st_size / INCIDENTS / 1000
    path.unlink()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{report.incidents} incidents, {report.entries} entries, {size:.1f} KB each: "
            f"{took:.1f} s (aim {AIM:.0f}), {busy:.1f} s of processor time"
        )
    assert report.breaks == []
    assert took < FLOOR
