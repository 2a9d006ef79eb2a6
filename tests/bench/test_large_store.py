"""A start on a store with a thousand open and a hundred thousand closed incidents.

`make storms BASE=REVISION` starts that build too, on a store that it has made itself, and compares.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from rich.console import Console
from rich.table import Table

from tests.acceptance.running import TREE
from tests.bench.large_store import LONGEST, LargeStart, large_start
from tests.bench.storm import HERE

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

CLOSED, OPEN = 100_000, 1_000
AIMS = {"ready": 2.0, "paged": 3.0, "/rules": 0.5}
"""Seconds; the first overdue page is reckoned from when it was ready."""
AIM_RSS_MB = 200


async def test_a_start_with_a_hundred_thousand_incidents(
    tmp_path: Path, base: tuple[str, Path] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = []
    for number, (build, tree) in enumerate([*([base] if base else []), ("this", TREE)]):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        _make(folder / "stopgap.db", tree)
        starts.append(await large_start(folder, tree, build))
        (folder / "stopgap.db").unlink()
    with capsys.disabled():
        _tell(starts)
    assert starts[-1].paged is not None, "nobody was called for what was overdue"


def _make(path: Path, tree: Path) -> None:
    maker = (sys.executable, str(HERE / "journal_maker.py"), str(path), str(CLOSED), str(OPEN))
    subprocess.run(maker, check=True, env={**os.environ, "PYTHONPATH": str(tree)})


def _tell(starts: list[LargeStart]) -> None:
    title = f"A start with {OPEN:,} open and {CLOSED:,} closed incidents"
    table = Table("", *(start.build for start in starts), title=title)
    ready = (f"{s.ready:.1f} s ({s.ready_cpu:.1f} s)" for s in starts)
    table.add_row(f"ready (aim: {AIMS['ready']:.0f} s) (processor time)", *ready)
    paged = (
        f"{s.paged - s.ready:.1f} s ({s.paged_cpu - s.ready_cpu:.1f} s)"
        if s.paged is not None
        else f"not in {LONGEST:.0f} s"
        for s in starts
    )
    table.add_row(f"then the first overdue page (aim: {AIMS['paged']:.0f} s)", *paged)
    for path in starts[-1].answers:
        aim = f" (aim: {AIMS[path]} s)" if path in AIMS else ""
        table.add_row(f"{path}{aim}", *(f"{median(s.answers[path]):.2f} s" for s in starts))
    memory = (f"{s.rss_mb:.0f} MB" for s in starts)
    table.add_row(f"memory, at most (aim: {AIM_RSS_MB} MB)", *memory)
    table.add_row("processor time", *(f"{s.cpu_s:.1f} s" for s in starts))
    console = Console(width=100)
    console.print()
    console.print(table)
