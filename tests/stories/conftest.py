"""Stories run in the loop's time, which leaps from event to event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stories.stage import Stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every story is told in accelerated time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.looptime(noop_cycles=1))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A service that deployed v2 at 50 s and fails a tenth of its requests from 60 s on."""
    stage = Stage(tmp_path)
    stage.service.fails(0.10, 60)
    return stage
