"""A month of a daemon's life: what it holds after the thirtieth day it held after the tenth."""

from __future__ import annotations

import asyncio
import gc
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.changes.suspects import Change
from tests import commanding
from tests.stories.stage import Daemon, Stage, alert

WORK = 12_000.0
"""Seconds of a day in which something happens; the rest of it is idle."""
DAY = 86_400.0
SETTLED = 10
DAYS = 30
SLACK = 60
"""Objects of one type by which two days may differ: what is open at that moment is not the same."""
_NOT_OURS = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.CodeType,
    types.BuiltinFunctionType,
    asyncio.AbstractEventLoop,
)


class Month:
    """What happens in it: by the day of the week, so that every week is like the others."""

    def __init__(self, stage: Stage, daemon: Daemon, length: float) -> None:
        self.length = length
        self.stage = stage
        self.daemon = daemon
        self.opened = 0

    async def day(self, number: int) -> None:
        """An alert by day and one at night, a deployment, a storm on Mondays, work on Tuesdays."""
        begin = number * self.length
        self.stage.service.fails(0.01, begin)
        await self.daemon.at(begin + 60)
        await self._deployment(number)
        await self._outage(begin + 300, ["shop"], acknowledged=True)
        if number % 7 == 1:
            now = self.daemon.repository.clock()
            end = now + timedelta(hours=1)
            await self.daemon.maintenance.announce("global", "work", "ada", now, end)
        await self._outage(begin + 4000, [f"night-{number}"], acknowledged=False)
        if number % 7 == 0:
            services = [f"s{number}-{n}" for n in range(6)]
            await self._outage(begin + 7700, services, acknowledged=False)
        await self.daemon.at(begin + self.length - 60)

    async def _deployment(self, number: int) -> None:
        now = self.daemon.repository.clock()
        change = Change(
            subject="shop", item=f"v{number}", previous=f"v{number - 1}", at=now, seen_by="test"
        )
        self.stage.changes[:] = self.stage.changes[-5:]
        await self.daemon.told(change)

    async def _outage(self, at: float, services: list[str], *, acknowledged: bool) -> None:
        """They fail for ten minutes; somebody comes, or nobody does until it is over."""
        await self.daemon.at(at)
        self.stage.service.fails(0.3, at)
        for service in services:
            await self.daemon.receives(alert(service=service, started=at))
        self.opened += len(services)
        await self.daemon.at(at + 120)
        if acknowledged:
            for incident in list(self.daemon.repository.known):
                await self._acknowledges(incident.id)
        await self.daemon.at(at + 600)
        self.stage.service.fails(0.01, at + 600)
        for service in services:
            await self.daemon.receives(
                alert("resolved", service=service, started=at, ended=at + 600)
            )
        await self.daemon.at(at + 3500)
        assert not self.daemon.repository.known, "all of it is over"

    async def _acknowledges(self, incident: str) -> None:
        await self.daemon.repository.record(
            incident, lambda i: commanding.acknowledge(i, "ada", "test"), by="person:ada"
        )


def _reachable(roots: Iterable[Any], beyond: Iterable[Any]) -> Counter[str]:
    """How many objects of each type can be reached from the roots, and not by `beyond`."""
    seen = {id(one) for one in beyond}
    found: Counter[str] = Counter()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _NOT_OURS):
            continue
        seen.add(id(one))
        found[type(one).__qualname__] += 1
        waiting.extend(gc.get_referents(one))
    return found


def _world(stage: Stage) -> Iterator[Any]:
    """What stands for the disk and for the world: it remembers what a real one keeps elsewhere."""
    yield stage
    for name, value in vars(stage).items():
        if name not in {"roster", "rules", "book_rules", "limits"}:
            yield value
    yield from stage.phones.values()
    yield from stage.actions.values()
    yield stage.__dict__


def _held(stage: Stage, daemon: Daemon) -> Counter[str]:
    gc.collect()
    parts = [
        daemon.repository,
        daemon.intake,
        daemon.telemetry,
        daemon.conductor,
        daemon.keeper,
        daemon.maintenance,
        *asyncio.all_tasks(),
    ]
    mine = asyncio.current_task()
    counted = _reachable([part for part in parts if part is not mine], _world(stage))
    counted["(tasks)"] = len(asyncio.all_tasks())
    counted["(bells)"] = len(daemon.repository._bells)
    counted["(locks)"] = len(daemon.repository._locks)
    counted["(attempts)"] = len(daemon.repository.attempts)
    return counted


@pytest.mark.parametrize(
    "length", [WORK, pytest.param(DAY, marks=[pytest.mark.bench, pytest.mark.timeout(1800)])]
)
async def test_after_thirty_days_it_holds_what_it_held_after_ten(
    stage: Stage, length: float
) -> None:
    held: dict[int, Counter[str]] = {}
    async with stage.daemon() as daemon:
        month = Month(stage, daemon, length)
        for number in range(1, DAYS + 1):
            await month.day(number)
            held[number] = _held(stage, daemon)
        assert len(await stage.incidents()) == month.opened
    grown = {
        kind: [held[day][kind] for day in (SETTLED, (SETTLED + DAYS) // 2, DAYS)]
        for kind in held[DAYS]
        if held[DAYS][kind] > held[SETTLED][kind] + SLACK
    }
    assert grown == {}
    for kind in ("(tasks)", "(bells)", "(locks)", "(attempts)"):
        assert held[DAYS][kind] <= held[SETTLED][kind], kind
