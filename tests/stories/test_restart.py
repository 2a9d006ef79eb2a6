"""The daemon is killed, and the next one goes on where the journal ends."""

from __future__ import annotations

from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from daemon.core.ports.store import StoreDamaged
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import Frozen
from tests.stories.stage import Stage, alert, healed_by

STAGES = {
    "just after the delivery": 180.001,
    "while measuring": 180.03,
    "while the action runs": 183.0,
    "while it settles": 200.0,
    "while recovery is measured": 300.0,
    "while a relapse is watched for": 500.0,
}


@pytest.mark.parametrize("when", STAGES)
async def test_killed_at_any_stage_the_rollback_runs_once(stage: Stage, when: str) -> None:
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(STAGES[when])
    interrupted = len(rollback.runs)
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(3600)
        incident = await daemon.incident()
        kinds = await daemon.kinds()
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert incident.steps[1].verdict == "recovered"
    # A run that the kill interrupted had not landed, so it is carried on under the same token.
    assert len(set(rollback.runs)) == 1
    assert len(rollback.runs) == (2 if when == "while the action runs" else 1), interrupted
    assert kinds.count("StepStarted") == kinds.count("StepFinished") == 1
    assert kinds.count("IncidentOpened") == 1
    called = [page.page for phone in stage.phones.values() for page in phone.pages]
    assert len(called) == len(set(called)) == len(incident.pages)


UNREADABLE = {
    "prepare": "what earlier incidents teach",
    "open_heads": "the open incidents",
    "heads": "unfinished reviews",
}


@pytest.mark.parametrize("damaged", UNREADABLE)
async def test_what_is_unreadable_at_the_start_ends_no_daemon(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    unreadable = AsyncMock(side_effect=StoreDamaged("corrupt", "a page is damaged"))
    if damaged == "prepare":
        stage.prepare = unreadable
    async with stage.daemon() as daemon:
        with capture_logs() as logs:
            if damaged != "prepare":  # as the conductor starts, and no more
                monkeypatch.setattr(stage.journal, damaged, unreadable)
            await daemon.at(0.001)
            monkeypatch.undo()
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        incident = await daemon.incident()
    told = [line for line in logs if line.get("part") == UNREADABLE[damaged]]
    assert [line["log_level"] for line in told] == ["error"]
    assert incident.problem is not None
    assert stage.phones["ada"].pages


async def test_an_action_that_had_landed_is_not_run_again(stage: Stage) -> None:
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
    assert len(rollback.runs) == 1
    rollback.landed = "done"
    stage.service.fails(0.01, 184)
    async with stage.daemon() as daemon:
        await daemon.at(1800)
        incident = await daemon.incident()
    assert len(rollback.runs) == 1
    assert rollback.checks == 1
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert outcome.reason == "found_done"
    assert incident.recovered_by == 1


async def test_when_nobody_can_tell_it_is_not_run_again_but_measured(stage: Stage) -> None:
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
    rollback.landed = "unknown"
    async with stage.daemon() as daemon:
        healed_by(stage, "flag_off")
        await daemon.at(3600)
        incident = await daemon.incident()
    assert len(rollback.runs) == 1
    assert incident.steps[1].outcome == Outcome(
        result="unknown",
        reason="interrupted",
        detail="the daemon stopped while it ran, and nobody can tell whether it happened",
    )
    assert incident.steps[1].verdict == "unchanged"
    assert incident.steps[2].ask_reason == "after_unknown"


@pytest.mark.parametrize(
    "trouble", [[Temporary("the cluster answered 503")] * 99, [Permanent("the token is gone")]]
)
async def test_a_target_that_cannot_be_looked_at_after_a_kill_may_have_been_changed(
    stage: Stage, trouble: list[Exception]
) -> None:
    """It had landed, but its server says nothing: the metrics are asked, nothing is repeated."""
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
    rollback.trouble = trouble
    stage.service.fails(0.01, 184)
    async with stage.daemon() as daemon:
        await daemon.at(3600)
        incident = await daemon.incident()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert (outcome.result, outcome.reason) == ("unknown", "interrupted")
    assert "its target cannot be looked at" in outcome.detail
    assert len(rollback.runs) == 1
    assert stage.actions["flag_off"].runs == []
    assert incident.steps[1].verdict == "self_recovered", "nobody knows, so nobody has the credit"


async def test_a_hiccup_of_the_target_after_a_kill_is_sat_out(stage: Stage) -> None:
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
    rollback.trouble, rollback.landed = [Temporary("503")] * 3, "done"
    stage.service.fails(0.01, 184)
    async with stage.daemon() as daemon:
        await daemon.at(1800)
        incident = await daemon.incident()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert outcome.reason == "found_done"
    assert rollback.checks == 4
    assert len(rollback.runs) == 1


async def test_a_hiccup_of_the_target_before_acting_is_sat_out(stage: Stage) -> None:
    rollback = stage.actions["rollback"]
    rollback.trouble = [Temporary("the controller has not taken it up")] * 3
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert len(rollback.runs) == 1
    assert incident.recovered_by == 1
    assert stage.actions["flag_off"].runs == []


async def test_a_page_that_was_queued_is_delivered_by_the_next_daemon(stage: Stage) -> None:
    for phone in stage.phones.values():
        phone.broken = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        incident = await daemon.incident()
        assert incident.pages["r0.t0.ada"].given_up
        assert incident.pages["r0.t1.bo"].given_up, "an unreachable tier is passed at once"
    for phone in stage.phones.values():
        phone.broken = False
    async with stage.daemon() as daemon:
        await daemon.at(600)
        assert [page.page for page in stage.phones["ada"].pages] == ["r1.t0.ada"]


async def test_escalation_keeps_its_time_through_a_restart(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
    async with stage.daemon() as daemon:
        await daemon.at(479)
        assert stage.phones["bo"].pages == []
        await daemon.at(481)
        assert len(stage.phones["bo"].pages) == 1
        assert len(stage.phones["ada"].pages) == 1


async def test_the_timer_is_in_the_store(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        incident = await daemon.incident()
        head = stage.journal.rows[incident.id]
    assert head.wake_at is not None
    assert head.wake_at > daemon.repository.clock()


async def test_a_step_that_the_next_version_cannot_carry_on_ends_and_frees_its_target(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Params(Frozen):
        """What the action of the next version takes."""

        other: int

    async with stage.daemon() as daemon:
        stage.service.fails(0.10, 60)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
    rollback = stage.actions["rollback"]
    monkeypatch.setattr(rollback, "Params", Params)
    async with stage.daemon() as daemon:
        await daemon.at(1200)
        incident = await daemon.incident()
        kinds = await daemon.kinds()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert (outcome.result, outcome.reason) == ("unknown", "step_crashed")
    assert "look at shop by hand" in outcome.detail
    assert kinds.count("EffectClaimed") < 20
    assert all(run.finished is not None for run in stage.journal.runs)
