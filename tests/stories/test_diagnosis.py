"""The dossier: gathered once recovery has ended, in nobody's way, and once over any restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from daemon.core.diagnosis.commands import OrderDiagnosis
from daemon.core.incident.events import Event
from daemon.core.incident.state import Incident
from tests.commanding import given, jump
from tests.fakes import START
from tests.stories.stage import Daemon, Stage, alert, healed_by


async def test_it_is_gathered_once_service_is_restored_and_not_before(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(3600)
        kinds = await daemon.kinds()
        incident = await daemon.incident()
    assert kinds.count("DossierGathered") == 1
    assert kinds.index("DossierGathered") > kinds.index("Recovered")
    dossier = incident.causes.dossier
    assert dossier is not None
    # What fails after a step acted is not compared: the step may be why.
    assert incident.steps[1].started_at is not None
    assert dossier.end <= incident.steps[1].started_at
    assert [one.text for one in incident.causes.hypotheses.values()] == ["the change v2 caused it"]


async def test_it_is_gathered_where_recovery_is_exhausted(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        kinds = await daemon.kinds()
    assert kinds.count("DossierGathered") == 1
    assert kinds.index("DossierGathered") > kinds.index("DiagnosisOpened")


async def test_killed_while_it_is_gathered_the_next_daemon_gathers_it_once(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await diagnosis_opens(daemon)
        assert "DossierGathered" not in await daemon.kinds()
    async with stage.daemon() as daemon:
        await daemon.at(stage_time() + 600)
        assert (await daemon.kinds()).count("DossierGathered") == 1
    async with stage.daemon() as daemon:
        await daemon.at(stage_time() + 600)
        assert (await daemon.kinds()).count("DossierGathered") == 1


async def test_the_commander_has_it_gathered_while_a_step_waits(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        await daemon.acknowledges("ada")
        await daemon.at(300)
        before = await daemon.incident()
        assert before.causes.dossier is None
        assert before.phase == "deciding"
        rule = stage.rules[0]
        await daemon.does(given, OrderDiagnosis("we have hands free"), "ada", rule=rule, who="ada")
        await daemon.at(400)
        after = await daemon.incident()
    assert after.causes.gathered == 1
    assert after.causes.ordered_by == "ada"
    assert after.phase == "deciding", "the plan goes on"
    assert after.step(1).awaits_approval


async def test_a_slow_dossier_delays_no_page(stage: Stage) -> None:
    """Twenty seconds for each answer: a dossier takes its whole time, and people are called on."""
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await diagnosis_opens(daemon)
        opened = stage_time()
        stage.service.answer_after = 20
        await daemon.at(opened + 5)
        await daemon.acknowledges("ada")
        now = START + timedelta(seconds=stage_time())
        await daemon.does(jump, stage.roster, 2, "ada", now, who="ada")
        await daemon.at(opened + 6)
        assert any("ada calls for you" in page.text for page in stage.phones["bo"].pages)
        await daemon.at(opened + 29)
        assert "DossierGathered" not in await daemon.kinds()
        await daemon.at(opened + 90)
        dossier = (await daemon.incident()).causes.dossier
    assert dossier is not None
    assert dossier.seconds <= 30.5
    assert any("the time of a dossier was over" in limit for limit in dossier.limits)


async def diagnosis_opens(daemon: Daemon) -> None:
    """Wait for the very moment."""
    opened = asyncio.Event()

    def hear(_: Incident | None, __: Incident, events: Sequence[Event]) -> None:
        if any(event.kind == "DiagnosisOpened" for event in events):
            opened.set()

    daemon.repository.listeners.append(hear)
    await opened.wait()


def stage_time() -> float:
    """Seconds since START, by the story's clock."""
    return asyncio.get_running_loop().time()
