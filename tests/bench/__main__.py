"""`make bench`: the speed of this build in one table and a JSON file.

Usage: python -m tests.bench [--base REVISION] [--json FILE] [--only PART …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.acceptance.running import TREE
from tests.bench.intake import intake_rows
from tests.bench.pure import MANY, fold_row, matching_row, page_rows
from tests.bench.reaction import reaction_rows
from tests.bench.table import THIS, Row, rendered

PARTS = ("intake", "reaction", "matching", "fold", "pages")
QUOTED = (
    "Quoted from the issue of 2026-11 and not measured here: POST to action with Keep 980 ms, with "
    "ansible-rulebook 5,800 ms."
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    bodies: int = 3000
    rounds: int = 3
    opened: int = 500
    reactions: int = 30
    rules: int = MANY
    alerts: int = 2000
    events: int = 10_000
    pages: int = 100
    looks: int = 20


SMALL = Sizes(24, 1, 4, 2, 50, 20, 100, 2, 2)
"""Enough to see that all of it still runs."""


def measured(
    folder: Path, builds: Mapping[str, Path], sizes: Sizes, parts: Sequence[str] = PARTS
) -> list[Row]:
    """All rows of these parts, one part after the other."""
    rows: list[Row] = []
    if "intake" in parts:
        intake = folder / "intake"
        intake.mkdir()
        rows += intake_rows(intake, builds, sizes.bodies, sizes.rounds, sizes.opened)
    if "reaction" in parts:
        reaction = folder / "reaction"
        reaction.mkdir()
        rows += asyncio.run(reaction_rows(reaction, builds, sizes.reactions))
    if "matching" in parts:
        rows.append(matching_row(sizes.rules, sizes.alerts))
    if "fold" in parts:
        rows.append(fold_row(sizes.events))
    if "pages" in parts:
        rows += asyncio.run(page_rows(folder / "pages", sizes.pages, sizes.looks))
    return rows


def builds_of(base: str, folder: Path) -> dict[str, Path]:
    """This build, and the code of the one to compare with, if any. It runs with what is installed
    here."""
    if not base:
        return {THIS: TREE}
    tree = folder / "base"
    tree.mkdir()
    archive = ("git", "-C", str(TREE), "archive", base)
    unpack = ("tar", "-x", "-C", str(tree))
    packed = subprocess.run(archive, check=True, capture_output=True)
    subprocess.run(unpack, input=packed.stdout, check=True)
    return {"base": tree, THIS: TREE}


def document(rows: Sequence[Row], base: str) -> dict[str, object]:
    """What the JSON file says."""
    return {
        "base": base,
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "rows": [row.as_json() for row in rows],
    }


def main() -> None:
    """Measure, tell, and keep."""
    options = argparse.ArgumentParser()
    options.add_argument("--base", default="")
    options.add_argument("--json", type=Path, default=Path("bench.json"))
    options.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    options.add_argument("--small", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="stopgap-bench-") as temporary:
        folder = Path(temporary)
        builds = builds_of(chosen.base, folder)
        sizes = SMALL if chosen.small else Sizes()
        rows = measured(folder, builds, sizes, chosen.only)
    chosen.json.write_text(json.dumps(document(rows, chosen.base), indent=1) + "\n")
    beside = f", beside {chosen.base}" if chosen.base else ""
    title = f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}{beside}"
    console = Console(width=130)
    console.print(rendered(rows, title))
    console.print(QUOTED)


if __name__ == "__main__":
    main()
