"""Maintenance windows: what opens within one is measured and held, and called for at its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from daemon.core.incident import events as e
from daemon.core.recovery.maintenance import MaintenanceWindow
from daemon.core.response.declaring import Declaration
from daemon.core.values.outcome import Temporary
from daemon.intake.declaring import declare
from daemon.notifying.maintenance import Misplaced
from tests.fakes import START
from tests.stories.stage import ROSTER, Daemon, Stage, alert, healed_by

WITH_AUDIENCES = (
    ROSTER
    + """
channels: {room: {console: true}, customers: {console: true}}
audiences:
  inside: {channels: [room], send: automatic}
  outside: {channels: [customers], wording: public}
"""
)


async def announced(
    daemon: Daemon, begins: float, ends: float, scope: str = "global", public_text: str = ""
) -> MaintenanceWindow:
    """A window, by seconds after START."""
    return await daemon.maintenance.announce(
        scope,
        "the database moves",
        "ada",
        START + timedelta(seconds=begins),
        START + timedelta(seconds=ends),
        public_text,
    )


def pages(stage: Stage) -> list[str]:
    return [page.page for phone in stage.phones.values() for page in phone.pages]


def started(stage: Stage) -> Sequence[str]:
    return [name for name, action in stage.actions.items() if action.runs]


async def test_what_opens_within_it_is_measured_and_nobody_is_called_until_its_end(
    stage: Stage,
) -> None:
    healed_by(stage, "rollback")
    async with stage.daemon() as daemon:
        await daemon.at(150)
        window = await announced(daemon, 150, 1350)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(1300)
        held = await daemon.incident()
        assert held.confirmed is not None
        assert held.organization.held is not None
        assert held.organization.held.window == window.id
        assert pages(stage) == []
        assert started(stage) == []
        assert not held.defects, "the watchdog knows of it"
        assert not held.missed, "and so does the clock of the first ten minutes"
        await daemon.at(1353)
        released = await daemon.incident()
        assert released.organization.held is None
        assert pages(stage)[:1] == ["r0.t0.ada"]
        await daemon.at(2400)
        after = await daemon.incident()
    assert started(stage) == ["rollback"]
    assert after.step(1).automatic, "it acts as it would for what has just opened"
    assert after.recovered_at is not None


async def test_it_ends_early_by_one_command_and_calls_begin_at_once(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        await daemon.at(150)
        window = await announced(daemon, 150, 7200)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(400)
        assert pages(stage) == []
        assert await daemon.maintenance.end(window.id, "bo")
        await daemon.at(401)
        assert pages(stage)[0] == "r0.t0.ada"
        assert not await daemon.maintenance.end(window.id, "bo")
        entries = stage.journal.entries[(await daemon.incident()).id]
    (released,) = [x.event for x in entries if isinstance(x.event, e.PagesReleased)]
    assert (released.reason, "bo ended the maintenance" in released.text) == ("ended_early", True)


async def test_what_is_released_together_calls_once(stage: Stage) -> None:
    """First pages are held as those of fresh incidents are: it is a storm, and one call."""
    stage.page_hold = timedelta(seconds=2)
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        await daemon.at(150)
        for number in range(8):
            await announced(daemon, 150, 1350 + (number > 1), f"service:service-{number}")
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"service-{number}") for number in range(8)))
        await daemon.at(1349)
        assert pages(stage) == []
        await daemon.at(1354)
        rung = [page for page in stage.phones["ada"].pages if page.page.startswith(("r0", "storm"))]
        held = await stage.incidents()
    assert len(held) == 8
    assert [page.page.split("-")[0] for page in rung] == ["storm"]


async def test_what_has_recovered_by_its_end_calls_nobody(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(150)
        await announced(daemon, 150, 1800)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(400)
        stage.service.fails(0.01, 400)
        await daemon.at(420)
        await daemon.receives(alert("resolved", ended=410))
        await daemon.at(1700)
        recovered = await daemon.incident()
    assert recovered.closed is not None
    assert pages(stage) == []


async def test_what_was_open_before_is_called_for_and_nothing_starts(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await announced(daemon, 185, 1385)
        await daemon.at(700)
        incident = await daemon.incident()
    assert incident.organization.held is None
    assert len(pages(stage)) >= 2
    assert started(stage) == []


async def test_it_holds_its_scope_and_no_other(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        await daemon.at(150)
        await announced(daemon, 150, 1350, "service:cart")
        await daemon.at(180)
        await daemon.receives(alert(), alert(service="cart"))
        await daemon.at(200)
        held = {
            i.group_labels["service"]: i.organization.held is not None
            for i in await stage.incidents()
        }
    assert held == {"shop": False, "cart": True}


async def test_what_a_person_declares_is_not_held(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(150)
        await announced(daemon, 150, 1350)
        await daemon.at(160)
        said = Declaration(title="customers cannot pay", person="bo", via="cli", team="payments")
        await declare(daemon.repository, said, {}, stage.roster)
        await daemon.at(165)
        assert pages(stage) == ["r0.t0.ada"]


async def test_a_restart_holds_on_and_releases_in_time(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        await daemon.at(150)
        await announced(daemon, 150, 1350)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
    async with stage.daemon() as daemon:
        await daemon.at(1349)
        assert pages(stage) == []
        await daemon.at(1352)
        assert pages(stage)[0] == "r0.t0.ada"


async def test_audiences_are_told_before_at_the_beginning_and_at_the_end_once(
    stage: Stage,
) -> None:
    stage = Stage(stage.folder, roster_text=WITH_AUDIENCES)
    async with stage.daemon() as daemon:
        await daemon.at(100)
        await announced(daemon, 500, 900, "team:payments", "the checkout may be slow")
        await daemon.at(200)
    async with stage.daemon() as daemon:
        await daemon.at(1000)
    inside = [message.title for message in stage.boards["room"].posts]
    assert inside == [
        "Maintenance of team payments from 2026-11-23 14:08 UTC until 2026-11-23 14:15 UTC: "
        "the database moves",
        "Maintenance of team payments has begun, until 2026-11-23 14:15 UTC: the database moves",
        "Maintenance of team payments is over: the database moves",
    ]
    outside = [message.text for message in stage.boards["customers"].posts]
    assert len(outside) == 3
    assert all(text.endswith(": the checkout may be slow") for text in outside)
    assert not any("ada" in text or "database" in text for text in outside)


async def test_what_could_not_be_noted_when_it_was_told_is_noted_later_and_told_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(stage.folder, roster_text=WITH_AUDIENCES)
    write, left = stage.notes.write, 2

    async def fails_at_first(name: str, values: Sequence[str]) -> None:
        nonlocal left
        if any("/ended/" in value for value in values) and left:
            left -= 1
            raise Temporary("the store does not answer")
        await write(name, values)

    monkeypatch.setattr(stage.notes, "write", fails_at_first)
    async with stage.daemon() as daemon:
        await daemon.at(100)
        await announced(daemon, 500, 900, "team:payments", "the checkout may be slow")
        await daemon.at(1100)
    assert not left
    async with stage.daemon() as daemon:  # or another replica, which knows what is noted alone
        await daemon.at(1300)
    told = [message.title for message in stage.boards["room"].posts]
    assert len([title for title in told if "is over" in title]) == 1


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        (300, 300, "it ends before it begins"),
        (10, 100, "it is over already"),
        (200, 200 + 8 * 86400, "longer than 7d"),
    ],
)
async def test_no_window_is_without_an_end_that_makes_sense(
    stage: Stage, begins: float, ends: float, said: str
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(150)
        with pytest.raises(Misplaced, match=said):
            await announced(daemon, begins, ends)
    assert not stage.announced.windows
