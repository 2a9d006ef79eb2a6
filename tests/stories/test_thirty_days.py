"""A month of a daemon's life: at its end it holds no more than it did once it had settled.

`make month` plays the whole of it; the suite only the hours in which something happens.
"""

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
from tests.coarse_onsets import coarse_onsets
from tests.stories.stage import Daemon, Stage, alert

WORK = 4000.0
"""Seconds of a day in which something happens; the rest of it is idle."""
DAY = 86_400.0
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
        """A deployment and an outage, which somebody takes on every other day; every fourth day a
        storm, and on the day after that announced work."""
        begin = number * self.length
        self.stage.service.fails(0.01, begin)
        await self.daemon.at(begin + 60)
        await self._deployment(number)
        if number % 4 == 1:
            now = self.daemon.repository.clock()
            end = now + timedelta(minutes=20)
            await self.daemon.maintenance.announce("global", "work", "ada", now, end)
        storm = number % 4 == 0
        services = [f"s{number}-{n}" for n in range(6)] if storm else [f"s{number}"]
        await self._outage(begin + 300, services, acknowledged=number % 2 == 1)
        await self.daemon.at(begin + self.length - 10)

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
    """What stands for the disk and for the world: it remembers what a real one keeps elsewhere.
    And of which rules the newest groups are, up to so many: each day has services of its own."""
    yield stage
    yield stage.book_rules._grouped
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
    ("days", "settled", "length"),
    [
        (9, 4, WORK),
        pytest.param(30, 8, DAY, marks=[pytest.mark.bench, pytest.mark.timeout(3600)]),
    ],
)
async def test_at_the_end_it_holds_what_it_held_once_it_had_settled(
    stage: Stage, days: int, settled: int, length: float
) -> None:
    held: dict[int, Counter[str]] = {}
    counted = (settled, (settled + days) // 2, days)
    with coarse_onsets():
        async with stage.daemon() as daemon:
            month = Month(stage, daemon, length)
            for number in range(1, days + 1):
                await month.day(number)
                if number in counted:
                    held[number] = _held(stage, daemon)
            assert len(await stage.incidents()) == month.opened
    grown = {
        kind: [held[day][kind] for day in counted]
        for kind in held[days]
        if held[days][kind] > held[settled][kind] + SLACK
    }
    assert grown == {}
    for kind in ("(tasks)", "(bells)", "(locks)", "(attempts)"):
        assert held[days][kind] <= held[settled][kind], kind
