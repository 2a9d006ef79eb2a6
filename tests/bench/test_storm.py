"""A storm: 500 groups begin to fire at the same moment, on disks of three speeds.

`make storms BASE=REVISION` lets the same storm come over that build too, and compares.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.acceptance.running import TREE
from tests.bench.storm import LONGEST, Storm, share_of, storm

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

GROUPS = 500
SYNCS_MS = (0.0, 5.0, 25.0)
"""What each commit costs beyond what this machine's disk takes."""
AIMS = {0.0: "10 s", 5.0: "10 s", 25.0: "30 s"}
AIM_P99_MS = 250
MOMENTS = (1, 2, 5, 10, 30, 60)


@pytest.mark.parametrize("sync_ms", SYNCS_MS)
async def test_everybody_is_called_in_a_storm_on_a_slow_disk(
    tmp_path: Path,
    base: tuple[str, Path] | None,
    sync_ms: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    builds = [("this", TREE)]
    if base is not None:
        builds.insert(0, base)
    storms = [
        await storm(tmp_path / f"run-{n}", tree, build, GROUPS, sync_ms)
        for n, (build, tree) in enumerate(builds)
    ]
    with capsys.disabled():
        _tell(storms, sync_ms)
    seen = storms[-1]
    assert seen.done is not None, f"{len(seen.paged)} of {GROUPS} were called for"


def _tell(storms: list[Storm], sync_ms: float) -> None:
    title = f"{GROUPS} groups at once, {sync_ms:.0f} ms a sync more than the disk's own"
    table = Table("", *(storm.build for storm in storms), title=title)
    table.add_row("all deliveries on disk after", *(f"{s.accepted:.1f} s" for s in storms))
    for at in MOMENTS:
        counts = ((share_of(s.opened, at), share_of(s.paged, at)) for s in storms)
        table.add_row(f"open · called for after {at} s", *(f"{o} · {p}" for o, p in counts))
    aim = f"all after (aim: {AIMS[sync_ms]})"
    table.add_row(
        aim, *(f"{s.done:.1f} s" if s.done else f"not in {LONGEST:.0f} s" for s in storms)
    )
    aim = f"/-/healthy, p99 (aim: {AIM_P99_MS} ms)"
    table.add_row(aim, *(f"{s.p99_ms:.0f} ms" for s in storms))
    table.add_row("processor time", *(f"{s.cpu_s:.1f} s" for s in storms))
    table.add_row("memory, at most", *(f"{s.rss_mb:.0f} MB" for s in storms))
    table.add_row("entries · commits", *(f"{s.entries} · {s.commits}" for s in storms))
    console = Console(width=100)
    console.print()
    console.print(table)
    if len(storms) > 1:
        before, now = (s.done or LONGEST for s in storms)
        more = "" if storms[0].done else "more than "
        console.print(f"{more}{before / now:.1f} times as fast as {storms[0].build}")
