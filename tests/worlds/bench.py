"""Run every world, and print how the daemon and the two yardsticks decide in it.

    python -m tests.worlds.bench

By the environment: WORLDS draws of each world (50), SEED (1), ONLY the worlds whose name contains
this text. The same seed prints the same figures. No wrong action in 800 draws shows that there are
fewer than 0.5 %, no wrong one in 50 only that there are fewer than 7 %.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from rich.console import Console

from tests.worlds.catalogue import WORLDS
from tests.worlds.daemon_chain import daemon_decides
from tests.worlds.outcome import Decided, is_right, verdict
from tests.worlds.summary import (
    Result,
    confusion,
    per_world,
    short_of_aim,
    totals,
)
from tests.worlds.world import EPOCH, Draw, World, draw
from tests.worlds.yardsticks import sequential_decides, threshold_decides

PROCESSES = 2
WIDTH = 180
"""Characters to a line; the widest table must fit."""
_LEGEND = (
    "Shares with 95 % intervals. s: median seconds from the onset (in a world without one, from "
    "the moment that it is drawn around) to the decision. "
    "*: a twin, left out of the totals and the aim."
)
DECIDERS: Mapping[str, Callable[[Draw], Decided]] = {
    "daemon": daemon_decides,
    "threshold": threshold_decides,
    "sequential": sequential_decides,
}


def run_world(index: int, seed: int, count: int) -> list[Result]:
    """All methods on the same draws of the world at that index of the catalogue."""
    world, found = WORLDS[index], []
    for number in range(count):
        drawn = draw(world, seed, number)
        for method, decides in DECIDERS.items():
            decided = decides(drawn)
            found.append(
                Result(
                    world=world.name,
                    method=method,
                    verdict=verdict(drawn, decided),
                    right=is_right(drawn, decided),
                    seconds=None if decided.at is None else decided.at - EPOCH,
                    why=decided.why,
                )
            )
    return found


def run(indexes: Sequence[int], seed: int, count: int) -> list[Result]:
    """All these worlds, spread over the processes."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        each = pool.map(partial(run_world, seed=seed, count=count), indexes)
        return [result for results in each for result in results]


def main() -> None:
    """Run and print."""
    count, seed = int(os.environ.get("WORLDS", "50")), int(os.environ.get("SEED", "1"))
    only = os.environ.get("ONLY", "")
    indexes = [index for index, world in enumerate(WORLDS) if only in world.name]
    worlds: list[World] = [WORLDS[index] for index in indexes]
    begin = time.monotonic()
    results = run(indexes, seed, count)
    console = Console(width=WIDTH, highlight=False, markup=False)
    console.print(f"{len(worlds)} worlds, {count} draws each, seed {seed}. {_LEGEND}")
    console.print(per_world(results, worlds))
    console.print(totals(results, worlds))
    console.print(confusion(results, worlds))
    console.print("Short of the aim (wrong ≤ 0.5 % anywhere, right ≥ 95 % where to act is right):")
    for line in short_of_aim(results, worlds):
        console.print(f"- {line}")
    console.print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
