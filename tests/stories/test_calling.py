"""The calling itself: dead pagers, gaps, restarts, and the auditor that watches over it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.active import ActiveConfig, Live
from daemon.core.rules.rule import RuleBook
from daemon.notifying.watchdog import Watchdog
from daemon.watching.heartbeat import trouble
from tests import commanding
from tests.fakes import PlainLinks
from tests.stories.stage import ROSTER, Daemon, Stage, alert

BOUNDED = ROSTER.replace("wait: 5m}]}", "wait: 5m}], repeat: 0}")


def calls(stage: Stage, person: str) -> list[str]:
    """The pages of the escalation that a person got."""
    return [p.page for p in stage.phones[person].pages if p.page[0] == "r" and p.page[1].isdigit()]


async def opens(daemon: Daemon, at: float = 180) -> None:
    await daemon.at(at)
    await daemon.receives(alert())


async def test_twenty_alerts_are_one_page(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"group_by": ()})
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"shop-{n}") for n in range(20)))
        await daemon.at(200)
        incident = await daemon.incident()
    assert len(incident.alerts) == 20
    assert calls(stage, "ada") == ["r0.t0.ada"]


async def test_a_pager_that_is_away_for_a_moment_is_tried_again(stage: Stage) -> None:
    """Both tiers fail at once; without a second try the next call would come in five minutes."""
    for person in ("ada", "bo"):
        stage.phones[person].away = True
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(200)
        for person in ("ada", "bo"):
            stage.phones[person].away = False
        await daemon.at(180 + 90)
    assert calls(stage, "ada") == ["r0.t0.ada+1"]
    assert calls(stage, "bo") == ["r0.t1.bo+1"]


async def test_a_pager_that_refuses_is_not_asked_the_same_again(stage: Stage) -> None:
    stage.phones["ada"].broken = True
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(180 + 290)
        incident = await daemon.incident()
    tried = [p for p in incident.pages if p.startswith("r0.t0.ada")]
    assert tried == ["r0.t0.ada"]
    assert calls(stage, "bo") == ["r0.t1.bo"]


@pytest.mark.parametrize("restart_at", [181, 200, 479, 480, 481, 700])
async def test_a_restart_neither_skips_nor_repeats_a_call(stage: Stage, restart_at: float) -> None:
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(restart_at)
    async with stage.daemon() as daemon:
        await daemon.at(180 + 905)
        incident = await daemon.incident()
    queued = [p for p in incident.pages.values() if p.queued.purpose == "escalation"]
    assert [p.queued.page for p in queued] == ["r0.t0.ada", "r0.t1.bo", "r1.t0.ada", "r1.t1.bo"]
    after = [(p.at - incident.opened_at).total_seconds() for p in queued]
    assert after == pytest.approx([0, 300, 600, 900], abs=1.5)


async def test_a_policy_that_has_ended_is_a_defect_that_is_paged_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, roster_text=BOUNDED)
    stage.service.fails(0.10, at=60)
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(180 + 700)
        assert (await daemon.kinds()).count("EscalationDefect") == 1
        await daemon.at(180 + 1700)
        kinds = await daemon.kinds()
        incident = await daemon.incident()
    assert kinds.count("EscalationDefect") == 2, "again after a quarter of an hour"
    unattended = [p for p in incident.pages if p.startswith("unattended-1.")]
    assert sorted(unattended) == ["unattended-1.ada", "unattended-1.bo", "unattended-1.cy"]
    assert "the escalation policy has come to its end" in stage.phones["cy"].pages[-1].text


async def test_an_acknowledgement_ends_the_auditors_calls(tmp_path: Path) -> None:
    stage = Stage(tmp_path, roster_text=BOUNDED)
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(180 + 30)
        await daemon.acknowledges("ada")
        await daemon.at(180 + 1100)
        kinds = await daemon.kinds()
    assert "EscalationDefect" not in kinds


async def test_the_auditor_delivers_what_a_stuck_conductor_does_not(stage: Stage) -> None:
    """The incident is there, its page is queued, and nobody works on it."""
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(182)
        incident = await daemon.incident()
        repository = daemon.repository
    stage.phones["ada"].pages.clear()
    entries = stage.journal.entries[incident.id]
    cut = next(n for n, x in enumerate(entries) if x.event.kind == "PageQueued") + 1
    stage.journal.entries[incident.id] = entries[:cut]
    row = stage.journal.rows[incident.id]
    stage.journal.rows[incident.id] = row.model_copy(update={"seq": cut})
    repository.read_anew(incident.id)
    auditor = Watchdog(
        repository,
        Live(
            ActiveConfig(
                RuleBook(()),
                stage.roster,
                ways={name: [("phone", phone)] for name, phone in stage.phones.items()},
            )
        ),
        PlainLinks(),
    )
    await auditor.look()
    assert calls(stage, "ada") == [], "it may just be on its way"
    await daemon.at(182 + 70)
    await auditor.look()
    assert calls(stage, "ada") == ["r0.t0.ada"]


async def test_an_incident_that_cannot_be_read_blinds_the_auditor_for_no_other(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(182)
        lost = (await daemon.incident()).id
        stage.journal.entries[lost].clear()
        daemon.repository.read_anew(lost)
        auditor = Watchdog(
            daemon.repository, Live(ActiveConfig(RuleBook(()), stage.roster)), PlainLinks()
        )
        await auditor.look()
        assert auditor.looked_at == daemon.repository.clock()


async def test_a_jump_calls_a_tier_at_once_and_wakes_it_even_under_command(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(200)
        now = daemon.repository.clock()
        await daemon.does(commanding.jump, stage.roster, 2, "ada", now, who="ada")
        await daemon.at(201)
        assert calls(stage, "bo") == ["r0.t1.bo"]
        await daemon.acknowledges("ada")
        await daemon.does(commanding.jump, stage.roster, 2, "ada", now, who="ada")
        await daemon.at(203)
        jumped = [p.page for p in stage.phones["bo"].pages if p.page.startswith("jump")]
        await daemon.at(900)
    assert jumped == ["jump-2.bo"]
    assert calls(stage, "bo") == ["r0.t1.bo"], "under command the escalation stays quiet"


async def test_a_silent_commander_is_asked_and_then_replaced(stage: Stage) -> None:
    stage.actions["rollback"].outcome = stage.actions["rollback"].outcome.model_copy(
        update={"result": "failed", "reason": "x"}
    )
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await daemon.at(195)
        await daemon.acknowledges("bo")
        await daemon.at(190 + 1195)
        assert not any("are you still on it" in p.text for p in stage.phones["ada"].pages)
        await daemon.at(190 + 1205)
        assert any("are you still on it" in p.text for p in stage.phones["ada"].pages)
        await daemon.at(190 + 1200 + 185)
        incident = await daemon.incident()
    assert incident.commander == "bo"
    assert "ada" not in incident.responders


async def test_a_word_is_a_sign_of_life(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await opens(daemon)
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await daemon.at(190 + 1205)
        await daemon.does(commanding.say, "looking at the database", who="ada")
        await daemon.at(190 + 2000)
        incident = await daemon.incident()
    assert incident.commander == "ada"


async def test_no_heartbeat_while_the_store_fails_or_nobody_is_called(tmp_path: Path) -> None:
    stage = Stage(tmp_path, roster_text=BOUNDED)
    stage.service.fails(0.10, at=60)
    async with stage.daemon() as daemon:
        auditor = Watchdog(
            daemon.repository, Live(ActiveConfig(RuleBook(()), stage.roster)), PlainLinks()
        )
        await auditor.look()
        assert await trouble(daemon.repository, auditor) == ""
        stage.journal.failing = True
        assert "disk" in await trouble(daemon.repository, auditor)
        stage.journal.failing = False
        await daemon.at(130)
        assert "has not looked" in await trouble(daemon.repository, auditor)
        await opens(daemon)
        await daemon.at(180 + 610)
        auditor.troubled = ["x"]
        auditor.looked_at = daemon.repository.clock() - timedelta(seconds=1)
        assert "nobody is called for incident x" in await trouble(daemon.repository, auditor)
