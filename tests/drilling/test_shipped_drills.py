"""The shipped scenarios, each played on the daemon's own code by people who do it well."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.app.rule_cases import house_for
from daemon.app.watches import WATCHES, unrestricted
from daemon.cli import main
from daemon.config.rules_folder import read_ruleset
from daemon.config.settings import Settings
from daemon.core.drills.score import DrillReport
from daemon.core.recovery.commands import ApproveStep
from daemon.core.response.command import Command
from daemon.core.response.commands import Acknowledge, Note
from daemon.core.response.role_commands import FillRole
from tests.drilling.scene import SCENARIOS, DrillScene, missed

Moves = Sequence[tuple[float, str, Command]]
"""(seconds after the beginning, person, what they do)."""


def played(name: str, moves: Moves = ()) -> tuple[DrillScene, DrillReport]:
    """The scene after the scenario has come to its end, and the report."""
    reports: list[DrillReport] = []

    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(SCENARIOS[name], "person:bo")
        for at, person, command in moves:
            await scene.until(mark, at)
            await scene.moves(person, command, mark)
        await scene.until(mark, SCENARIOS[name].lasts.total_seconds() + 5)
        reports.append(scene.report(mark))

    scene = DrillScene().run(story)
    assert scene.drills.under_way == []
    assert scene.metrics.asked == []
    assert scene.daemon.refused_moves == []
    return scene, reports[0]


def test_at_least_eight_scenarios_are_shipped() -> None:
    assert len(SCENARIOS) >= 8
    assert all(scenario.why for scenario in SCENARIOS.values())


ACK = Acknowledge()
WELL: dict[str, Moves] = {
    "bad-deployment": [(60, "ada", ACK)],
    "dependency-outage": [
        (75, "ada", ACK),
        (80, "ada", FillRole("diagnosis", "ada")),
        (120, "bo", FillRole("communicator", "bo")),
        (240, "ada", Note("the payment provider has a broken database")),
    ],
    "storm": [(75, "ada", ACK), (200, "bo", FillRole("communicator", "bo"))],
    "monitoring-outage": [(75, "ada", ACK)],
    "slow-burn": [
        (300, "ada", ACK),
        (310, "bo", FillRole("diagnosis", "bo")),
        (700, "bo", Note("the table has no index")),
    ],
    "silent-commander": [(75, "ada", ACK), (1500, "bo", ACK), (1700, "bo", ApproveStep(2))],
    "rollback-makes-it-worse": [
        (75, "ada", ACK),
        (100, "bo", FillRole("communicator", "bo")),
        (200, "ada", ApproveStep(2)),
    ],
    "lost-pager": [(150, "bo", ACK)],
}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_team_that_does_it_well_meets_all_that_is_expected(name: str) -> None:
    _, report = played(name, WELL[name])
    assert missed(report) == []
    assert report.percent == 100
    assert report.ending == "finished"
    assert all(one.title.startswith("[DRILL] ") for one in report.incidents)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_team_that_does_nothing_misses_what_people_have_to_do(name: str) -> None:
    _, report = played(name)
    assert "commander" in missed(report)
    assert report.points < report.out_of


def test_the_drill_that_init_writes_is_held_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["stopgap", "init", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in {0, None}
    house = house_for(Settings(), tmp_path / "rules", restricted=False)
    (me,) = house.roster.people
    read = read_ruleset([tmp_path / "rules"], unrestricted(house.actions), WATCHES).drills
    (scenario,) = read.scenarios.values()

    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(scenario, f"person:{me}")
        await scene.until(mark, 300)
        await scene.moves(me, Acknowledge(), mark)
        (drill,) = scene.incidents(mark)
        assert drill.confirmed is not None
        await scene.until(mark, 1205)
        assert "commander" not in missed(scene.report(mark))
        assert scene.report(mark).ending == "finished"

    DrillScene(house=house).run(story)
