"""What changes between a decision and the deed, and what a second look must notice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from daemon.core.recovery.guardrails import Freeze
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome
from tests import commanding
from tests.fakes import START
from tests.stories.stage import Daemon, Stage, alert, body, healed_by

FROZEN = Freeze(scope="global", reason="migration", by="cy", at=START)


async def killed_while_prepared(stage: Stage) -> None:
    """The daemon dies after the intent was prepared and before anything happened."""
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
        assert (await daemon.kinds())[-1] == "StepPrepared"


async def down_until(seconds: float) -> None:
    """No daemon runs until so many seconds after START."""
    await asyncio.sleep(seconds - asyncio.get_running_loop().time())


def runs(stage: Stage) -> int:
    return len(stage.actions["rollback"].runs)


async def test_a_freeze_stops_a_step_that_a_restart_would_carry_on(stage: Stage) -> None:
    await killed_while_prepared(stage)
    await stage.journal.freeze(FROZEN)
    async with stage.daemon() as daemon:
        await daemon.at(190)
        incident = await daemon.incident()
        assert incident.step(1).status == "waiting"
        assert runs(stage) == 1
        await stage.journal.thaw("global", "cy", START)
        healed_by(stage, "rollback")
        await daemon.at(1800)
        assert (await daemon.incident()).recovered_by == 1


async def test_a_stale_intent_is_not_carried_out_when_the_problem_is_gone(stage: Stage) -> None:
    await killed_while_prepared(stage)
    stage.service.fails(0.01, 200)
    await down_until(1000)
    async with stage.daemon() as daemon:
        await daemon.at(3600)
        incident = await daemon.incident()
        await daemon.at(7200)
        closed = (await daemon.incident()).closed
    assert runs(stage) == 1, "only the one that was killed"
    assert incident.recovered_by == 0
    assert closed is not None


async def test_what_is_half_done_is_ended_even_late(stage: Stage) -> None:
    await killed_while_prepared(stage)
    stage.actions["rollback"].landed = "half_done"
    await down_until(3590)
    async with stage.daemon() as daemon:
        await daemon.at(3600)
        healed_by(stage, "rollback")
        await daemon.at(3601)
    assert runs(stage) == 2


async def test_a_mend_that_people_deploy_is_not_rolled_back(stage: Stage) -> None:
    await stage.journal.freeze(FROZEN)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
        stage.deployed("v3-hotfix", at=301)
        await stage.journal.thaw("global", "cy", START)
        await daemon.at(400)
        assert (await daemon.incident()).step(1).ask_reason == "changed_since"
        assert runs(stage) == 0


async def test_below_the_threshold_nothing_is_started(stage: Stage) -> None:
    await stage.journal.freeze(FROZEN)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        stage.service.fails(0.018, 300)
        await daemon.at(400)
        await stage.journal.thaw("global", "cy", START)
        await daemon.at(600)
        incident = await daemon.incident()
        assert incident.step(1).refusal == "below_threshold"
        assert runs(stage) == 0


async def waiting_for_approval(daemon: Daemon) -> None:
    await daemon.at(180)
    await daemon.receives(alert())
    await daemon.at(185)
    await daemon.acknowledges("ada")
    await daemon.at(200)


def edited(rule: Rule) -> Rule:
    """The same rule with another second look at it: step 1 acts on another target."""
    step = rule.recover[0].model_copy(update={"params": {"target": "payments-db"}})
    return rule.model_copy(update={"recover": (step, *rule.recover[1:])})


async def test_an_approval_is_void_when_the_rule_is_edited_after_it(stage: Stage) -> None:
    stage.approved = False
    await stage.journal.freeze(FROZEN)
    async with stage.daemon() as daemon:
        await waiting_for_approval(daemon)
        await daemon.does(commanding.approve, stage.rules[0], 1, "ada")
        await daemon.at(220)
    stage.rules[0] = edited(stage.rules[0])
    stage.changes[0] = stage.changes[0].model_copy(update={"subject": "payments-db"})
    await stage.journal.thaw("global", "cy", START)
    async with stage.daemon() as daemon:
        await daemon.at(300)
        assert runs(stage) == 0


async def test_an_approval_does_not_last(stage: Stage) -> None:
    stage.approved = False
    await stage.journal.freeze(FROZEN)
    async with stage.daemon() as daemon:
        await waiting_for_approval(daemon)
        await daemon.does(commanding.approve, stage.rules[0], 1, "ada")
        await daemon.at(200 + 31 * 60)
        await stage.journal.thaw("global", "cy", START)
        await daemon.at(200 + 33 * 60)
        assert runs(stage) == 0
        assert (await daemon.incident()).step(1).ask_reason == "approval_lapsed"


async def test_downtime_is_not_a_streak_of_health(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(280)
        assert (await daemon.incident()).phase == "verifying"
    await down_until(3600)
    async with stage.daemon() as daemon:
        await daemon.at(3601)
        incident = await daemon.incident()
        assert [r.state for r in incident.steps[1].readings] == ["healthy"] * 2
        assert incident.steps[1].verdict is None
        await daemon.at(3600 + 150)
        assert (await daemon.incident()).steps[1].verdict == "recovered"


async def test_an_unknown_outcome_gets_no_credit_and_leaves_no_marks(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        stage.actions["rollback"].outcome = Outcome(
            result="unknown", reason="changed_meanwhile", detail="v4 is live"
        )
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1800)
        incident = await daemon.incident()
    assert incident.steps[1].verdict == "self_recovered"
    assert stage.journal.marked == {}


async def test_a_store_that_fails_for_a_moment_does_not_give_the_step_up(stage: Stage) -> None:
    sound = stage.journal.freezes
    failed = 0

    async def freezes(now: object) -> object:
        nonlocal failed
        if stage.journal.runs and not failed:
            failed += 1
            stage.journal.failing = True
            stage.journal._may_fail()
        stage.journal.failing = False
        return await sound(now)  # type: ignore[arg-type]

    stage.journal.freezes = freezes  # type: ignore[method-assign, assignment]
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(182)
        stage.journal.failing = False
        await daemon.at(1800)
        assert (await daemon.incident()).recovered_by == 1
    assert failed == 1


async def test_severity_grows_with_the_loss(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        assert (await daemon.incident()).severity == "sev2"
        stage.service.fails(0.9, 200)
        await daemon.at(400)
        assert (await daemon.incident()).severity == "sev1"


async def test_an_outage_of_the_pager_does_not_end_the_calling(stage: Stage) -> None:
    for phone in stage.phones.values():
        phone.broken = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(180 + 3600)
        for phone in stage.phones.values():
            phone.broken = False
        await daemon.at(180 + 3600 + 700)
    assert stage.phones["ada"].pages != []


async def test_a_lost_summons_is_sent_again(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(100)
        stage.service.answer_after = 20.0
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        await daemon.acknowledges("ada")
        stage.phones["ada"].away = True
        await daemon.at(300)
        stage.phones["ada"].away = False
        await daemon.at(440)
        told = [page.page for page in stage.phones["ada"].pages]
    assert any(page.startswith("approval-1-not_approved.ada+") for page in told), told


async def test_what_fires_again_after_it_was_over_is_told_to_the_commander(stage: Stage) -> None:
    stage.rules.clear()  # no metric says whether it paused
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await daemon.receives(alert("resolved", ended=199))
        await daemon.at(300)
        await daemon.receives(alert(started=290))
        await daemon.at(310)
        told = [page.text for page in stage.phones["ada"].pages]
    assert any("fires again" in text for text in told)


async def test_a_crashing_pager_hands_over_to_the_next_tier(stage: Stage) -> None:
    async def crash(_: object) -> str:
        raise RuntimeError("a defect in a pager")

    stage.phones["ada"].page = crash  # type: ignore[method-assign, assignment]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        assert len(stage.phones["bo"].pages) == 1


async def test_fired_and_over_within_one_batch_is_told_all_the_same(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        daemon.intake._arrived.clear()
        await stage.inbox.put("1", body(alert()), START)
        await stage.inbox.put("2", body(alert("resolved", ended=150)), START)
        daemon.intake._arrived.set()
        await daemon.at(190)
        assert (await daemon.incident()).all_resolved
        assert stage.phones["ada"].pages


async def test_an_end_in_the_future_mutes_nothing(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        far = timedelta(days=365 * 70).total_seconds()
        await daemon.receives(alert("resolved", ended=far))
        await daemon.at(182)
        await daemon.receives(alert(started=181.5))
        await daemon.at(190)
        assert (await daemon.incident()).phase != "closed"


async def test_a_delivery_that_cannot_be_worked_off_holds_up_no_other(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        stage.inbox.waiting["poison"] = b"no delivery at all"
        await daemon.receives(alert())
        await daemon.at(190)
        found = await stage.incidents()
    assert sorted(i.opened.title for i in found) == [
        "CheckoutSuccessRateLow shop",
        "UnreadableDelivery poison",
    ]
