"""Several replicas over one store: one conducts an incident, and another goes on where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import ActionContext
from daemon.core.recovery.guardrails import Freeze
from daemon.core.values.outcome import Outcome, Temporary
from tests.fakes import START, FakeAction
from tests.replicas import LEASE, Process
from tests.stories.stage import RULE, Daemon, Stage, alert, healed_by, lowered

FAILOVER = LEASE.total_seconds() + 2
APPENDS = range(1, 25)
"""As many as there are from the alert to the recovery."""
SHORT = RULE.replace("watch: 10m", "watch: 1m").replace("hold: 2m", "hold: 1m")


class Watched(FakeAction):
    """An action that sees whether another one is at work on its target."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.at_work = 0
        self.overlaps = 0

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        self.overlaps += self.at_work
        self.at_work += 1
        try:
            return await super().run(params, intent, context)
        finally:
            self.at_work -= 1


@dataclass
class Replicas:
    """The replicas of a story, by name; `a` gets what Alertmanager posts unless it says else."""

    stage: Stage
    processes: dict[str, Process] = field(default_factory=dict)
    daemons: dict[str, Daemon] = field(default_factory=dict)
    ends: dict[str, AsyncExitStack] = field(default_factory=dict)

    async def start(self, name: str, instance: str = "") -> Daemon:
        """A replica starts."""
        process = self.processes[name] = Process(name, instance)
        end = self.ends[name] = AsyncExitStack()
        self.daemons[name] = await end.enter_async_context(self.stage.daemon(process))
        return self.daemons[name]

    async def kill(self, name: str) -> None:
        """By kill -9: nothing that it still says reaches the store."""
        self.processes[name].dying.set()
        await self.ends.pop(name).aclose()

    def owner(self) -> str:
        """Whose the only incident is."""
        (head,) = self.stage.journal.rows.values()
        return head.owner


@asynccontextmanager
async def replicas(stage: Stage, *names: str) -> AsyncIterator[Replicas]:
    """These replicas run inside."""
    for action in ("rollback", "flag_off"):
        stage.actions[action] = Watched(action)
    story = Replicas(stage)
    try:
        for name in names:
            await story.start(name)
        yield story
    finally:
        for end in list(story.ends.values()):
            await end.aclose()


def acted_once(stage: Stage) -> None:
    """No action met another one, and what was carried on was the same step."""
    for action in stage.actions.values():
        assert isinstance(action, Watched)
        assert action.overlaps == 0
        assert len(set(action.runs)) <= 1
    assert stage.actions["flag_off"].runs == []


def called(stage: Stage) -> list[tuple[str, str]]:
    """The pages that were sent, each with its incident."""
    return [(page.incident, page.page) for phone in stage.phones.values() for page in phone.pages]


