"""The main job on the real shop, Prometheus and Alertmanager: a bad deployment is noticed,
quantified, paged, rolled back once, verified and written up, also when the daemon is killed.

This is `make demo` itself, which ends with 0 only if every stage happened, and in its time; the
runs go side by side, for they mostly wait.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.acceptance.demos import WITHIN, Run, ended_well, playing
from tests.acceptance.running import TREE

KILLED_AT = ("", "StepStarted", "StepPrepared", "StepFinished")
VICTORIA_METRICS = "victoria-metrics"
"""The same story, measured by VictoriaMetrics and with the alerts of its vmalert."""
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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """One run for each point at which the daemon is killed, all started at once."""
    wanted: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        kill_at: (("--kill-at", kill_at) if kill_at else (), {}) for kill_at in KILLED_AT
    }
    wanted[VICTORIA_METRICS] = ((), {"METRICS": VICTORIA_METRICS})
    with playing(tmp_path_factory.mktemp("demo"), wanted) as started:
        yield started


@pytest.mark.timeout(WITHIN + 30)
@pytest.mark.parametrize("kill_at", [*KILLED_AT, VICTORIA_METRICS])
def test_a_bad_deployment_is_rolled_back_once_and_the_recovery_is_proven(
    runs: dict[str, Run], kill_at: str
) -> None:
    text = ended_well(runs[kill_at])
    for stage in STAGES:
        assert f"✓ {stage}" in text, text
    if kill_at and kill_at != VICTORIA_METRICS:
        assert f"killed (kill -9) at {kill_at}" in text, text
    review = re.search(r"The review of the incident: (\S+)", text)
    assert review is not None, text
    written = (TREE / review[1]).read_text()
    for said in ("checkout success rate", "release_rollback", "ada", "v2"):
        assert said in written
