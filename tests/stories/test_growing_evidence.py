"""What becomes known while nothing was started counts, and nothing is done or told twice."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from daemon.core.changes.suspects import REPORTED_PREFIX, Change
from daemon.core.reporting.now_and_next import coming, doing
from daemon.core.reporting.timeline import timeline_lines
from tests import commanding
from tests.fakes import START
from tests.stories.stage import RULE, Daemon, Stage, alert, healed_by

ALERT = 180.0
ONE_STEP = RULE.replace("  - {action: flag_off, with: {target: shop}, approval: automatic}\n", "")


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A rule with one step, and no deployment known."""
    made = Stage(stage.folder, rule_text=ONE_STEP)
    made.changes.clear()
    made.journal.seen.clear()
    made.service.fails(0.2, 60)
    return made


def deployment(item: str = "v2", at: float = 50, subject: str = "shop") -> Change:
    moment = START + timedelta(seconds=at)
    return Change(subject=subject, item=item, previous="v1", at=moment, seen_by="watch")


def report(item: str = "v2", at: float = 50, *, target: str = "shop", who: str = "ci") -> Change:
    """What another system tells of a deployment."""
    seen = deployment(item, at, f"{REPORTED_PREFIX}{who}:{target}")
    return seen.model_copy(update={"seen_by": who, "target": target, "labels": {"service": "shop"}})


async def events(daemon: Daemon, *kinds: str) -> list[str]:
    """The sentences of the events of these kinds."""
    incident = await daemon.incident()
    told = [entry.event for entry in daemon.stage.journal.entries[incident.id]]
    return [event.describe() for event in told if event.kind in kinds]


async def alerted(daemon: Daemon, until: float) -> None:
    await daemon.at(ALERT)
    await daemon.receives(alert())
    await daemon.at(until)


async def test_what_is_told_late_stands_on_the_timeline_with_both_times(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await alerted(daemon, 195)
        incident = await daemon.incident()
        assert incident.phase == "diagnosing"
        assert "if what becomes known makes one fit" in coming(incident, stage.rules[0], START)
        await daemon.told(report())
        await daemon.at(198)
        assert stage.actions["rollback"].runs, "it is weighed at once, not when its time comes"
        (told,) = await events(daemon, "ChangeReported")
        lines = timeline_lines(stage.journal.entries[incident.id], "problem")
    assert told == "change told by ci at 14:03:15 UTC: shop: v1 → v2, made at 14:00:50 UTC"
    assert told in [line.text for line in lines]


async def test_the_journal_does_not_grow_while_nothing_is_new(stage: Stage) -> None:
    stage.arrives(deployment("c2", at=40, subject="cart"))
    async with stage.daemon() as daemon:
        await alerted(daemon, 195)
        await daemon.acknowledges("ada")
        await daemon.at(400)
        before = await daemon.kinds()
        await daemon.at(3000)
        added = (await daemon.kinds())[len(before) :]
    assert "ProblemReassessed" not in added
    assert not {kind for kind in added if kind.startswith("Step")}
    assert added.count("RecoveryMeasured") <= 25, "as often as ever, and ever less"


async def test_the_same_report_again_is_told_once(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await alerted(daemon, 195)
        for _ in range(5):
            await daemon.told(report())
        await daemon.at(1800)
        assert len(await events(daemon, "ChangeReported")) == 1
        assert len(await events(daemon, "StepReopened")) == 1
    assert len(stage.actions["rollback"].runs) == 1


LATE = (report(), deployment("c2", 40, "cart"), report("f2", 45, target="flags", who="flagd"))


@pytest.mark.parametrize(
    "order", list(permutations(LATE)), ids=lambda order: ",".join(c.item for c in order)
)
async def test_the_order_of_late_reports_decides_nothing(
    stage: Stage, order: tuple[Change, ...]
) -> None:
    """One report alone would have been the suspect, so automation is paused until all are told."""
    async with stage.daemon() as daemon:
        await alerted(daemon, 185)
        await daemon.acknowledges("ada")
        await daemon.does(commanding.pause, "ada", "wait", who="ada")
        for number, change in enumerate(order):
            await daemon.at(190 + 20 * number)
            await daemon.told(change)
        await daemon.at(260)
        await daemon.does(commanding.resume, "ada", who="ada")
        await daemon.at(900)
        incident = await daemon.incident()
    assert incident.suspicion is not None
    assert incident.suspicion.verdict == "ambiguous"
    names = [one.change.item for one in incident.suspicion.candidates]
    assert names == ["v2", "f2", "c2"]
    assert stage.actions["rollback"].runs == []


@pytest.mark.parametrize("killed_at", [195.001, 195.03, 195.12, 195.3, 196.0, 230.0])
async def test_killed_at_any_moment_after_a_late_report_it_is_rolled_back_once(
    stage: Stage, killed_at: float
) -> None:
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await alerted(daemon, 195)
        await daemon.told(report())
        await daemon.at(killed_at)
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(3600)
        kinds, incident = await daemon.kinds(), await daemon.incident()
    assert incident.closed is not None
    assert incident.recovered_by == 1
    assert len(set(rollback.runs)) == 1
    for kind in ("ChangeReported", "ProblemReassessed", "StepReopened", "StepStarted"):
        assert kinds.count(kind) == 1, kind


async def test_a_change_that_is_told_while_it_is_measured_is_weighed_all_the_same(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(ALERT)
        await daemon.receives(alert())
        await daemon.at(ALERT + 0.03)
        assert (await daemon.incident()).problem is None
        await daemon.told(report())
        await daemon.at(ALERT + 5)
        kinds = await daemon.kinds()
    assert stage.actions["rollback"].runs
    assert "StepSkipped" not in kinds
    assert kinds.count("ProblemDefined") == 1


async def test_traffic_that_is_gone_after_a_deployment_is_said_to_be(stage: Stage) -> None:
    stage.arrives(deployment())
    stage.service.errors = [(-7200.0, 0.01)]
    stage.service.rate.append((60.0, 0.0))
    async with stage.daemon() as daemon:
        await alerted(daemon, 185)
        incident = await daemon.incident()
        (defined,) = await events(daemon, "ProblemDefined")
        await daemon.at(900)
    said = "traffic fell from 50/s to 0 within 40s of shop → v2"
    assert incident.problem is not None
    assert incident.problem.verdict == "insufficient_traffic"
    assert said in doing(incident)
    assert said in defined
    assert stage.actions["rollback"].runs == []


async def test_before_it_is_confirmed_what_changed_lately_is_shown(stage: Stage) -> None:
    stage.arrives(deployment())
    stage.service.errors = [(-7200.0, 0.01)]
    async with stage.daemon() as daemon:
        await alerted(daemon, 185)
        incident = await daemon.incident()
        await daemon.told(report("v3", 170))
        await daemon.at(188)
        again = await daemon.incident()
    assert incident.suspicion is not None
    assert incident.suspicion.text == (
        "nobody is blamed before the metrics confirm the problem; "
        "changed lately: shop → v2 at 14:00:50 UTC"
    )
    assert again.suspicion is not None
    assert [one.change.item for one in again.suspicion.candidates] == ["v3", "v2"]
    assert stage.actions["rollback"].runs == []
