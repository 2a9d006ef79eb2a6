"""Who is called, and who commands."""

from __future__ import annotations

import asyncio

from tests import commanding
from tests.stories.stage import Stage, alert


async def test_the_first_responder_commands_and_the_second_only_responds(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        await asyncio.gather(*(daemon.acknowledges(name) for name in ("bo", "ada", "cy", "bo")))
        incident = await daemon.incident()
        kinds = await daemon.kinds()
    assert incident.commander == "bo"
    assert incident.responders == ("bo", "ada", "cy")
    assert kinds.count("CommanderAppointed") == 1


async def test_an_acknowledgement_stops_the_escalation(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.acknowledges("ada")
        await daemon.at(1200)
    assert [page.page for page in stage.phones["bo"].pages] == ["role-communicator.1.bo"]


async def test_unacknowledged_it_goes_on_calling_with_current_facts(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(180 + 3600)
        ada, bo = stage.phones["ada"].pages, stage.phones["bo"].pages
        incident = await daemon.incident()
    escalated = [p for p in ada if p.page.startswith("r") and p.page[1].isdigit()]
    assert len(escalated) == 7
    assert len(bo) == 6
    assert "measuring now" in escalated[0].text
    assert "90.0 %" in escalated[1].text
    assert incident.diagnosis is not None
    assert incident.diagnosis.reason == "no_plan"


async def test_a_person_closes_an_incident(stage: Stage) -> None:
    stage.rules.clear()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        incident = await daemon.does(commanding.close, "ada", "a test")
        await daemon.at(200)
    assert incident.closed is not None
    assert incident.closed.text == "ada: a test"
    assert (stage.folder / f"{incident.id}.md").exists()
