"""Many seeds: side by side in processes, and what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.drawing import scenario_of
from tests.simulation.simulation import simulate

CHUNK = 10
"""So many seeds are given to a process at once."""


@dataclass
class Summary:
    """What came of some seeds. `failures`: seed → (invariant, text)."""

    seeds: int = 0
    seconds: float = 0.0
    crashes: int = 0
    steps: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    failures: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, other: Summary) -> None:
        """Count these, too."""
        self.seeds += other.seeds
        self.crashes += other.crashes
        self.steps += other.steps
        self.kinds += other.kinds
        self.met += other.met
        self.failures |= other.failures


def run_seeds(seeds: Iterable[int]) -> Summary:
    """Run these, one after the other."""
    summary = Summary()
    for seed in seeds:
        outcome = simulate(scenario_of(seed))
        summary.seeds += 1
        summary.crashes += outcome.crashes
        summary.steps += outcome.steps
        summary.kinds += outcome.kinds
        summary.met.update(outcome.met)
        if outcome.violation is not None:
            violation = outcome.violation
            summary.failures[seed] = (violation.invariant, violation.text)
    return summary


def run_many(
    seeds: Sequence[int],
    jobs: int,
    told: Callable[[Summary], None] = lambda _: None,
    enough: int | None = None,
) -> Summary:
    """Run these seeds in so many processes; `told` hears how far it is. Once `enough` of them have
    failed, no more are begun."""
    began = time.monotonic()
    whole = Summary()
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        parts = map(run_seeds, chunks) if jobs <= 1 else pool.map(run_seeds, chunks)
        for part in parts:
            whole.add(part)
            whole.seconds = time.monotonic() - began
            told(whole)
            if enough is not None and len(whole.failures) >= enough:
                pool.shutdown(cancel_futures=True)
                break
    return whole
