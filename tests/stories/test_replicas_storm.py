"""The replica that holds a storm dies in the middle of it: the other one has the same storm."""

from __future__ import annotations

import asyncio

from tests.stories.stage import Daemon, Stage
from tests.stories.test_replicas import FAILOVER, called, replicas
from tests.stories.test_storm import answers, break_out, titles, unruled

BEFORE, AFTER = range(40), range(60, 80)
"""The groups that begin to fire before the death, and after the other one has taken over."""
LATE = 108
"""So many seconds after the death whoever has taken it is asked for nothing that is late yet."""


async def begun(daemon: Daemon) -> float:
    """A storm has broken out, and some of its pages were sent."""
    await break_out(daemon, BEFORE)
    await asyncio.sleep(2)
    assert "Storm since" in titles(daemon.stage, "ada")[-1]
    return asyncio.get_running_loop().time()


async def test_a_storm_is_held_by_the_other_when_its_owner_dies(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        died = await begun(a)
        (storm,) = {i.storm.storm for i in await stage.incidents() if i.storm is not None}
        told = called(stage)
        await story.kill("a")
        await b.at(died + FAILOVER + 1)
        assert {head.owner for head in stage.journal.rows.values()} == {"b"}
        assert b.conductor.tasks[0] == len(BEFORE)
        assert called(stage) == told, "nobody is called for it again"
        for number in AFTER:
            await b.receives(unruled(number))
        await b.at(died + 90)
        incidents = await stage.incidents()
        assert len(incidents) == len(BEFORE) + len(AFTER)
        assert not any(incident.defects for incident in incidents), "somebody is being called"
        assert {i.storm.storm for i in incidents if i.storm is not None} == {storm}
        alone = [title for title in titles(stage, "ada") if "Storm since" not in title]
        first = [f"Fails{number}" for number in range(stage.limits.storm - 1)]
        assert alone == first, "what came later is part of it"
        await answers(b, "ada")
        await b.at(died + 93)
        assert {i.commander for i in await stage.incidents()} == {"ada"}
        told = called(stage)
        await b.at(died + LATE)
    assert called(stage) == told, "somebody has taken it"


async def test_a_storm_that_somebody_took_at_the_dead_one_wakes_nobody(stage: Stage) -> None:
    async with replicas(stage, "a", "b") as story:
        a, b = story.daemons["a"], story.daemons["b"]
        await begun(a)
        await answers(a, "ada")
        await asyncio.sleep(2)
        told = called(stage)
        await story.kill("a")
        await b.at(asyncio.get_running_loop().time() + FAILOVER + 60)
        assert {i.commander for i in await stage.incidents()} == {"ada"}
    (grown,) = called(stage)[len(told) :]
    assert grown[1] == "storm-growth-1123-140300.ada", "they hear that it has grown, and no more"
    assert stage.phones["bo"].pages == []
