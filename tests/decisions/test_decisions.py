"""Every written scenario, played on the real code: does it act when it should, and only then?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.decisions.matrix import DECISION
from tests.decisions.scenario import Played, Scenario, play, read

SCENARIOS = read(Path(__file__).parent)


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    names = [scenario.scenario for scenario in SCENARIOS]
    assert len(names) == len(set(names)) >= 40
    assert {scenario.expect.should for scenario in SCENARIOS} == {"act", "refrain"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.scenario)
async def test_scenario(
    scenario: Scenario, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    played = await play(scenario, tmp_path)
    record_property(DECISION, [scenario.expect.should, bool(played.acted)])
    assert _seen(played, scenario) == _wanted(scenario)


def _wanted(scenario: Scenario) -> dict[str, object]:
    expect = scenario.expect
    wanted: dict[str, object] = {
        "verdict": expect.verdict,
        "acts": expect.acts,
        "reasons": expect.reasons,
        "verdicts": expect.verdicts,
        "asks": expect.asks,
        "observes": expect.observes,
    }
    return {**wanted, "phase": expect.phase} if expect.phase else wanted


def _seen(played: Played, scenario: Scenario) -> dict[str, object]:
    """What came of it, in the words of the scenario."""
    incident, expect = played.incident, scenario.expect
    problem = incident.confirmed or incident.problem
    seen: dict[str, object] = {
        "verdict": problem.verdict if problem else "",
        "acts": played.acted,
        # The first reason is the decision; later ones may follow from it, and are not told.
        "reasons": {step: found[0] for step, found in played.refusals.items()},
        "verdicts": {n: s.verdict for n, s in incident.steps.items() if s.verdict},
        "asks": tuple(n for n, s in sorted(incident.steps.items()) if s.ask_reason),
        "observes": tuple(dict.fromkeys(played.observed)),
    }
    return {**seen, "phase": incident.phase} if expect.phase else seen
