"""Scenarios run in the loop's time; at the end a report says how the decisions came out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

RESULTS = pytest.StashKey[dict[str, tuple[str, bool]]]()
"""What each scenario should do, and whether the daemon acted."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[RESULTS] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every scenario is played in accelerated time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.looptime)


@pytest.fixture
def results(request: pytest.FixtureRequest) -> dict[str, tuple[str, bool]]:
    """Where a scenario's decision is put down."""
    found: dict[str, tuple[str, bool]] = request.config.stash[RESULTS]
    return found


def matrix(results: dict[str, tuple[str, bool]]) -> list[str]:
    """The confusion matrix: what should be done against what was."""
    counts = Counter(results.values())
    lines = [f"{len(results)} scenarios          acted   refrained"]
    for should in ("act", "refrain"):
        acted, refrained = counts[(should, True)], counts[(should, False)]
        lines.append(f"  should {should:<8} {acted:>10} {refrained:>11}")
    wrong = counts[("refrain", True)] + counts[("act", False)]
    return [*lines, f"  wrong decisions: {wrong}"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the matrix."""
    results = config.stash.get(RESULTS, {})
    if results:
        terminalreporter.section("decisions")
        for line in matrix(results):
            terminalreporter.write_line(line)
