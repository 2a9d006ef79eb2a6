"""A rule that acted wrongly asks from then on, in all incidents and after restarts, until a person
trusts it again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from daemon.core.changes.change import Change
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.autonomy import AutomaticDecision, AutonomyRecord
from daemon.recovering.autonomy import NotWithdrawn
from tests import commanding
from tests.fakes import START
from tests.stories.stage import RULE, Daemon, Stage, alert, healed_by, lowered

NAME = "checkout-success-rate"


@pytest.fixture
def stage(tmp_path: object) -> Stage:
    """The rollback brings no cure unless a story says so; there is no other step."""
    text = RULE.replace("  - {action: flag_off, with: {target: shop}, approval: automatic}\n", "")
    return Stage(tmp_path, rule_text=text)  # type: ignore[arg-type]


def events_of(stage: Stage, incident: Incident, kind: type[e.Event]) -> list[e.Event]:
    return [x.event for x in stage.journal.entries[incident.id] if isinstance(x.event, kind)]  # type: ignore[arg-type]


async def made_worse(stage: Stage, daemon: Daemon) -> Incident:
    """The rollback makes it worse."""
    loop = asyncio.get_running_loop()
    stage.service.fails(0.2, 100)
    stage.actions["rollback"].effect = lambda: stage.service.fails(0.9, loop.time())
    await daemon.at(180)
    await daemon.receives(alert())
    await daemon.at(900)
    return (await stage.incidents())[0]


async def test_an_act_that_made_it_worse_costs_the_autonomy_and_people_hear_of_it(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        incident = await made_worse(stage, daemon)
        assert incident.steps[1].verdict == "worse"
        [lost] = events_of(stage, incident, e.AutonomyWithdrawn)
        assert isinstance(lost, e.AutonomyWithdrawn)
        assert lost.reason == "act_made_it_worse"
        assert "made it worse: step 1 (rollback)" in daemon.keeper.withdrawn(NAME)
        texts = [page.text for page in stage.phones["cy"].pages]  # the team's lead
        assert any("asks for each step from now on" in text for text in texts)
        metrics = (await daemon.telemetry.scrape()).decode()
        assert "stopgap_rules_autonomy_withdrawn 1.0" in metrics


async def test_the_next_incident_asks_also_after_a_restart_until_a_person_trusts_it(
    stage: Stage,
) -> None:
    lowered(stage, cooldown=timedelta(0), flap=timedelta(0))
    async with stage.daemon() as daemon:
        first = await made_worse(stage, daemon)
        ran = len(stage.actions["rollback"].runs)
    healed = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        await daemon.receives(alert(service="cart", started=900))
        await daemon.at(1200)
        [second] = [i for i in await stage.incidents() if i.id != first.id]
        assert second.steps[1].ask_reason == "autonomy_withdrawn"
        assert len(healed.runs) == ran
        with pytest.raises(NotWithdrawn):
            await daemon.keeper.trust("another", "ada", "mended")
        healed_by(stage, "rollback")
        await daemon.keeper.trust(NAME, "ada", "the health check is mended")
        assert daemon.keeper.withdrawn(NAME) == ""
        await daemon.at(1260)
        assert len(healed.runs) == ran + 1
        [restored] = events_of(stage, first, e.AutonomyRestored)
        assert restored == e.AutonomyRestored(
            step=1, person="ada", reason="the health check is mended"
        )
    async with stage.daemon() as daemon:
        assert daemon.keeper.withdrawn(NAME) == ""
        assert len(events_of(stage, first, e.AutonomyWithdrawn)) == 1


async def test_what_is_put_back_after_the_incident_was_closed_is_told_to_the_lead(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        stage.service.fails(0.2, 100)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.receives(alert("resolved", ended=400))
        await daemon.at(2400)
        incident = await daemon.incident()
        assert (incident.steps[1].verdict, incident.phase) == ("recovered", "closed")
        assert daemon.keeper.withdrawn(NAME) == ""
        at = START + timedelta(seconds=2500)
        await daemon.at(2500)
        await stage.journal.saw_change(
            Change(subject="shop", item="v2", previous="v1", at=at, seen_by="test")
        )
        await daemon.at(2600)
        assert "v2 was put back at" in daemon.keeper.withdrawn(NAME)
        texts = [page.text for page in stage.phones["cy"].pages]
        assert sum("asks for each step from now on" in text for text in texts) == 1


async def test_two_vetoes_in_two_incidents_are_enough(stage: Stage) -> None:
    stage.service.fails(0.2, 100)
    stage.actions["rollback"].prepares = 20
    async with stage.daemon() as daemon:
        for number, service in enumerate(("shop", "cart"), 1):
            begin = 180 + 300 * number
            await daemon.at(begin)
            await daemon.receives(alert(service=service, started=begin - 60))
            await daemon.at(begin + 10)
            incident = (await stage.incidents())[-1]
            await daemon.repository.record(
                incident.id,
                lambda i: commanding.acknowledge(i, "ada", "test"),
                by="person:ada",
            )
            await daemon.repository.record(
                incident.id,
                lambda i: commanding.veto(i, stage.rules[0], 1, "ada"),
                by="person:ada",
            )
            await daemon.at(begin + 60)
            assert bool(daemon.keeper.withdrawn(NAME)) == (number == 2)
        record = daemon.keeper.record(NAME)
        assert record.withdrawal is not None
        assert record.withdrawal.reason == "often_overruled"
        assert record.counts["overruled"] == 2
        assert stage.actions["rollback"].runs == []


async def test_a_crash_before_the_record_was_kept_loses_nothing(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await made_worse(stage, daemon)
    stage.notes.words.clear()
    async with stage.daemon() as daemon:
        assert "made it worse" in daemon.keeper.withdrawn(NAME)
        await daemon.at(1000)
        [incident] = await stage.incidents()
        assert len(events_of(stage, incident, e.AutonomyWithdrawn)) == 1


async def test_a_step_that_prepares_is_taken_back_when_another_turns_out_wrong(
    stage: Stage,
) -> None:
    stage.service.fails(0.2, 100)
    stage.actions["rollback"].prepares = 20
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        assert (await daemon.incident()).steps[1].status == "running"
        wrong = AutomaticDecision(
            incident="another", step=1, action="rollback", at=START, judgement="wrong"
        )
        daemon.keeper._records[NAME] = AutonomyRecord().learning([wrong]).judged(START)
        await daemon.at(260)
        step = (await daemon.incident()).steps[1]
        assert (step.taken_back, step.ask_reason) == ("autonomy_withdrawn", "autonomy_withdrawn")
        assert stage.actions["rollback"].runs == []
