"""A defect somewhere must not become an outage of the daemon."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.core.incident import events as e
from daemon.core.measurement.samples import QueryAnswer
from tests.stories.stage import ROSTER, Stage, alert, healed_by


async def test_an_action_that_crashes_has_an_unknown_outcome_and_is_measured(stage: Stage) -> None:
    def crash() -> None:
        raise RuntimeError("a defect in somebody's action")

    async with stage.daemon() as daemon:
        stage.actions["rollback"].effect = crash
        healed_by(stage, "flag_off")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert (outcome.result, outcome.reason) == ("unknown", "action_crashed")
    assert "a defect in somebody's action" in outcome.detail
    assert incident.steps[1].verdict == "unchanged"
    assert incident.steps[2].ask_reason == "after_unknown", "it may still be at work on the target"


async def test_an_action_over_its_deadline_is_given_up_and_measured(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stage.actions["rollback"].takes = 3600.0
        healed_by(stage, "flag_off")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(2400)
        incident = await daemon.incident()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert (outcome.result, outcome.reason) == ("unknown", "deadline_exceeded")
    assert "within 10m" in outcome.detail
    assert incident.steps[1].verdict == "unchanged"
    assert incident.steps[2].ask_reason == "after_unknown"


async def test_a_measurement_that_crashes_is_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = stage.service.instant
    crashes = 3

    async def instant(query: str, at: datetime) -> QueryAnswer:
        nonlocal crashes
        if crashes:
            crashes -= 1
            raise RuntimeError("a defect")
        return await sound(query, at)

    monkeypatch.setattr(stage.service, "instant", instant)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
        assert stage.actions["rollback"].runs != []
    assert crashes == 0


async def test_deciding_that_crashes_for_one_incident_ends_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = stage.journal.guard

    async def guard(target: str, incident: str, *more: Any) -> Any:
        if incident == poisoned:
            raise RuntimeError("a defect")
        return await sound(target, incident, *more)

    poisoned = ""
    async with stage.daemon() as daemon:
        await daemon.at(180)
        stage.service.answer_after = 5.0
        await daemon.receives(alert(service="basket"))
        await daemon.at(181)
        (first,) = await stage.incidents()
        poisoned = first.id
        monkeypatch.setattr(stage.journal, "guard", guard)
        await daemon.receives(alert())
        await daemon.at(300)
        second = (await stage.incidents())[1]
        assert second.steps[1].acted
        poisoned = ""
        await daemon.at(330)
        first = (await stage.incidents())[0]
        assert first.step(1).ask_reason or first.step(1).status != "waiting"


async def test_what_a_closed_incident_still_has_to_tell_is_waited_for_without_a_crash(
    stage: Stage,
) -> None:
    audience = "responders: {channels: [room], send: automatic}"
    told = f"channels: {{room: {{console: true}}}}\naudiences: {{{audience}}}\n"
    stage = Stage(stage.folder, roster_text=ROSTER + told)
    with capture_logs() as logs:
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(240)
            (incident,) = await stage.incidents()
            stage.boards["room"].away = True
            over = e.IncidentClosed(reason="by_person", text="ada: a test")
            await daemon.repository.record(incident.id, lambda _: (over,), by="person:ada")
            await daemon.at(400)
            stage.boards["room"].away = False
            await daemon.at(700)
    assert not [line for line in logs if "crashed" in str(line["event"])]
