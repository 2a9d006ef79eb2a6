"""An action stops midway: the metrics or the Commander say whether it goes on, restarts or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import ActionContext, PartDone
from daemon.core.recovery.commands import ContinueStep, StopStep
from daemon.core.reporting.now_and_next import doing, plan_lines
from daemon.core.response.command import NotPossible
from daemon.core.values.outcome import Outcome
from tests.commanding import situated
from tests.fakes import FakeAction
from tests.stories.stage import RULE, Daemon, Stage, alert

BY_REVISION = RULE.replace(
    "recover:",
    """suspects:
  revisions:
    bad: sum by (revision) (bad{service="$service"}[$window])
    total: sum by (revision) (total{service="$service"}[$window])
    label: revision
recover:""",
)


async def rules(daemon: Daemon, command: type[ContinueStep | StopStep], person: str) -> None:
    """A person continues or stops step 1."""
    rule = daemon.stage.rules[0]
    await daemon.does(lambda i: command(1).apply(i, situated(person, rule=rule)), who=person)


class Canary(FakeAction):
    """A rollback that stops after a quarter. `part` is what that does to the service, `whole` what
    all of it does, `back` what taking it back does: the share of failures after it."""

    def __init__(self, stage: Stage, part: float, whole: float, back: float) -> None:
        super().__init__("rollback")
        self.stage, self.part, self.whole, self.back = stage, part, whole, back
        self.landed = "half_done"
        self.restored: float | None = None
        """The share of failures of what is back alone, where it is counted."""
        self.asked = 0
        self.ended: list[str] = []

    def _fails(self, share: float) -> None:
        self.stage.service.fails(share, asyncio.get_running_loop().time())

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        self.runs.append(context.token)
        assert context.suspect is not None
        assert context.suspect.item == "v2"
        assert context.stages is not None
        assert context.within is not None
        ruling = await context.stages.ruled()
        if ruling is None:
            self._fails(self.part)
            if self.restored is not None:
                counted = self.stage.service.groups["revision"]["v1"]
                counted.append((asyncio.get_running_loop().time(), self.restored))
            self.asked += 1
            part = PartDone("1 of 4 pods is back at v1", 0.25, "v1")
            ruling = await context.stages.rule_on(part, context.within / 2)
        self.ended.append("whole" if ruling.go_on else "back")
        self._fails(self.whole if ruling.go_on else self.back)
        if ruling.go_on:
            return Outcome(result="done", reason="rolled_back", detail="all are back")
        return Outcome(result="failed", reason="stage_stopped", detail=ruling.text)


def canary(stage: Stage, part: float = 0.07, whole: float = 0.01, back: float = 0.1) -> Canary:
    action = Canary(stage, part, whole, back)
    stage.actions["rollback"] = action
    return action


async def test_it_goes_on_when_the_first_part_helps(stage: Stage) -> None:
    action = canary(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
        kinds = await daemon.kinds()
    assert action.ended == ["whole"]
    step = incident.steps[1]
    assert step.stage is not None
    assert step.stage.ruling is not None
    assert step.stage.ruling.reason == "part_is_better"
    assert step.verdict == "recovered"
    reached, ruled = kinds.index("StageReached"), kinds.index("StageRuled")
    assert kinds.index("StepPrepared") < reached < ruled < kinds.index("StepFinished")
    assert kinds.count("StageReached") == kinds.count("StageRuled") == 1
    # What was read midway is no reading of the verification, which begins after the step.
    finished = step.finished_at
    assert finished is not None
    assert all(reading.at > finished for reading in step.readings)


async def test_it_is_taken_back_when_the_first_part_does_not_help(stage: Stage) -> None:
    action = canary(stage, part=0.1)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert action.ended == ["back"]
    step = incident.steps[1]
    assert step.stage is not None
    assert step.stage.ruling is not None
    assert step.stage.ruling.reason == "no_sign_in_time"
    assert step.outcome is not None
    assert step.outcome.reason == "stage_stopped"
    assert step.verdict == "unchanged"
    assert stage.actions["flag_off"].runs, "the next alternative is tried"


async def test_it_is_stopped_soon_when_the_first_part_makes_it_worse(stage: Stage) -> None:
    action = canary(stage, part=0.7)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(420)
        incident = await daemon.incident()
    assert action.ended == ["back"]
    step = incident.steps[1]
    assert step.stage is not None
    assert step.stage.ruling is not None
    assert step.stage.ruling.reason == "made_it_worse"


@pytest.mark.parametrize(("restored", "ended"), [(0.01, "whole"), (0.1, "back")])
async def test_where_revisions_are_counted_what_is_back_alone_decides(
    tmp_path: Path, restored: float, ended: str
) -> None:
    """The whole does not move, for so little of it is back."""
    stage = Stage(tmp_path, rule_text=BY_REVISION)
    stage.service.fails(0.1, 60)
    counted = {"v1": [(-7200.0, 0.01)], "v2": [(-7200.0, 0.1)]}
    stage.service.groups = {"revision": counted}
    action = canary(stage, part=0.1)
    action.restored = restored
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(480)
        incident = await daemon.incident()
    assert action.ended == [ended]
    stage_state = incident.steps[1].stage
    assert stage_state is not None
    assert stage_state.ruling is not None
    assert stage_state.ruling.reason == (
        "part_is_well" if ended == "whole" else "part_is_no_better"
    )
    assert "v1 alone" in stage_state.ruling.text


@pytest.mark.parametrize(("command", "ended"), [(ContinueStep, "whole"), (StopStep, "back")])
async def test_the_commander_decides_and_is_not_waited_for(
    stage: Stage, command: Any, ended: str
) -> None:
    action = canary(stage, part=0.1)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.acknowledges("ada")
        with pytest.raises(NotPossible, match="only the Commander"):
            await rules(daemon, command, "bo")
        incident = await daemon.incident()
        assert incident.steps[1].at_stage
        assert doing(incident) == "step 1 waits midway for the metrics: 1 of 4 pods is back at v1"
        line = plan_lines(incident, stage.rules[0], (), stage._approvals(), incident.opened_at)[0]
        assert (line.state, line.allowed) == ("waits midway", ("continue", "stop"))
        assert "or by the Commander's word" in line.why
        await rules(daemon, command, "ada")
        await daemon.at(195)
        incident = await daemon.incident()
        assert action.ended == [ended]
        with pytest.raises(NotPossible, match="only a step that waits midway"):
            await rules(daemon, command, "ada")
    ruling = incident.steps[1].stage
    assert ruling is not None
    assert ruling.ruling is not None
    assert (ruling.ruling.reason, ruling.ruling.person) == ("person", "ada")


@pytest.mark.parametrize("when", [184.0, 200.0, 270.0])
async def test_killed_midway_the_next_daemon_has_it_ruled_on(stage: Stage, when: float) -> None:
    action = canary(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(when)
        assert (await daemon.incident()).steps[1].at_stage
    async with stage.daemon() as daemon:
        await daemon.at(1800)
        incident = await daemon.incident()
        kinds = await daemon.kinds()
    assert action.ended == ["whole"]
    assert action.asked == 2
    assert kinds.count("StageReached") == kinds.count("StageRuled") == 1
    assert incident.steps[1].verdict == "recovered"


async def test_what_was_ruled_before_a_kill_is_not_asked_again(stage: Stage) -> None:
    action = canary(stage, part=0.1)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await rules(daemon, StopStep, "ada")
    assert action.ended == []
    async with stage.daemon() as daemon:
        await daemon.at(200)
        incident = await daemon.incident()
    assert action.ended == ["back"]
    assert action.asked == 1
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert outcome.reason == "stage_stopped"


async def test_a_store_that_is_away_holds_the_ruling_and_no_longer_than_its_time(
    stage: Stage,
) -> None:
    action = canary(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(182)
        stage.journal.full = True
        await daemon.at(400)
        assert action.ended == []
        await daemon.at(600)
        assert action.ended == ["back"]
        stage.journal.full = False
        await daemon.at(700)
        incident = await daemon.incident()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert "the journal cannot be reached" in outcome.detail
