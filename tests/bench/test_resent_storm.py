"""Ten thousand alerts in 500 groups within a minute, told three times each by two Alertmanagers.

`make storms BASE=REVISION` lets the same storm come over that build too, and compares.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest
from rich.console import Console
from rich.table import Table

from tests.acceptance.running import TREE
from tests.bench.resent_storm import ALERTS, GROUPS, LONGEST, PEERS, ResentStorm, resent_storm
from tests.bench.storm import p99_ms

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

AIM_P99_MS = 250
AIM_RSS_MB = 200
AIM_CPU_S = 60
CALLS = 20
"""More calls than that are no bundle; a storm that grows tells so now and then."""


async def test_ten_thousand_alerts_in_a_minute(
    tmp_path: Path, base: tuple[str, Path] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    builds = [*([base] if base else []), ("this", TREE)]
    storms = [
        await resent_storm(tmp_path / f"run-{n}", tree, build)
        for n, (build, tree) in enumerate(builds)
    ]
    with capsys.disabled():
        _tell(storms)
    seen = storms[-1]
    assert seen.done is not None, "not everybody was called for"
    assert (seen.incidents, seen.keys) == (GROUPS, GROUPS)
    assert (seen.alerts, seen.different_alerts) == (GROUPS * ALERTS, GROUPS * ALERTS)
    assert seen.calls <= CALLS


def _tell(storms: list[ResentStorm]) -> None:
    title = f"{GROUPS * ALERTS:,} alerts in {GROUPS} groups, by {len(PEERS)} Alertmanagers"
    table = Table("", *(storm.build for storm in storms), title=title)

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    posts = (f"{s.posted} · {s.deliveries} · {s.refused}" for s in storms)
    row("POSTs · stored · to come again", *posts)
    row("all answered after", *(f"{s.answered:.1f} s" for s in storms))
    row(
        "all open, measured, called for",
        *(f"{s.done:.1f} s" if s.done else f"not in {LONGEST:.0f} s" for s in storms),
    )
    row("incidents · alerts", *(f"{s.incidents} · {s.alerts}" for s in storms))
    row("calls of the pager", *(str(s.calls) for s in storms))
    row(f"/-/healthy, p99 (aim: {AIM_P99_MS} ms)", *(f"{p99_ms(s.probes):.0f} ms" for s in storms))
    for path in storms[-1].pages:
        row(
            f"{path}, median · longest",
            *(f"{median(s.pages[path]):.2f} · {max(s.pages[path]):.2f} s" for s in storms),
        )
    row(f"processor time (aim: {AIM_CPU_S} s)", *(f"{s.cpu_s:.1f} s" for s in storms))
    row(f"memory, at most (aim: {AIM_RSS_MB} MB)", *(f"{s.rss_mb:.0f} MB" for s in storms))
    row("entries · commits", *(f"{s.entries.total()} · {s.commits}" for s in storms))
    console = Console(width=100)
    console.print()
    console.print(table)
