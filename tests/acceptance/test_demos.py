"""`make demo`, on the real shop, Prometheus and Alertmanager: it ends with 0 only if every stage of
its story happened, and nothing was done to the shop that should not have been.

The main job comes first: a bad deployment is noticed, quantified, paged, rolled back once, verified
and written up, also when the daemon is killed. The other stories follow. All are in this one file,
so that one worker starts them: no more run side by side than two cores can bear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.acceptance.demos import Demos, playing
from tests.acceptance.running import TREE

VICTORIA_METRICS = "victoria-metrics"
"""The main job, measured by VictoriaMetrics and with the alerts of its vmalert."""
UNDISTURBED = "undisturbed"
KILLED_AT = ("StepStarted", "StepPrepared", "StepFinished")
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
TOLD = {
    "second": ("it did not help", "second alternative started", "it alone has the credit"),
    "storm": ("five incidents, one call", "held back by the storm", "nothing was touched: v2"),
    "conflict": ("a colleague deploys v3 just then", "rollback stopped", "nothing was touched: v3"),
    "drill": ("A red team", "[DRILL]", "the drill scored: 4 of 4"),
    "replicas": ("was killed (kill -9)", "taken over", "one rollback, one page, two replicas"),
    "freeze": ("killed (kill -9)", "frozen", "everything was done exactly once"),
}
"""What each of the other stories must tell, among the rest."""


@pytest.fixture(scope="module")
def demos(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demos]:
    """Those that are asked for by `-k`, or all, in the order in which the tests want them."""
    asked = set[str]()
    for item in request.session.items:
        if item.path == request.path and isinstance(item, pytest.Function):
            asked.update(item.callspec.params.values())
    wanted: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        VICTORIA_METRICS: ((), {"METRICS": VICTORIA_METRICS}),
        UNDISTURBED: ((), {}),
        **{kind: (("--kill-at", kind), {}) for kind in KILLED_AT},
        **{story: ((), {"STORY": story}) for story in TOLD},
    }
    chosen = {name: how for name, how in wanted.items() if name in asked}
    with playing(tmp_path_factory.mktemp("demos"), chosen) as started:
        yield started


@pytest.mark.parametrize("demo", [VICTORIA_METRICS, UNDISTURBED, *KILLED_AT])
def test_a_bad_deployment_is_rolled_back_once_and_the_recovery_is_proven(
    demos: Demos, demo: str
) -> None:
    killed = [f"killed (kill -9) at {kind}" for kind in KILLED_AT if kind == demo]
    text = demos.ended_well(demo, *(f"✓ {stage}" for stage in STAGES), *killed)
    review = re.search(r"The review of the incident: (\S+)", text)
    assert review is not None, text
    written = (TREE / review[1]).read_text()
    for said in ("checkout success rate", "release_rollback", "ada", "v2"):
        assert said in written


@pytest.mark.parametrize("story", TOLD)
def test_the_story_comes_to_its_good_end(demos: Demos, story: str) -> None:
    assert demos.ended_well(story, *TOLD[story])
