"""What the pages say at each moment of an incident: what is done, what comes next, the plan."""

from __future__ import annotations

from datetime import timedelta

from daemon.core.reporting import now_and_next
from daemon.core.reporting.chart import sketch
from daemon.core.reporting.now_and_next import PlanLine
from daemon.core.reporting.timeline import timeline_lines
from daemon.measuring.chart_data import trace
from tests import commanding
from tests.fakes import START
from tests.stories.stage import Daemon, Stage, alert, healed_by, lowered


async def looked(daemon: Daemon) -> tuple[str, str, list[PlanLine]]:
    """(now, next, plan) as a page would show them."""
    incident, rule = await daemon.incident(), daemon.stage.rules[0]
    entries = daemon.stage.journal.entries[incident.id]
    now = daemon.repository.clock()
    lines = now_and_next.plan_lines(incident, rule, entries, daemon.stage._approvals(), now)
    return now_and_next.doing(incident), now_and_next.coming(incident, rule, now), lines


async def test_a_recovery_is_told_from_the_first_alert_to_the_end(stage: Stage) -> None:
    stage.service.answer_after = 5.0
    stage.actions["rollback"].takes = 60.0
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(182)
        now, coming, plan = await looked(daemon)
        assert now == "measuring, to define the problem"
        assert coming == "nothing is touched unless the metrics confirm the problem"
        assert [(line.state, line.allowed) for line in plan] == [
            ("in reserve", ("approve", "start", "skip", "veto"))
        ] * 2
        assert plan[0].why.startswith("pre-approved by ada until ")
        assert plan[0].conditions == "only if one change is the suspect; within 10m"
        await daemon.at(230)
        now, coming, plan = await looked(daemon)
        assert now.startswith("step 1 is running: rollback on shop, since 14:0")
        assert coming == (
            "its effect is measured; if it did not help, step 2 is looked at: flag_off"
        )
        assert (plan[0].state, plan[0].tone, plan[0].allowed) == ("running", "runs", ())
        assert plan[1].allowed == ("approve", "skip", "veto")
        await daemon.at(285)
        now, coming, plan = await looked(daemon)
        assert now == "measuring whether step 1 helped: rollback on shop"
        assert coming.startswith("the verdict; if it did not help, step 2")
        assert plan[0].state == "measuring"
        await daemon.at(700)
        now, coming, plan = await looked(daemon)
        assert now.startswith("watching for a relapse since 14:0")
        assert coming.startswith("if it stays healthy, the incident closes at 14:1")
        assert [(line.state, line.tone) for line in plan] == [
            ("recovered", "good"),
            ("not needed", "plain"),
        ]
        await daemon.at(3000)
        now, coming, plan = await looked(daemon)
        assert now.startswith("nothing more: ")
        assert coming == "nothing; the review is there"
        assert all(not line.allowed for line in plan)


async def test_a_step_that_waits_for_the_commander_says_why_and_what_may_be_done(
    stage: Stage,
) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        now, coming, plan = await looked(daemon)
        assert now == "waiting for the Commander to decide on step 1"
        assert coming == "nothing starts before somebody approves, skips or vetoes step 1"
        assert (plan[0].state, plan[0].tone) == ("needs approval", "asks")
        assert plan[0].reason == "not_approved"
        assert "nobody has approved it" in plan[0].why
        await daemon.acknowledges("ada")
        await daemon.does(commanding.veto, stage.rules[0], 1, "bo", who="bo")
        await daemon.at(220)
        now, _, plan = await looked(daemon)
        assert plan[0].state == "vetoed"
        assert now == "waiting for the Commander to decide on step 2"
        stage.actions["flag_off"].takes = 30.0
        await daemon.does(commanding.approve, stage.rules[0], 2, "ada", who="ada")
        await daemon.at(225)
        now, coming, plan = await looked(daemon)
        assert now.startswith("step 2 is running: flag_off")
        assert coming.endswith("if it did not help, diagnosis opens and more people are called")


async def test_that_the_rule_is_gone_is_said_beside_what_waits_for_it(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        incident, now = await daemon.incident(), daemon.repository.clock()
    assert now_and_next.coming(incident, None, now) == (
        "people are called until somebody commands; its rule is not in force any more: nothing is "
        "measured; everything else is yours"
    )


async def test_a_pause_and_a_freeze_are_seen(stage: Stage) -> None:
    lowered(stage, storm=2)
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        assert now_and_next.stoppable(await daemon.incident(), stage.rules[0]) == "idle"
        await daemon.does(commanding.pause, "ada", "by hand", who="ada")
        now, coming, _ = await looked(daemon)
        assert now == "measuring only: automation is paused by ada"
        assert coming == "nothing more starts by itself until somebody resumes"
        assert not now_and_next.stoppable(await daemon.incident(), stage.rules[0])


async def test_without_a_rule_people_are_called_and_nothing_is_promised(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        stray = alert()
        stray["labels"]["env"] = "test"
        await daemon.at(180)
        await daemon.receives(stray)
        await daemon.at(200)
        incident = await daemon.incident()
        assert "no rule matches" in now_and_next.doing(incident)
        assert now_and_next.coming(incident, None, daemon.repository.clock()).startswith(
            "people are called"
        )
        assert not now_and_next.stoppable(incident, None)


async def test_the_story_is_short_where_nothing_changes_and_parted_by_what_it_is_about(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await daemon.at(3000)
        incident = await daemon.incident()
    entries = stage.journal.entries[incident.id]
    lines = timeline_lines(entries)
    assert [line.at for line in lines] == sorted((line.at for line in lines), reverse=True)
    measured = [line.text for line in lines if line.text.startswith("measured: healthy")]
    assert any(" (the last of " in text for text in measured)
    assert len(measured) < sum(x.event.kind == "RecoveryMeasured" for x in entries)
    people = [line.text for line in timeline_lines(entries, "people")]
    assert people[-2:] == ["ada is Commander: the first responder", "ada responds (by test)"]
    assert not any("measured" in text for text in people)


async def test_the_curve_has_what_happened_and_asks_prometheus_where_it_can(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(900)
        incident, rule = await daemon.incident(), stage.rules[0]
        entries, now = stage.journal.entries[incident.id], daemon.repository.clock()
        asked = await trace(stage.service, incident, rule, entries, now)
        stage.service.down = True
        alone = await trace(stage.service, incident, rule, entries, now)
    assert (asked.source, asked.trouble) == ("prometheus", "")
    assert [mark.kind for mark in asked.marks] == [
        "change",
        "onset",
        "action",
        "finished",
        "recovered",
    ]
    assert asked.baseline is not None
    assert asked.threshold == asked.baseline - 0.01
    worst = min(asked.samples, key=lambda sample: sample[1])
    assert abs(worst[1] - 0.9) < 0.005
    assert START + timedelta(seconds=60) < worst[0] < START + timedelta(seconds=300)
    assert asked.samples[-1][1] > asked.threshold
    assert alone.source == "journal"
    assert alone.trouble
    assert alone.samples == sketch(incident, rule.problem, entries, now).samples
    assert len(alone.samples) >= 3
