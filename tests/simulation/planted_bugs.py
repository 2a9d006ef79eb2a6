"""Bugs that are planted on purpose: in how many seeds each is found, and by which invariant.

Each is a patch of `planted/`; it is applied to a copy of the tree, in which the seeds are run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent / "planted"
COPIED = ("daemon", "recovery_actions", "tests")


def patches(only: str = "") -> list[Path]:
    """The patch files whose name has that in it."""
    return sorted(path for path in PATCHES.glob("*.patch") if only in path.name)


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


def run_planted(patch: Path, seeds: int, jobs: int) -> dict[int, tuple[str, str]]:
    """The failures of that many seeds on the tree with that bug: seed → (invariant, text)."""
    with tempfile.TemporaryDirectory() as folder:
        tree = planted_tree(patch, Path(folder))
        code = (
            "import json, sys; from tests.simulation.runs import run_many; "
            f"print(json.dumps(run_many(0, {seeds}, {jobs}).failures))"
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
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {int(seed): (invariant, text) for seed, (invariant, text) in found.items()}


def show(seeds: int, jobs: int, only: str) -> int:
    """Print the table; 0 if each planted bug was found."""
    missed = 0
    print(f"{'planted bug':44} {f'of {seeds} seeds':>14}  {'first':>6}  invariants")
    for patch in patches(only):
        failures = run_planted(patch, seeds, jobs)
        by = Counter(invariant for invariant, _ in failures.values())
        named = ", ".join(f"{name} ({count})" for name, count in by.most_common(3)) or "not found"
        first = min(failures, default="")
        print(f"{patch.stem:44} {len(failures):14}  {first:>6}  {named}", flush=True)
        missed += not failures
    return 1 if missed else 0
