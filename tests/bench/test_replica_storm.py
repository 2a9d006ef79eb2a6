"""The same alerts to one replica and to three, on one PostgreSQL: alerts to incidents that are
confirmed and called for, durable. Once with a Prometheus that answers at once, where the processors
of this machine are the bound; and with one that takes its time, where each replica is: it asks for
so many incidents at once and no more."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.bench.replica_storm import LONGEST, ReplicaStorm, replica_storm
from tests.bench.storm import QUICK
from tests.postgresql import Server

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

GROUPS = 200
COMPARED = (1, 3)
ANSWERS_AFTER = (QUICK, 0.4)
AIM = 2.0
"""Times one replica's rate, where the processors are not the bound."""


@pytest.fixture
def durable() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="stopgap-bench-"))
    server = Server.made(folder, durable=True)
    yield server
    server.stop()
    shutil.rmtree(folder)


async def test_three_replicas_beside_one(
    durable: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storms = [
        [
            await replica_storm(
                tmp_path / f"storm_{number}_{replicas}", durable, replicas, GROUPS, after
            )
            for replicas in COMPARED
        ]
        for number, after in enumerate(ANSWERS_AFTER)
    ]
    with capsys.disabled():
        for compared in storms:
            _tell(compared)
    for seen in chain.from_iterable(storms):
        assert seen.took is not None, "not everybody was called for"
        assert seen.double == 0


def _tell(storms: list[ReplicaStorm]) -> None:
    title = f"{GROUPS} incidents on one PostgreSQL, {os.cpu_count()} processors for everything, "
    title += f"Prometheus answers after {storms[0].answers_after * 1000:.0f} ms"
    table = Table("", *(f"{storm.replicas} replicas" for storm in storms), title=title)

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    took = (f"{s.took:.1f} s" if s.took else f"not in {LONGEST:.0f} s" for s in storms)
    row("all confirmed and called for", *took)
    row("incidents a second", *(f"{s.rate:.1f}" for s in storms))
    ratios = (f"{s.rate / storms[0].rate:.2f}" if storms[0].rate else "–" for s in storms)
    row(f"times the rate of one (aim: {AIM:.0f})", *ratios)
    row("bound by", *(s.bound for s in storms))
    row("all processors were busy for", *(f"{s.busy_share:.0%}" for s in storms))
    each = ("+".join(f"{cpu:.1f}" for cpu in s.daemon_cpu) + " s" for s in storms)
    row("processor time of the replicas", *each)
    row("processor time of the database", *(f"{s.database_cpu:.1f} s" for s in storms))
    # What each could do, were it alone on a processor: the smallest is the bound.
    row("… so many a second fill a replica's processor", *(_bound(s) for s in storms))
    row(
        "… so many a second fill one of the database's",
        *(f"{s.groups / max(s.database_cpu, 0.01):.0f}" for s in storms),
    )
    row("transactions", *(str(s.commits) for s in storms))
    row("looks at which a writer waited for another", *(_waits(s) for s in storms))
    console = Console(width=100)
    console.print()
    console.print(table)


def _bound(storm: ReplicaStorm) -> str:
    """As the busiest replica goes, with all of them beside it on processors of their own."""
    return f"{storm.groups / max(storm.daemon_cpu, default=1.0):.0f}"


def _waits(storm: ReplicaStorm) -> str:
    """And what the other was at: `replica`, the server waits for the next statement."""
    at = ", ".join(f"{what} {n}" for what, n in storm.writers.most_common())
    return f"{storm.lock_share:.0%} ({at})"
