"""The main job on the real shop, Prometheus and Alertmanager: a bad deployment is noticed,
quantified, paged, rolled back once, verified and written up, also when the daemon is killed.

This is `make demo` itself, which ends with 0 only if every stage happened, and in its time; the
runs go side by side, for they mostly wait.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import TREE
from tests.acceptance.waiting import wait_until

KILLED_AT = ("", "StepStarted", "StepPrepared", "StepFinished")
WITHIN = 240
STAGES = (
    "alert fired",
    "incident opened",
    "phone rang",
    "problem quantified",
    "commander appointed",
    "rollback started",
    "rollback finished",
    "recovery verified",
    "incident closed",
    "review written",
    "everything was done exactly once",
)

Runs = dict[str, tuple[subprocess.Popen[bytes], Path]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """One run for each point at which the daemon is killed, all started at once."""
    folder = tmp_path_factory.mktemp("demo")
    env = {k: v for k, v in os.environ.items() if k not in {"KEEP", "STOP"}}
    started: Runs = {}
    for kill_at in KILLED_AT:
        told = folder / f"{kill_at or 'happy'}.log"
        argv = [sys.executable, "deploy/sandbox/demo.py", *(["--kill-at", kill_at] * bool(kill_at))]
        with told.open("wb") as log:
            process = subprocess.Popen(
                argv,
                cwd=TREE,
                env={**env, "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        started[kill_at] = (process, told)
    yield started
    for process, _ in started.values():
        process.terminate()  # it stops everything that it has started
    for process, _ in started.values():
        process.wait(30)


@pytest.mark.timeout(WITHIN + 30)
@pytest.mark.parametrize("kill_at", KILLED_AT)
def test_a_bad_deployment_is_rolled_back_once_and_the_recovery_is_proven(
    runs: Runs, kill_at: str
) -> None:
    process, told = runs[kill_at]
    wait_until("the end of the demo", lambda: process.poll() is not None, WITHIN)
    text = told.read_text(errors="replace")
    assert process.returncode == 0, text
    for stage in STAGES:
        assert f"✓ {stage}" in text, text
    if kill_at:
        assert f"killed (kill -9) at {kill_at}" in text, text
    review = re.search(r"The review of the incident: (\S+)", text)
    assert review is not None, text
    written = (TREE / review[1]).read_text()
    for said in ("checkout success rate", "release_rollback", "ada", "v2"):
        assert said in written
