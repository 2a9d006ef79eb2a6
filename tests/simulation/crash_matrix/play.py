"""Plays a story: its happenings in their order, each until a living daemon has taken it, and a new
daemon a moment after each death."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.core.response.command import NotPossible
from daemon.replaying.virtual_time import run_virtually
from tests.coarse_onsets import coarse_onsets
from tests.simulation.crash_matrix.house import PEOPLE, House
from tests.simulation.crash_matrix.power import Power
from tests.stories.stage import Daemon

DOWN = 2.0
"""Seconds until whatever supervises the daemon has started it again."""

Deed = Callable[[House, Daemon], Awaitable[object]]


@dataclass(frozen=True)
class Happening:
    """What happens `at` that second after START. It is tried again with the next daemon if the
    one before died over it, as Alertmanager and people do. `power_cut`: nobody does anything, but
    the daemon is killed, and is back that many seconds later."""

    at: float
    deed: Deed | None = None
    power_cut: float = 0.0


@dataclass(frozen=True)
class Story:
    """`lays_out` prepares the house of these `people` (a roster); all is over `until` that second
    after START."""

    name: str
    lays_out: Callable[[House], None]
    happenings: Sequence[Happening]
    until: float
    people: str = PEOPLE


def play(story: Story, power: Power) -> House:
    """Play it on that power; returns the house as it is in the end."""

    async def run() -> House:
        house = House(Path(folder), power, story.people)
        story.lays_out(house)
        await _Player(story, house).play()
        return house

    with tempfile.TemporaryDirectory() as folder, coarse_onsets():
        return run_virtually(run)


class _Player:
    """One run of a story."""

    def __init__(self, story: Story, house: House) -> None:
        self._house = house
        self._until = story.until
        self._todo = list(story.happenings)
        self._down = DOWN

    async def play(self) -> None:
        while not await self._life():
            await asyncio.sleep(self._down)
            self._house.power.back()

    async def _life(self) -> bool:
        """One daemon from its start; whether it lived to the end of the story."""
        self._down = DOWN
        gone = asyncio.create_task(self._house.power.gone.wait())
        running = asyncio.create_task(self._run())
        await asyncio.wait([gone, running], return_when=asyncio.FIRST_COMPLETED)
        died = gone.done()
        await _nothing_is_left()
        if not died:
            running.result()
        return not died

    async def _run(self) -> None:
        async with self._house.stage.daemon() as daemon:
            while self._todo:
                await self._happens(self._todo[0], daemon)
                self._todo.pop(0)
                self._house.power.changes += 1  # whoever did it has had the answer
            await daemon.at(self._until)

    async def _happens(self, happening: Happening, daemon: Daemon) -> None:
        await daemon.at(happening.at)
        power = self._house.power
        if happening.deed is None:
            self._todo.pop(0)
            self._down = happening.power_cut
            power.fail()
            await asyncio.Event().wait()
            return
        try:
            await happening.deed(self._house, daemon)
        except NotPossible:
            if not power.life:
                raise
            # Whoever does it again is told that it was done: the daemon died over the answer.


async def _nothing_is_left() -> None:
    """Every task but this one has ended."""
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left)
