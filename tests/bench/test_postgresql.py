"""Appends and deliveries a second on PostgreSQL, durable, by one process and by three."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Server

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import asyncio, sys, time
from datetime import UTC, datetime
from daemon.adapters.store import PostgresAddress, open_store
from tests.contract.test_journal import OPEN, note, opened

WORKERS, EACH = 32, 40
_, url, kind, name = sys.argv
now = datetime.now(UTC)

async def appends(store, worker):
    incident = f"{name}-{worker}"
    await opened(store.journal, incident)
    for seq in range(1, EACH + 1):
        await store.journal.append(incident, seq, [note("x" * 300)], OPEN)

async def puts(store, worker):
    for n in range(EACH):
        await store.inbox.put(f"{name}-{worker}-{n}", b"x" * 2000, now)

async def main():
    work = {"appends": appends, "puts": puts}[kind]
    async with open_store(PostgresAddress(url)) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        await asyncio.gather(*(work(store, worker) for worker in range(WORKERS)))
    print(WORKERS * EACH, flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="stopgap-bench-"))
    server = Server.made(folder, durable=True)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.mark.bench
@pytest.mark.parametrize("kind", ["appends", "puts"])
def test_how_many_a_second(durable: Server, kind: str) -> None:
    rates = {}
    for processes in (1, 3):
        database = f"bench_{kind}_{processes}"
        durable.create(database)
        rates[processes] = _rate(durable.url(database), kind, processes)
    print(  # noqa: T201 - what a bench is for
        f"\nPostgreSQL, {kind} a second: {rates[1]:.0f} by one process, {rates[3]:.0f} by three"
    )
    assert rates[1] > 100
    assert rates[3] > 0.7 * rates[1]


def _rate(url: str, kind: str, processes: int) -> float:
    """Of all together, from the moment when all are ready."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, kind, f"p{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(processes)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    done = sum(int(one.communicate()[0]) for one in started)
    return done / (time.perf_counter() - began)
