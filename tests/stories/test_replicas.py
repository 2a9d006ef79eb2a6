"""Several replicas over one store: one conducts an incident, and another goes on where it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from daemon.core.ports.actions import ActionContext
from daemon.core.values.outcome import Outcome
from tests.fakes import FakeAction
from tests.replicas import LEASE, Process
from tests.stories.stage import Daemon, Stage, alert, healed_by

FAILOVER = LEASE.total_seconds() + 2
APPENDS = range(1, 31)


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
        await story.daemons["b"].receives(alert(), alert(service="cart"))
        await story.daemons["a"].at(3600)
        shop = next(i for i in await stage.incidents() if i.group_labels["service"] == "shop")
    kinds = [entry.event.kind for entry in stage.journal.entries[shop.id]]
    assert len(stage.journal.rows) == 2
    assert kinds.count("IncidentOpened") == 1
    assert kinds.count("StepStarted") == kinds.count("StepFinished") == 1
    assert shop.closed is not None
    assert shop.recovered_by == 1
    acted_once(stage)
    pages = called(stage)
    assert sorted(pages) == sorted(set(pages)), "each was made once"


@pytest.mark.parametrize("number", APPENDS)
async def test_one_dies_at_any_append_and_the_other_finishes(stage: Stage, number: int) -> None:
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        healed_by(stage, "rollback")
        story.processes["a"].dies_at = number
        await a.at(180)
        try:
            await a.receives(alert())
        finally:
            dying = asyncio.create_task(story.processes["a"].dying.wait())
            await asyncio.wait({dying}, timeout=3000)
        assert dying.done(), "there are so many appends"
        died = asyncio.get_running_loop().time()
        await story.kill("a")
        await b.at(died + FAILOVER)
        assert story.owner() == "b", "within the lease and two seconds"
        assert b.conductor.tasks[0] == 1
        await b.at(died + 3600)
        incident = await b.incident()
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert incident.steps[1].verdict in {"recovered", "self_recovered"}
    acted_once(stage)
    assert len(stage.actions["rollback"].runs) <= 2
