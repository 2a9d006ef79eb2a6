"""The other stories of the sandbox, on the real shop, Prometheus and Alertmanager: each ends with
0 only if every stage happened and nothing was done to the shop that should not have been."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.demos import WITHIN, Run, ended_well, playing

TOLD = {
    "second": ("it did not help", "second alternative started", "it alone has the credit"),
    "storm": ("five incidents, one call", "held back by the storm", "nothing was touched: v2"),
    "conflict": ("a colleague deploys v3 just then", "rollback stopped", "nothing was touched: v3"),
    "drill": ("A red team", "[DRILL]", "the drill scored: 4 of 4"),
    "freeze": ("killed (kill -9)", "frozen", "everything was done exactly once"),
}
"""What each story must tell, among the rest."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """One run for each story, all started at once."""
    wanted: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        story: ((), {"STORY": story}) for story in TOLD
    }
    with playing(tmp_path_factory.mktemp("stories"), wanted) as started:
        yield started


@pytest.mark.timeout(WITHIN + 30)
@pytest.mark.parametrize("story", TOLD)
def test_the_story_comes_to_its_good_end(runs: dict[str, Run], story: str) -> None:
    text = ended_well(runs[story])
    for said in TOLD[story]:
        assert said in text, text
