"""When the daemon does not act, and says why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.incident.events import Entry, StepRefused, StepSkipped
from daemon.core.recovery.guardrails import Freeze
from daemon.core.response.command import NotPossible
from tests import commanding
from tests.fakes import START
from tests.stories.stage import Daemon, Stage, alert, healed_by, lowered


async def reasons(daemon: Daemon) -> list[tuple[int, str]]:
    """(step, reason) of each refusal and skip, in order."""
    incident = await daemon.incident()
    entries: list[Entry] = daemon.stage.journal.entries[incident.id]
    return [
        (entry.event.step, entry.event.reason)
        for entry in entries
        if isinstance(entry.event, StepRefused | StepSkipped)
    ]


def untouched(stage: Stage) -> bool:
    """Whether no action ran."""
    return not any(action.runs for action in stage.actions.values())


async def test_without_an_approval_the_commander_is_asked_and_may_say_yes(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(600)
        assert untouched(stage)
        assert await reasons(daemon) == [(1, "not_approved")]
        await daemon.does(commanding.approve, stage.rules[0], 1, "ada")
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.steps[1].authority == "approved by ada"
    assert incident.recovered_by == 1


async def test_only_the_commander_approves(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        with pytest.raises(NotPossible, match="nobody; acknowledge"):
            await daemon.does(commanding.approve, stage.rules[0], 1, "ada")
        await daemon.acknowledges("ada")
        await daemon.acknowledges("bo")
        with pytest.raises(NotPossible, match=r"only the Commander .* ada"):
            await daemon.does(commanding.approve, stage.rules[0], 1, "bo")


async def test_an_edited_step_voids_its_approval(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        edited = stage.rules[0].recover[0].model_copy(update={"within": timedelta(minutes=11)})
        approvals = stage._approvals()
        stage.rules[0] = stage.rules[0].model_copy(
            update={"recover": (edited, *stage.rules[0].recover[1:])}
        )
        standing, text = approvals.state_of(stage.rules[0], 1, START)
        assert standing == "approval_void"
        assert "ada" in text
        assert daemon is not None


async def test_a_freeze_holds_and_the_thaw_lets_it_act(stage: Stage) -> None:
    freeze = Freeze(scope="global", reason="migration", by="cy", at=START)
    await stage.journal.freeze(freeze)
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(900)
        assert untouched(stage)
        assert await reasons(daemon) == [(1, "frozen")]
        await stage.journal.thaw("global", "cy", START)
        await daemon.at(1800)
        assert (await daemon.incident()).recovered_by == 1


async def test_a_freeze_holds_through_a_restart(stage: Stage) -> None:
    await stage.journal.freeze(Freeze(scope="global", reason="migration", by="cy", at=START))
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
    async with stage.daemon() as daemon:
        await daemon.at(1800)
        assert untouched(stage)
        assert await reasons(daemon) == [(1, "frozen")]


async def test_a_paused_incident_starts_nothing_until_it_is_resumed(stage: Stage) -> None:
    stage.service.answer_after = 5.0
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        await daemon.does(commanding.pause, "bo", "by hand")
        await daemon.at(900)
        assert untouched(stage)
        await daemon.does(commanding.resume, "bo")
        await daemon.at(1800)
        assert (await daemon.incident()).recovered_by == 1


async def test_a_vetoed_step_is_never_run(stage: Stage) -> None:
    stage.service.answer_after = 5.0
    async with stage.daemon() as daemon:
        healed_by(stage, "flag_off")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        await daemon.does(commanding.veto, stage.rules[0], 1, "bo")
        await daemon.at(1800)
        incident = await daemon.incident()
    assert stage.actions["rollback"].runs == []
    assert incident.recovered_by == 2


async def test_the_second_recovery_of_a_target_needs_a_person(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1200)
        stage.deployed("v1", at=190)
        stage.deployed("v3", at=1300)
        stage.service.fails(0.1, 1310)
        await daemon.at(1500)
        await daemon.receives(alert(started=1400))
        await daemon.at(1900)
        second = (await stage.incidents())[1]
    assert second.step(1).ask_reason == "cooldown"
    assert len(stage.actions["rollback"].runs) == 1


async def test_the_budget_is_spent_by_every_attempt(stage: Stage) -> None:
    lowered(stage, budgets={"global": 1})
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "unchanged"
    assert incident.step(2).ask_reason == "budget_spent"
    assert stage.actions["flag_off"].runs == []


async def test_one_target_is_acted_on_by_one_incident_at_a_time(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stage.actions["rollback"].takes = 200.0
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.receives(alert(service="basket"))
        await daemon.at(300)
        both = await stage.incidents()
    (acting,) = [i for i in both if i.phase == "recovering"]
    (waiting,) = [i for i in both if i.id != acting.id]
    assert waiting.step(1).refusal == "target_locked"
    assert len(stage.actions["rollback"].runs) == 1


async def test_two_suspect_changes_are_ambiguous_and_nothing_is_rolled_back(stage: Stage) -> None:
    stage.deployed("search-7", at=55, subject="search")
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(400)
        assert (await reasons(daemon))[0] == (1, "ambiguous_suspects")
    assert stage.actions["rollback"].runs == []


async def test_without_a_suspect_change_nothing_is_rolled_back(stage: Stage) -> None:
    stage.changes.clear()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(400)
        assert (await reasons(daemon))[0] == (1, "no_suspect_change")
    assert stage.actions["rollback"].runs == []


async def test_a_label_that_is_no_plain_name_reaches_no_action(stage: Stage) -> None:
    step = stage.rules[0].recover[0].model_copy(update={"params": {"target": "$service"}})
    rule = stage.rules[0].model_copy(update={"recover": (step,)})
    stage.rules[0] = rule
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert(service="$(touch x); rm -rf /"))
        await daemon.at(400)
        assert await reasons(daemon) == [(1, "unsafe_label")]
    assert untouched(stage)


async def test_metrics_that_look_healthy_again_stop_an_approved_step(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        stage.service.fails(0.01, 300)
        await daemon.at(365)
        await daemon.does(commanding.approve, stage.rules[0], 1, "ada")
        await daemon.at(1800)
        incident = await daemon.incident()
    assert untouched(stage)
    assert incident.recovered_by == 0


async def test_without_fresh_data_an_approved_step_is_not_started(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        stage.service.down = "connection refused"
        await daemon.at(600)
        await daemon.does(commanding.approve, stage.rules[0], 1, "ada")
        await daemon.at(1800)
        assert (1, "no_fresh_data") in await reasons(daemon)
        assert untouched(stage)
