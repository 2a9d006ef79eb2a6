"""Runs of `make demo`, side by side, for they mostly wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.running import TREE
from tests.acceptance.waiting import wait_until

WITHIN = 240
Run = tuple[subprocess.Popen[bytes], Path]


@contextmanager
def playing(
    folder: Path, runs: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]]
) -> Iterator[dict[str, Run]]:
    """Start one demo for each name, with its arguments and its environment."""
    env = {k: v for k, v in os.environ.items() if k not in {"KEEP", "STOP", "STORY", "METRICS"}}
    started: dict[str, Run] = {}
    for name, (arguments, more) in runs.items():
        told = folder / f"{name or 'happy'}.log"
        with told.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "deploy/sandbox/demo.py", *arguments],
                cwd=TREE,
                env={**env, **more, "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        started[name] = (process, told)
    try:
        yield started
    finally:
        for process, _ in started.values():
            process.terminate()  # it stops everything that it has started
        for process, _ in started.values():
            process.wait(30)


def ended_well(run: Run) -> str:
    """Wait for its end, which must be a good one; returns what it told."""
    process, told = run
    wait_until("the end of the demo", lambda: process.poll() is not None, WITHIN)
    text = told.read_text(errors="replace")
    assert process.returncode == 0, text
    return text
