"""Bugs that are planted on purpose: in how many seeds each is found, and by which invariant.

Each is a patch of `planted/`, whose first line names the stretch that is aimed at it; it is applied
to a copy of the tree, in which seeds that draw that stretch are run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import count, islice
from pathlib import Path

import click

from tests.simulation.drawing import aims_at
from tests.simulation.runs import run_seeds

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent / "planted"
ENOUGH = 5
"""A bug that so many seeds have found is found."""
COPIED = ("daemon", "recovery_actions", "tests")


def patches(only: str = "") -> list[Path]:
    """The patch files whose name has that in it."""
    return sorted(path for path in PATCHES.glob("*.patch") if only in path.name)


def stretch_of(patch: Path) -> str:
    """The stretch that is aimed at it."""
    return patch.read_text().partition("\n")[0].removeprefix("Stretch: ")


def planted_tree(patch: Path, folder: Path) -> Path:
    """A copy of the tree with that patch. Raises CalledProcessError if it does not fit."""
    tree = folder / patch.stem
    tree.mkdir()
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "acceptance", "data")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    command = ["patch", "-s", "-p1", "-d", str(tree), "-i", str(patch)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return tree


Failures = dict[int, tuple[str, str]]
"""Seed → (invariant, text)."""


def run_planted(patch: Path, seeds: int, jobs: int) -> tuple[Failures, int]:
    """The failures on the tree with that bug, and of how many seeds of its stretch: of that many,
    or of fewer if enough of them fail."""
    stretch = stretch_of(patch)
    tried = list(islice((seed for seed in count() if aims_at(seed, stretch)), seeds))
    with tempfile.TemporaryDirectory() as folder:
        tree = planted_tree(patch, Path(folder))
        code = (
            "import json; from tests.simulation.runs import run_many; "
            f"summary = run_many({tried}, {jobs}, enough={ENOUGH}); "
            "print(json.dumps([summary.failures, summary.seeds]))"
        )
        environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tree,
            env=environ,
            check=True,
            capture_output=True,
            text=True,
        )
    found, run = json.loads(done.stdout.splitlines()[-1])
    return {int(seed): (invariant, text) for seed, (invariant, text) in found.items()}, run


def show(seeds: int, jobs: int, only: str) -> int:
    """Print the table; 0 if each planted bug was found. A seed that fails without the bug, too,
    has not found it."""
    missed = 0
    click.echo(f"{'planted bug':56} found/tried   first  invariants")
    for patch in patches(only):
        found, tried = run_planted(patch, seeds, jobs)
        sound = run_seeds(sorted(found)).failures
        failures = {seed: how for seed, how in found.items() if seed not in sound}
        by = Counter(invariant for invariant, _ in failures.values())
        named = ", ".join(f"{name} ({count})" for name, count in by.most_common(3)) or "not found"
        first = min(failures, default="")
        click.echo(f"{patch.stem:56} {f'{len(failures)}/{tried}':>11}  {first:>6}  {named}")
        missed += not failures
    return 1 if missed else 0
