"""At the very moment of acting everything is asked once more, and the answers are on record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.ports.actions import ActionContext, Ready, Refused
from tests import commanding
from tests.fakes import START, FakeAction
from tests.stories.stage import Daemon, Stage, alert, healed_by

MEASURED = {
    'max(timestamp(total{service="shop"}))',
    'bad{service="shop"}[1m]',
    'total{service="shop"}[1m]',
}
"""What the first measurement asks, and the last look again."""


class Shown(FakeAction):
    """An action that shows its target, and lets something happen during its preflight."""

    meanwhile: Any = None

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        if self.meanwhile is not None:
            await self.meanwhile()
        return await super().preflight(params, context)

    async def show(self, params: Any, context: ActionContext) -> Mapping[str, str]:
        return {"live": "v2", "pods": "x" * 900}


@pytest.fixture
def rollback(stage: Stage) -> Shown:
    action = Shown("rollback")
    stage.actions["rollback"] = action
    return action


async def told(daemon: Daemon, kind: type[Any]) -> list[Any]:
    incident = await daemon.incident()
    entries = daemon.stage.journal.entries[incident.id]
    return [entry.event for entry in entries if isinstance(entry.event, kind)]


async def strikes(stage: Stage, until: float = 186) -> Daemon:
    """The alert comes, and a little time passes."""
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(until)
        return daemon


async def test_the_evidence_stands_before_anything_is_changed(
    stage: Stage, rollback: Shown
) -> None:
    daemon = await strikes(stage)
    kinds = [k for k in await daemon.kinds() if k.startswith(("Step", "Evidence"))]
    assert kinds[:3] == ["StepStarted", "EvidenceTaken", "StepPrepared"]
    (evidence,) = await told(daemon, e.EvidenceTaken)
    assert evidence.reading.state == "impaired"
    assert evidence.target == {"live": "v2", "pods": "x" * 500}
    assert 'total{service="shop"}[1m]' in evidence.answers
    assert all(evidence.answers.values())
    assert evidence.monitoring == ""


@pytest.mark.parametrize(("takes", "again"), [(0.5, set[str]()), (1.5, MEASURED)])
async def test_what_was_measured_a_second_ago_at_most_is_not_asked_again(
    stage: Stage, rollback: Shown, takes: float, again: set[str]
) -> None:
    before: list[str] = []

    async def meanwhile() -> None:
        before.extend(stage.service.asked)
        await asyncio.sleep(takes)

    rollback.meanwhile = meanwhile
    daemon = await strikes(stage)
    (evidence,) = await told(daemon, e.EvidenceTaken)
    (problem,) = await told(daemon, e.ProblemDefined)
    asked = stage.service.asked[len(before) :]
    assert MEASURED & set(asked) == again
    assert evidence.answers.keys() >= MEASURED
    assert (evidence.reading.at == problem.problem.at) is (not again)
    assert rollback.runs


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda stage: stage.service.fails(0.01, 0), "metrics_look_healthy"),
        (lambda stage: setattr(stage.service, "targets_down", 6), "monitoring_outage"),
        (lambda stage: setattr(stage.service, "alerting", 7), "storm"),
        (lambda stage: setattr(stage.service, "stale", True), "no_fresh_data"),
    ],
)
async def test_what_has_changed_since_the_decision_stops_it(
    stage: Stage, rollback: Shown, change: Any, reason: str
) -> None:
    async def meanwhile() -> None:
        if reason == "metrics_look_healthy":
            stage.service.errors = [(-7200.0, 0.01)]
        change(stage)
        await asyncio.sleep(1.5)  # so long ago what was measured is not as good as now

    rollback.meanwhile = meanwhile
    daemon = await strikes(stage)
    (finished,) = await told(daemon, e.StepFinished)
    assert (finished.outcome.result, finished.outcome.reason) == ("refused", reason)
    assert rollback.runs == []
    assert len(await told(daemon, e.EvidenceTaken)) == 1
    assert (await daemon.incident()).step(1).status == "waiting"


async def test_an_approval_that_is_taken_back_meanwhile_stops_it(
    stage: Stage, rollback: Shown
) -> None:
    async def meanwhile() -> None:
        # A reload with an edited rule: what was approved is another step.
        stage.book_rules.rules["checkout-success-rate"] = edited

    async with stage.daemon() as daemon:
        rule = stage.rules[0]
        edited = rule.model_copy(update={"domain": "elsewhere"})
        rollback.meanwhile = meanwhile
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(186)
        (finished,) = await told(daemon, e.StepFinished)
    assert finished.outcome.reason == "approval_void"
    assert rollback.runs == []


async def test_a_person_may_start_it_although_nothing_is_confirmed(stage: Stage) -> None:
    stage.service.errors = [(-7200.0, 0.01)]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(200)
        assert (await daemon.incident()).confirmed is None
        await daemon.does(commanding.start, stage.rules[0], 2, "ada", who="ada")
        await daemon.at(260)
        incident = await daemon.incident()
        assert incident.steps[2].outcome is not None
        assert incident.steps[2].authority == "started by ada"
        assert stage.actions["flag_off"].runs
        # The other one, too, though the first has no verdict, and never will.
        await daemon.does(commanding.start, stage.rules[0], 1, "ada", who="ada")
        await daemon.at(300)
        incident = await daemon.incident()
    assert incident.steps[1].outcome is not None
    assert stage.actions["rollback"].runs


async def test_an_item_that_nobody_measured_is_vetted_by_its_life(stage: Stage) -> None:
    """v1 and v0 were live before the baseline; Prometheus says which of them was well."""
    asked: list[str] = []

    class Choosing(Shown):
        async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
            found = await context.choose("v2")
            asked.append(f"{found.reason} {found.item}")
            return await super().preflight(params, context)

    stage.actions["rollback"] = Choosing("rollback")
    stage.changes.clear()
    stage.journal.seen.clear()
    stage.service.rate = [(-9e6, 50.0)]
    stage.service.errors = [(-9e6, 0.01), (-7000.0, 0.2), (-3000.0, 0.01), (60.0, 0.1)]
    for item, at in (("v0", -9000.0), ("v1", -7000.0), ("v2", -3000.0)):
        stage.deployed(item, at)
    stage.rules = [
        rule.model_copy(
            update={"recover": (rule.recover[0].model_copy(update={"when": "always"}),)}
        )
        for rule in stage.rules
    ]
    healed_by(stage, "rollback")
    await strikes(stage)
    assert asked == ["measured_healthy v0"]


async def test_a_freeze_window_that_begins_meanwhile_stops_it(
    stage: Stage, rollback: Shown
) -> None:
    begins = START + timedelta(seconds=181)
    window = {
        "name": "sale",
        "reason": "the sale begins",
        "between": {"from": begins, "until": begins + timedelta(hours=1)},
    }
    stage.windows = type(stage.windows).model_validate({"windows": [window]})

    async def meanwhile() -> None:
        await asyncio.sleep(2)

    rollback.meanwhile = meanwhile
    daemon = await strikes(stage)
    (finished,) = await told(daemon, e.StepFinished)
    assert finished.outcome.reason == "frozen"
    assert "sale: the sale begins" in finished.outcome.detail
    assert rollback.runs == []


async def test_an_action_that_cannot_show_its_target_is_no_reason_to_leave_it(
    stage: Stage, rollback: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def show(params: Any, context: ActionContext) -> Mapping[str, str]:
        raise RuntimeError("a defect in somebody's action")

    monkeypatch.setattr(rollback, "show", show)
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1500)
        (evidence,) = await told(daemon, e.EvidenceTaken)
        incident = await daemon.incident()
    assert "a defect in somebody's action" in evidence.target["target"]
    assert incident.recovered_by == 1


async def test_what_is_rehearsed_changes_nothing_and_is_said_once(
    stage: Stage, rollback: Shown
) -> None:
    stage.rules = [rule.model_copy(update={"mode": "observe"}) for rule in stage.rules]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1500)
        (seen,) = await told(daemon, e.StepObserved)
        incident = await daemon.incident()
    assert (seen.reason, seen.rehearsed) == ("", True)
    assert seen.text == "every condition and every guardrail allows it: do rollback"
    assert rollback.runs == []
    assert stage.journal.runs == [], "no lock was taken, and no budget spent"
    assert incident.step(1).status == "waiting"
