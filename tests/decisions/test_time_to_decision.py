"""How soon it acts: from the onset to the start of the rollback, the wait for the alert and all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.decisions.scenario import play, read
from tests.fakes import START

ONSET = START + timedelta(minutes=2)
"""What these scenarios tell of begins at 14:02."""
SCENARIOS = {scenario.scenario: scenario for scenario in read(Path(__file__).parent)}


@pytest.mark.parametrize("name", ["Requests take five times as long after a deployment"])
async def test_it_acts_within_a_minute_and_a_half_of_the_onset(name: str, tmp_path: Path) -> None:
    played = await play(SCENARIOS[name], tmp_path)
    started = played.incident.steps[1].started_at
    assert started is not None
    assert ONSET < started <= ONSET + timedelta(seconds=90)
