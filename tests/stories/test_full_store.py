"""The store cannot be written: what was done is not done again, and is written down later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from daemon.core.changes.change import Change
from daemon.core.incident.events import Draft, Event, PageDelivered, ProblemDefined
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import ALL_INCIDENTS, Head, IncidentSearch, Owed
from daemon.core.ports.notification import Page
from daemon.core.values.outcome import Temporary
from tests.fakes import START, MemoryJournal, Phone
from tests.stories.stage import Stage, alert, healed_by

FULL = 180.0
"""Seconds for which the disk stays full."""


@dataclass
class FillingPhone(Phone):
    """Takes a call at the very moment at which the disk of the store becomes full."""

    stage: Stage

    def __post_init__(self) -> None:
        super().__init__()

    async def page(self, page: Page) -> str:
        self.stage.journal.full = not self.pages
        return await super().page(page)


async def fills_when_ada_is_called(stage: Stage) -> Phone:
    phone = stage.phones["ada"] = FillingPhone(stage)
    return phone


async def test_a_page_goes_out_once_although_its_delivery_cannot_be_written(stage: Stage) -> None:
    phone = await fills_when_ada_is_called(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(180 + FULL)
        assert len(phone.pages) == 1
        assert (await daemon.incident()).pages["r0.t0.ada"].pending, "the journal cannot know"
        stage.journal.full = False
        await daemon.at(180 + FULL + 5)
        incident = await daemon.incident()
    assert incident.pages["r0.t0.ada"].delivered_at is not None
    assert incident.pages["r0.t0.ada"].delivered_at.second == 0, "the moment of the delivery"
    assert [page.page for page in phone.pages].count("r0.t0.ada") == 1
    assert not stage.debts.owed


@pytest.mark.parametrize("side_file", ["kept", "full, too"])
async def test_a_restart_while_it_is_full_repeats_only_what_nobody_kept(
    stage: Stage, side_file: str
) -> None:
    phone = await fills_when_ada_is_called(stage)
    stage.debts.failing = side_file != "kept"
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
    stage.journal.full = False
    async with stage.daemon() as daemon:
        await daemon.at(240)
        incident = await daemon.incident()
    calls = [page.page for page in phone.pages].count("r0.t0.ada")
    assert calls == (1 if side_file == "kept" else 2), "called twice rather than never"
    assert incident.pages["r0.t0.ada"].delivered_at is not None


async def test_an_action_runs_once_although_its_end_cannot_be_written(stage: Stage) -> None:
    rollback = stage.actions["rollback"]
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        heal = rollback.effect

        def done() -> None:
            heal()
            stage.journal.full = True

        rollback.effect = done
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(180 + FULL)
        assert len(rollback.runs) == 1
        assert (await daemon.incident()).steps[1].status == "running"
        stage.journal.full = False
        await daemon.at(3600)
        incident = await daemon.incident()
    assert len(rollback.runs) == 1
    assert rollback.checks == 0, "it is known how it ended"
    assert incident.steps[1].verdict == "recovered"
    assert all(run.finished is not None for run in stage.journal.runs), "the lock is given back"


async def test_what_cannot_be_claimed_does_not_begin(stage: Stage) -> None:
    """The disk is full from the moment on at which the problem is confirmed."""

    def fills(_: Incident | None, __: Incident, events: Sequence[Event]) -> None:
        if any(isinstance(event, ProblemDefined) for event in events):
            stage.journal.full = True

    async with stage.daemon() as daemon:
        daemon.repository.listeners.append(fills)
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(180 + FULL)
        assert not stage.actions["rollback"].runs
        assert len(stage.phones["ada"].pages) == 1
        assert not stage.phones["bo"].pages, "the next tier cannot be written down either"
        stage.journal.full = False
        await daemon.at(180 + FULL + 30)
    assert len(stage.actions["rollback"].runs) == 1


async def test_what_is_owed_to_another_store_is_let_go(stage: Stage) -> None:
    """A new store was begun, and the side file of the one before it still lies there."""
    delivered = PageDelivered(page="r0.t0.ada", method="phone-1", proof="rang")
    stage.debts.owed = [Owed(incident="gone", drafts=(Draft(at=START, event=delivered),))]
    async with stage.daemon() as daemon:
        await daemon.at(60)
        assert daemon.conductor.tasks == (0, 0)
    assert not stage.debts.owed


class Hiccuping(MemoryJournal):
    """Its closed incidents cannot be read just when the conductor starts."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    async def heads(self, limit: int, search: IncidentSearch = ALL_INCIDENTS) -> list[Head]:
        if search == IncidentSearch(drills="with") and self.failures == 0:
            self.failures += 1
            raise Temporary("the disk fails")
        return await super().heads(limit, search)


async def test_a_store_that_fails_at_the_start_ends_no_daemon(stage: Stage) -> None:
    stage.journal = journal = Hiccuping()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        assert journal.failures == 1
        await daemon.receives(alert())
        await daemon.at(200)
        assert stage.phones["ada"].pages


class Forgetful(MemoryJournal):
    """For a while it cannot tell what was changed."""

    def __init__(self) -> None:
        super().__init__()
        self.forgets = False
        self.failures = 0

    async def changes(self, subject: str) -> list[Change]:
        if self.forgets:
            self.failures += 1
            raise Temporary("the disk fails")
        return await super().changes(subject)


async def test_a_store_that_fails_while_targets_are_looked_at_ends_no_daemon(stage: Stage) -> None:
    """The keeper of autonomy looks after each step at what became of its target."""
    stage.journal = journal = Forgetful()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        healed_by(stage, "rollback")
        await daemon.receives(alert())
        await daemon.at(400)
        journal.forgets = True
        await daemon.at(700)
        assert journal.failures > 1
        journal.forgets = False
        await daemon.at(1500)
        assert (await daemon.incident()).closed is not None
