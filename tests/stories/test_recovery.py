"""From the alert to the proof: what the daemon does about a confirmed problem."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.incident.events import SamplesRecorded
from daemon.core.ports.actions import Refused
from daemon.core.values.outcome import Outcome
from tests import commanding
from tests.fakes import START
from tests.stories.stage import Stage, alert, healed_by


async def test_a_bad_deployment_is_rolled_back_and_the_recovery_proven(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        assert (await daemon.acknowledges("ada")).commander == "ada"
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert incident.steps[1].verdict == "recovered"
    assert incident.recovered_by == 1
    assert stage.actions["rollback"].runs == [f"{incident.id}/1"]
    assert stage.actions["flag_off"].runs == []
    problem = incident.confirmed
    assert problem is not None
    assert problem.text.startswith("success rate 99.0 % → 90.0 % since 14:0")
    assert problem.onset is not None
    assert abs(problem.onset - (START + timedelta(seconds=60))) <= timedelta(seconds=30)
    assert incident.severity == "sev2"
    assert (stage.folder / f"{incident.id}.md").read_text().startswith("# Incident ")
    assert stage.journal.marked == {("shop", "v2"): "bad", ("shop", "v1"): "healthy"}


async def test_a_second_outage_soon_after_a_long_one_is_measured_against_what_was_normal(
    stage: Stage,
) -> None:
    stage.service.fails(0.01, 2160)
    stage.service.fails(0.20, 3200)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(2400)
        await daemon.receives(alert("resolved", ended=2300))
        await daemon.at(3260)
        await daemon.receives(alert(started=3240))
        await daemon.at(3290)
        first, second = await stage.incidents()
    assert first.closed is not None
    assert second.confirmed is not None
    assert second.confirmed.baseline == pytest.approx(0.99, abs=0.005)


async def test_paging_and_measuring_start_at_the_same_moment(stage: Stage) -> None:
    stage.service.answer_after = 60.0
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        assert len(stage.phones["ada"].pages) == 1
        assert "measuring now" in stage.phones["ada"].pages[0].text
        assert (await daemon.incident()).problem is None


async def test_the_second_alternative_is_tried_when_the_first_does_not_help(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "flag_off")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(3600)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "unchanged"
    assert incident.steps[2].verdict == "recovered"
    assert incident.recovered_by == 2


async def test_a_step_that_makes_it_worse_stops_the_plan_until_a_person_decides(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback", share=0.5)
        healed_by(stage, "flag_off")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(900)
        incident = await daemon.incident()
        assert incident.steps[1].verdict == "worse"
        assert incident.steps[2].ask_reason == "after_worse"
        assert not stage.actions["flag_off"].runs
        await daemon.acknowledges("ada")
        await daemon.does(commanding.approve, stage.rules[0], 2, "ada", who="ada")
        await daemon.at(3600)
        incident = await daemon.incident()
    assert incident.steps[2].verdict == "recovered"


async def test_a_partial_recovery_calls_a_person_before_the_next_step(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback", share=0.04)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "partial"
    assert incident.step(2).ask_reason == "after_partial"
    assert stage.actions["flag_off"].runs == []
    assert any("partial" in page.text for page in stage.phones["ada"].pages)
    assert any("partial" in page.text for page in stage.phones["cy"].pages)


async def test_no_traffic_after_the_step_is_inconclusive_and_calls_a_person(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stage.actions["rollback"].effect = lambda: stage.service.rate.append((186.0, 0.0))
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(3600)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "inconclusive"
    assert incident.recovered_at is None
    assert stage.actions["flag_off"].runs == []
    assert any("inconclusive" in page.text for page in stage.phones["cy"].pages)


async def test_a_refused_preflight_changes_nothing_and_the_next_step_is_tried(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stage.actions["rollback"].refuse = Refused("no_healthy_item", "nothing good is known")
        healed_by(stage, "flag_off")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert stage.actions["rollback"].runs == []
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert (outcome.result, outcome.reason) == ("refused", "no_healthy_item")
    assert incident.steps[1].verdict is None
    assert incident.recovered_by == 2


async def test_a_failed_step_gets_no_credit_for_a_recovery(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        stage.actions["rollback"].outcome = Outcome(
            result="failed", reason="restart_failed", detail="the restart failed"
        )
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "self_recovered"
    assert incident.recovered_by == 0


async def test_an_exhausted_plan_opens_diagnosis_and_calls_the_lead(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(3600)
        incident = await daemon.incident()
    assert [incident.steps[n].verdict for n in (1, 2)] == ["unchanged", "unchanged"]
    assert incident.diagnosis is not None
    assert incident.diagnosis.reason == "plan_exhausted"
    assert incident.phase == "diagnosing"
    assert any("asked to command" in page.text for page in stage.phones["cy"].pages)


async def test_people_who_heal_it_during_diagnosis_end_the_incident(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(3600)
        stage.service.fails(0.01, 3600)
        await daemon.at(9000)
        incident = await daemon.incident()
    assert incident.recovered_by == 0
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"


async def test_a_relapse_is_paged_and_left_to_a_person(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(600)
        assert (await daemon.incident()).phase == "watching"
        stage.service.fails(0.2, 600)
        await daemon.at(1500)
        incident = await daemon.incident()
    assert incident.relapses == 1
    assert incident.step(2).ask_reason == "relapsed"
    assert stage.actions["flag_off"].runs == []
    assert any("came back" in page.text for page in stage.phones["ada"].pages)


async def test_resolved_in_the_middle_of_a_step_interrupts_nothing(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stage.actions["rollback"].takes = 120.0
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        assert (await daemon.incident()).phase == "recovering"
        await daemon.receives(alert("resolved", ended=199))
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "recovered"


async def test_resolved_alone_never_closes_a_confirmed_incident(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.receives(alert("resolved", ended=199))
        await daemon.at(7200)
        incident = await daemon.incident()
    assert incident.closed is None


async def test_a_slow_action_delays_no_page(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stage.actions["rollback"].takes = 590.0
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(485)
        assert (await daemon.incident()).phase == "recovering"
        assert len(stage.phones["bo"].pages) == 1
        assert "rollback is running" in stage.phones["bo"].pages[0].text


async def test_the_samples_of_a_closed_incident_are_kept_once(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.closed is not None
    [kept] = [
        x.event for x in stage.journal.entries[incident.id] if x.event.kind == "SamplesRecorded"
    ]
    assert isinstance(kept, SamplesRecorded)
    assert {series.query for series in kept.series} == {"bad", "total"}
    assert [(change.item, change.previous) for change in kept.changes] == [("v2", "v1")]
    assert kept.trouble == ""


async def test_without_prometheus_at_the_end_the_record_says_so(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.acknowledges("ada")
        stage.service.down = "connection refused"
        await daemon.does(commanding.close, "ada", "it was a test", who="ada")
        await daemon.at(400)
        incident = await daemon.incident()
    entries = stage.journal.entries[incident.id]
    [kept] = [x for x in entries if x.event.kind == "SamplesRecorded"]
    assert isinstance(kept.event, SamplesRecorded)
    assert (kept.event.series, kept.event.trouble) == ((), "connection refused")
    assert incident.closed_at is not None
    assert timedelta(minutes=2) <= kept.at - incident.closed_at < timedelta(minutes=3)