async def test_both_get_the_same_deliveries_and_it_is_told_as_often_as_one(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        healed_by(stage, "rollback")
        await story.daemons["a"].at(180)
        for name in ("a", "b", "b"):
            await story.daemons[name].receives(alert())
        await story.daemons["a"].at(1800)
        shop = await story.daemons["b"].incident()
    kinds = [entry.event.kind for entry in stage.journal.entries[shop.id]]
    assert kinds.count("IncidentOpened") == 1
    assert kinds.count("StepStarted") == kinds.count("StepFinished") == 1
    assert shop.closed is not None
    assert shop.recovered_by == 1
    acted_once(stage)
    pages = called(stage)
    assert sorted(pages) == sorted(set(pages)), "each was made once"


@pytest.mark.parametrize("number", APPENDS)
async def test_one_dies_at_any_append_and_the_other_finishes(tmp_path: Path, number: int) -> None:
    stage = Stage(tmp_path, SHORT)
    stage.service.fails(0.10, 60)
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        healed_by(stage, "rollback")
        story.processes["a"].dies_at = number
        await a.at(180)
        try:
            await a.receives(alert())
        finally:
            dying = asyncio.create_task(story.processes["a"].dying.wait())
            await asyncio.wait({dying}, timeout=400)
        assert dying.done(), f"it has made {story.processes['a'].appends} appends"
        died = asyncio.get_running_loop().time()
        await story.kill("a")
        await b.at(died + FAILOVER)
        assert story.owner() == "b", "within the lease and two seconds"
        assert b.conductor.tasks[0] == 1 or (await b.incident()).closed
        await b.at(died + 400)
        incident = await b.incident()
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert incident.steps[1].verdict in {"recovered", "self_recovered"}
    assert incident.review
    assert incident.recorded
    acted_once(stage)
    assert len(stage.actions["rollback"].runs) <= 2


async def test_what_is_over_is_owned_no_more(stage: Stage) -> None:
    """A daemon that runs for months would remember every incident that it ever had."""
    async with replicas(stage, "a") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        assert a.lease is not None
        await a.at(180)
        await a.receives(alert())
        await a.at(181)
        assert a.lease.owns((await a.incident()).id)
        await a.at(3600)
        incident = await a.incident()
        assert incident.closed is not None
        assert not a.lease.owns(incident.id)


async def test_a_freeze_that_one_takes_stops_the_step_that_another_would_start(
    stage: Stage,
) -> None:
    async with replicas(stage, "a", "b") as story:
        healed_by(stage, "rollback")
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await b.repository.journal.freeze(
            Freeze(scope="global", reason="migration", by="cy", at=b.repository.clock())
        )
        await a.at(400)
        assert stage.actions["rollback"].runs == []
        incident = await a.incident()
        assert (story.owner(), incident.step(1).status) == ("a", "waiting")
        assert await b.repository.journal.thaw("global", "cy", b.repository.clock())
        await a.at(1800)
        assert (await b.incident()).recovered_by == 1
    acted_once(stage)


async def test_a_replica_that_stops_leaves_its_incidents_to_the_others_at_once(
    stage: Stage,
) -> None:
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(181)
        assert story.owner() == "a"
        assert a.lease is not None
        await a.lease.leave()
        await b.at(182.5)
        assert story.owner() == "b"
        assert b.conductor.tasks[0] == 1


async def test_cut_off_from_the_database_it_stops_before_the_other_begins(stage: Stage) -> None:
    """It can reach its target all the while, and the other one cannot know whether it does."""
    rollback_ends: list[float] = []

    class Slow(Watched):
        """An action that takes longer than the lease."""

        async def run(
            self, params: Any, intent: Mapping[str, str], context: ActionContext
        ) -> Outcome:
            try:
                return await super().run(params, intent, context)
            finally:
                rollback_ends.append(asyncio.get_running_loop().time())

    async with replicas(stage, "a", "b") as story:
        rollback = stage.actions["rollback"] = Slow("rollback")
        rollback.takes = 60
        healed_by(stage, "rollback")
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        assert rollback.at_work == 1
        renewed = stage.register.rows["a"].renewed
        story.processes["a"].cut = True
        await b.at(205)
        assert story.owner() == "b"
        assert a.lease is not None
        assert not a.lease.may_act()
        stopped = (START + timedelta(seconds=rollback_ends[0])) - renewed
        assert stopped < LEASE
        assert rollback.began_at[1] > (renewed + LEASE - START).total_seconds()
        await b.at(300)
        story.processes["a"].cut = False
        await b.at(1800)
        incident = await b.incident()
    assert incident.closed is not None
    assert incident.recovered_by == 1
    assert len(rollback.runs) == 2
    acted_once(stage)


async def test_a_lease_that_is_won_back_finds_what_nobody_has_taken(stage: Stage) -> None:
    async with replicas(stage, "a") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        story.processes["a"].cut = True
        await a.at(240)
        assert a.conductor.tasks[1] == 0  # the outcome that is owed waits to be paid, no more
        assert stage.actions["rollback"].landed == "not_done"
        story.processes["a"].cut = False
        await a.at(243)
        assert a.conductor.tasks[0] == 1
        await a.at(1800)
        incident = await a.incident()
    assert incident.closed is not None
    assert incident.recovered_by == 1
    acted_once(stage)


@pytest.mark.parametrize("suspended", [180.02, 180.5, 183.0, 200.0])
async def test_suspended_it_does_nothing_more_once_it_wakes(stage: Stage, suspended: float) -> None:
    async with replicas(stage, "a", "b") as story:
        for action in stage.actions.values():
            action.prepares = 1.0
        healed_by(stage, "rollback")
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(suspended)
        for phone in stage.phones.values():
            phone.pages.clear()
        acted = len(stage.actions["rollback"].runs)
        story.processes["a"].suspend()
        await b.at(suspended + FAILOVER)
        assert story.owner() == "b"
        await b.at(suspended + 120)
        by_b, paged = len(stage.actions["rollback"].runs), called(stage)
        story.processes["a"].wake()
        await b.at(suspended + 125)
        assert len(stage.actions["rollback"].runs) == by_b <= acted + 1
        assert called(stage) == paged
        await b.at(1800)
        incident = await b.incident()
        assert story.owner() == "b"
    assert incident.closed is not None
    assert incident.recovered_by == 1
    acted_once(stage)


async def test_what_a_step_came_to_is_not_told_by_who_has_lost_it(stage: Stage) -> None:
    """It ended while the database was away; the next owner has looked, and is at work on it."""
    async with replicas(stage, "a", "b") as story:
        rollback = stage.actions["rollback"]
        rollback.outcome = Outcome(result="failed", reason="action_failed", detail="it failed")
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        story.processes["a"].cut = True
        await a.at(187)
        assert rollback.at_work == 0, "it has ended, and nobody can be told"
        rollback.outcome, rollback.takes = Outcome(result="done", reason="done", detail="ok"), 60
        healed_by(stage, "rollback")
        await b.at(205)
        assert story.owner() == "b"
        assert rollback.at_work == 1
        story.processes["a"].cut = False
        await b.at(230)
        assert rollback.at_work == 1
        assert (await b.incident()).steps[1].status == "running"
        assert [run.finished for run in stage.journal.runs] == [None], "the target stays locked"
        await b.at(1800)
        incident = await b.incident()
    assert incident.recovered_by == 1
    acted_once(stage)


async def test_one_that_joins_gets_its_part_of_what_is_new_and_of_the_dead_ones(
    stage: Stage,
) -> None:
    lowered(stage, storm=100)
    async with replicas(stage, "a", "b") as story:
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(*(alert(service=f"s{n}") for n in range(8)))
        await a.at(182)
        running = [h.owner for h in stage.journal.rows.values()]
        c = await story.start("c")
        await c.at(186)
        assert [h.owner for h in stage.journal.rows.values()] == running, "none is handed around"
        await story.kill("a")
        await c.at(186 + FAILOVER)
        owners = [h.owner for h in stage.journal.rows.values()]
        assert owners.count("a") == 0
        assert owners.count("b") == owners.count("c") == 4


async def test_what_may_outlive_its_replica_is_looked_at_when_it_is_over(stage: Stage) -> None:
    """A command goes on when the daemon that started it dies, and nobody sees that it does."""

    class Command(Watched):
        """An action like `run_command`."""

        def lingers(self, params: Any) -> timedelta:
            return timedelta(seconds=60)

    async with replicas(stage, "a", "b") as story:
        command = stage.actions["rollback"] = Command("rollback")
        command.landed = "unknown"
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        await story.kill("a")
        await b.at(180 + 70)
        assert story.owner() == "b"
        assert command.checks == 0
        incident = await b.incident()
        assert incident.steps[1].status == "running"
        assert [run.finished for run in stage.journal.runs] == [None], "its target is locked"
        await b.at(180 + 80)
        assert command.checks == 1
        incident = await b.incident()
    assert incident.steps[1].outcome is not None
    assert incident.steps[1].outcome.reason == "interrupted"
    assert len(command.runs) == 1


async def test_a_lease_that_is_won_back_is_of_use_once_the_store_tells_what_is_ours(
    stage: Stage,
) -> None:
    """The database answers to the renewal, and is away again before it has told the rest."""
    async with replicas(stage, "a") as story:
        healed_by(stage, "rollback")
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        story.processes["a"].cut = True
        await a.at(240)
        assert a.lease is not None
        register: Any = a.lease._register
        told, tries = register.owned, iter((False, False, True))

        async def owned() -> list[str]:
            if not next(tries, True):
                raise Temporary("the database cannot be reached")
            return list(await told())

        register.owned = owned
        story.processes["a"].cut = False
        await a.at(255)
        assert a.conductor.tasks[0] == 1
        await a.at(1800)
        incident = await a.incident()
    assert incident.closed is not None
    acted_once(stage)


async def test_an_incident_is_conducted_though_its_opening_seemed_to_fail(stage: Stage) -> None:
    """The connection broke in the COMMIT, which went through; the store names us as its owner."""
    async with replicas(stage, "a", "b") as story:
        a = story.daemons["a"]
        journal: Any = a.repository.journal
        opens, failed = journal.open, []

        async def unknown(*args: Any, **more: Any) -> None:
            await opens(*args, **more)
            if not failed:
                failed.append(args)
                raise Temporary("it may have been stored or not")

        journal.open = unknown
        await a.at(180)
        await a.receives(alert())
        await a.at(200)
        assert failed
        assert story.owner() == "a"
        assert a.conductor.tasks[0] == 1
        assert called(stage), "somebody is called"


async def test_whoever_takes_a_storm_over_calls_nobody_for_it_again(stage: Stage) -> None:
    async with replicas(stage, "a") as story:
        a = story.daemons["a"]
        await a.at(180)
        await a.receives(*(alert(service=f"s{n}") for n in range(6)))
        await a.at(184)
        before = called(stage)
        assert before
        journal: Any = a.repository.journal
        read = journal.read

        async def slowly(incident: str, after: int = 0) -> Any:
            oldest = incident == next(iter(stage.journal.rows))
            await asyncio.sleep(2 if oldest else 0.01)
            return await read(incident, after)

        journal.read = slowly
        story.processes["a"].cut = True
        await a.at(200)
        assert a.conductor.tasks == (0, 0)
        story.processes["a"].cut = False
        await a.at(210)
        assert a.conductor.tasks[0] == 6
        assert called(stage) == before


async def test_waiting_for_what_may_be_at_work_yet_is_no_part_of_the_steps_own_time(
    tmp_path: Path,
) -> None:
    class Command(Watched):
        """An action like `run_command`, whose deadline is shorter."""

        def lingers(self, params: Any) -> timedelta:
            return timedelta(seconds=60)

    quick = RULE.replace("when: suspect_change,", "when: suspect_change, within: 30s,")
    stage = Stage(tmp_path, quick)
    stage.service.fails(0.10, 60)
    async with replicas(stage, "a", "b") as story:
        command = stage.actions["rollback"] = Command("rollback")
        command.takes = 20
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(183)
        command.landed = "done"
        await story.kill("a")
        await b.at(180 + 100)
        incident = await b.incident()
    outcome = incident.steps[1].outcome
    assert outcome is not None
    assert (outcome.result, outcome.reason) == ("done", "found_done")


async def test_what_others_did_is_heard_of_before_what_was_theirs_is_conducted(
    stage: Stage,
) -> None:
    """A storm that the dead one has told of, say; but nobody waits for that for long."""
    heard: list[tuple[str, int]] = []
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        await a.at(180)
        await a.receives(alert())
        await a.at(182)
        assert b.lease is not None

        async def catch_up() -> None:
            heard.append((story.owner(), b.conductor.tasks[0]))
            await asyncio.sleep(3600)

        b.lease.catch_up = catch_up
        await story.kill("a")
        await b.at(182 + FAILOVER + 3)
        assert heard == [("b", 0)]
        assert b.conductor.tasks[0] == 1
