"""An incident is measured while it is written down; what is done about it waits for the disk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.values.outcome import Temporary
from daemon.measuring.queries import AS_GOOD_AS_NOW
from tests.stories.stage import Daemon, Stage, alert

ASKED_FIRST = 'max(timestamp(total{service="shop"}))'


def held_up(stage: Stage, seconds: float) -> None:
    """The disk takes so long for the next incident."""
    opens = stage.journal.open

    async def slowly(*args: Any, **more: Any) -> None:
        await asyncio.sleep(seconds)
        await opens(*args, **more)

    stage.journal.open = slowly  # type: ignore[method-assign]


async def strikes(daemon: Daemon, until: float) -> None:
    await daemon.at(180)
    await daemon.receives(alert())
    await daemon.at(until)


async def measured(daemon: Daemon) -> e.ProblemDefined:
    incident = await daemon.incident()
    entries = daemon.stage.journal.entries[incident.id]
    return next(x.event for x in entries if isinstance(x.event, e.ProblemDefined))


async def test_it_is_asked_before_the_disk_has_it_and_not_again(stage: Stage) -> None:
    held_up(stage, 0.5)
    async with stage.daemon() as daemon:
        await strikes(daemon, 180.3)
        assert not stage.journal.entries
        assert stage.service.asked.count(ASKED_FIRST) == 1
        await daemon.at(180.9)
        problem = (await measured(daemon)).problem
        assert problem.verdict == "confirmed"
        assert problem.at == (await daemon.incident()).opened_at
        assert stage.service.asked.count(ASKED_FIRST) == 1


async def test_what_the_disk_held_up_for_long_is_asked_anew(stage: Stage) -> None:
    seconds = AS_GOOD_AS_NOW.total_seconds() + 0.5
    held_up(stage, seconds)
    async with stage.daemon() as daemon:
        await strikes(daemon, 180 + seconds + 0.4)
        problem = (await measured(daemon)).problem
        assert problem.at > (await daemon.incident()).opened_at
        assert stage.service.asked.count(ASKED_FIRST) == 2


async def test_what_is_not_written_down_is_not_acted_upon(stage: Stage) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        await asyncio.sleep(0.5)
        raise Temporary("the disk of the store is full")

    stage.journal.open = fails  # type: ignore[method-assign]
    async with stage.daemon() as daemon:
        await strikes(daemon, 190)
        assert not stage.journal.entries
        assert ASKED_FIRST in stage.service.asked
        assert not any(action.runs for action in stage.actions.values())
        assert not any(phone.pages for phone in stage.phones.values())


@pytest.mark.parametrize("services", [2, 20])
async def test_in_a_storm_one_alone_is_asked_for_ahead(stage: Stage, services: int) -> None:
    held_up(stage, 0.5)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"shop-{n}") for n in range(services)))
        await daemon.at(180.3)
        assert (
            sum(query.startswith("bad{") and "[1m]" in query for query in stage.service.asked) == 1
        )
