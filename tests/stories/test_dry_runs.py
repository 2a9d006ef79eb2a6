"""Whoever is asked sees what they approve: the step is tried as far as it changes nothing."""

from __future__ import annotations

from daemon.core.incident import events as e
from daemon.core.incident.dry_run import DRY_RUN_LASTS
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import Refused
from daemon.core.reporting.step_briefing import brief
from tests import commanding
from tests.stories.stage import Daemon, Stage, alert, healed_by


def dry_runs(stage: Stage, incident: Incident) -> list[e.StepRehearsed]:
    events = (entry.event for entry in stage.journal.entries[incident.id])
    return [event for event in events if isinstance(event, e.StepRehearsed)]


async def asked(daemon: Daemon) -> Incident:
    """An incident whose first step waits for the Commander, a while ago."""
    await daemon.at(180)
    await daemon.receives(alert())
    await daemon.at(200)
    return await daemon.incident()


async def test_a_step_that_is_asked_is_tried_once_and_again_when_that_is_old(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        incident = await asked(daemon)
        (made,) = dry_runs(stage, incident)
        assert (made.step, made.passed, made.text) == (1, True, "do rollback")
        briefing = brief(incident.step(1), None, {"rollback": "can be undone"})
        assert (briefing.tried, briefing.risk) == ("dry run passed", "can be undone")
        assert briefing.label == "v2 → v1 on shop"
        assert "approved" in briefing.why
        await daemon.at(180 + DRY_RUN_LASTS.total_seconds() - 60)
        assert len(dry_runs(stage, await daemon.incident())) == 1
        await daemon.at(200 + DRY_RUN_LASTS.total_seconds() + 60)
        assert len(dry_runs(stage, await daemon.incident())) == 2
        assert stage.actions["rollback"].runs == []


async def test_an_approval_after_a_dry_run_is_carried_out(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await asked(daemon)
        await daemon.acknowledges("ada")
        await daemon.does(commanding.approve, stage.rules[0], 1, "ada", who="ada")
        await daemon.at(900)
        incident = await daemon.incident()
        assert incident.step(1).verdict == "recovered"
        assert len(dry_runs(stage, incident)) == 1


async def test_a_dry_run_that_is_refused_says_why_and_skips_nothing(stage: Stage) -> None:
    stage.approved = False
    stage.actions["rollback"].refuse = Refused("no_healthy_item", "nothing was measured healthy")
    async with stage.daemon() as daemon:
        incident = await asked(daemon)
        (made,) = dry_runs(stage, incident)
        assert (made.passed, made.reason) == (False, "no_healthy_item")
        assert incident.step(1).awaits_approval
        briefing = brief(incident.step(1), None)
        assert briefing.tried == "dry run refused"
        assert briefing.trouble == "nothing was measured healthy"


async def test_what_runs_by_itself_is_not_tried_before(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        incident = await asked(daemon)
        assert dry_runs(stage, incident) == []
