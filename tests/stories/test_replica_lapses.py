"""A replica whose lease lapses or whose store does not answer, and which goes on afterwards.
Nothing is under way twice, and nothing that the store calls its own is left lying."""

from __future__ import annotations

import asyncio

import pytest

from daemon.conduct.conductor import Conductor
from daemon.core.decision import SendPage
from daemon.core.incident import events as e
from daemon.core.ports.notification import Page
from tests.fakes import Phone
from tests.stories.stage import Stage, alert, healed_by
from tests.stories.test_replicas import FAILOVER, Watched, acted_once, called, replicas


async def test_a_lease_that_is_over_before_it_is_missed_leaves_nothing_under_way(
    stage: Stage,
) -> None:
    """The clock jumps in the middle of an action, and the incident is looked at before anybody
    has noticed that the lease is over; a second later it is won back."""
    async with replicas(stage, "a") as story:
        rollback = stage.actions["rollback"]
        assert isinstance(rollback, Watched)
        rollback.takes = 20
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183.4)
        assert rollback.at_work == 1
        story.processes["a"].ahead = 61
        a.repository.ring_all()
        await a.at(190)
        assert len(rollback.runs) == 2, "it was taken up again"
        await a.at(1800)
        incident = await a.incident()
    assert incident.closed is not None
    acted_once(stage)


@pytest.mark.parametrize("call", ["owned", "start", "renew", "take_these"])
async def test_a_lease_is_won_back_though_the_store_fails_once_more(
    stage: Stage, call: str
) -> None:
    async with replicas(stage, "a") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        story.processes["a"].cut = True
        await a.at(240)
        story.processes["a"].loses.add(call)
        story.processes["a"].cut = False
        await a.at(250)
        assert story.processes["a"].loses == set()
        assert a.conductor.tasks[0] == 1
        await a.at(1800)
        incident = await a.incident()
    assert incident.closed is not None
    acted_once(stage)


async def test_what_was_taken_is_conducted_though_nobody_said_that_it_was(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        healed_by(stage, "rollback")
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        story.processes["b"].loses.add("take")
        await story.kill("a")
        await b.at(183 + FAILOVER + 2)
        assert story.processes["b"].loses == set()
        assert story.owner() == "b"
        assert b.conductor.tasks[0] == 1
        await b.at(1800)
        incident = await b.incident()
    assert incident.closed is not None
    acted_once(stage)


async def test_what_was_opened_is_conducted_though_nobody_said_that_it_was(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        story.processes["a"].loses.add("open")
        await a.receives(alert())
        await a.at(190)
        assert story.processes["a"].loses == set()
        assert story.owner() == "a"
        assert a.conductor.tasks[0] == 1
        assert called(stage)
        await a.at(1800)
        incident = await a.incident()
    assert incident.closed is not None
    acted_once(stage)


async def test_a_start_outlives_that_the_store_fails_once(stage: Stage) -> None:
    async with replicas(stage) as story:
        healed_by(stage, "rollback")
        starting = await story.start("a")
        story.processes["a"].loses.add("owned")
        await starting.at(180)
        assert story.processes["a"].loses == set()
        await starting.receives(alert())
        await starting.at(1800)
        assert (await starting.incident()).closed is not None


async def test_what_is_owed_to_an_incident_of_another_replica_is_paid(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(180.1)
        incident = await a.incident()
        story.processes["a"].cut = True
        await a.repository.report(incident.id, e.StepProgressed(step=1, text="told late"))
        assert list(a.repository.owing) == [incident.id]
        await b.at(205)
        assert story.owner() == "b"
        story.processes["a"].cut = False
        await b.at(220)
        assert list(a.repository.owing) == []
        entries = stage.journal.entries[incident.id]
    assert any(getattr(entry.event, "text", "") == "told late" for entry in entries)


async def test_a_page_that_was_cancelled_before_it_began_is_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is lost and won back between the claim of a page and the first moment of it."""
    launch, given_up = Conductor._launch, list[str]()

    def gives_up(conductor: Conductor, incident: str, effect: object, *more: object) -> None:
        launch(conductor, incident, effect, *more)  # type: ignore[arg-type]
        if isinstance(effect, SendPage) and not given_up:
            given_up.append(incident)
            conductor.give_up([incident])
            conductor.take([incident])

    monkeypatch.setattr(Conductor, "_launch", gives_up)
    rung: list[Page] = []
    for phone in stage.phones.values():
        assert isinstance(phone, Phone)
        phone.pages = rung
    async with replicas(stage, "a") as story:
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        assert given_up
        await a.at(200)
        first = next(iter((await a.incident()).pages))
    assert first in {page.page for page in rung}


async def test_an_incident_that_is_lost_before_it_was_begun_with_is_conducted_once_it_is_won_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing runs of a task that is cancelled before its first moment."""
    begin, lost = Conductor._begin, list[str]()

    def loses(conductor: Conductor, incident: str, group: asyncio.TaskGroup) -> None:
        begin(conductor, incident, group)
        if not lost:
            lost.append(incident)
            conductor.give_up([incident])
            conductor.take([incident])

    monkeypatch.setattr(Conductor, "_begin", loses)
    async with replicas(stage, "a") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        assert lost
        assert a.conductor.tasks[0] == 1
        assert called(stage)
        await a.at(1800)
        incident = await a.incident()
    assert incident.closed is not None
    acted_once(stage)


@pytest.mark.parametrize("first", ["a", "b"])
async def test_after_an_outage_of_the_store_each_goes_on_with_its_own(
    stage: Stage, first: str
) -> None:
    """All leases are over by then; whoever is back a little earlier than the other takes nothing
    of it, and nobody is called again."""
    async with replicas(stage, "a", "b") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        before = called(stage)
        for process in story.processes.values():
            process.cut = True
        await a.at(240)
        story.processes[first].cut = False
        await a.at(243)
        for process in story.processes.values():
            process.cut = False
        await a.at(260)
        assert story.owner() == "a"
        assert a.conductor.tasks[0] == 1
        assert called(stage)[: len(before)] == before
        await a.at(1800)
        incident = await a.incident()
        assert story.owner() == "a"
    assert incident.closed is not None
    acted_once(stage)


async def test_after_an_outage_what_was_of_the_dead_is_taken_all_the_same(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        healed_by(stage, "rollback")
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        story.processes["b"].cut = True
        await story.kill("a")
        await b.at(240)
        story.processes["b"].cut = False
        await b.at(243)
        assert story.owner() == "a", "it may be late only"
        await b.at(250)
        assert story.owner() == "b"
        await b.at(1800)
        incident = await b.incident()
    assert incident.closed is not None
    acted_once(stage)
