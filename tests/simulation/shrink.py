"""Makes a failing scenario smaller: the fewest items with which the same invariant still fails.

Delta debugging: halves are left out first, then quarters, down to single items; then the order of
callbacks is tried at its plainest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.simulation.scenario import Fault, Item, Scenario
from tests.simulation.simulation import Outcome, simulate

MOST_RUNS = 400
"""After so many runs the smallest that was found will do."""


def shrink(failed: Outcome, told: Callable[[str], None] = lambda _: None) -> Outcome:
    """The smallest scenario that fails as this one did, as it was run. Raises ValueError if this
    one did not fail."""
    if failed.violation is None:
        raise ValueError(f"seed {failed.scenario.seed} does not fail")
    best, invariant, runs = failed, failed.violation.invariant, 0

    def fails(scenario: Scenario) -> bool:
        nonlocal best, runs
        runs += 1
        outcome = simulate(scenario)
        if outcome.violation is None or outcome.violation.invariant != invariant:
            return False
        best = outcome
        told(f"{len(scenario.items)} items, order {scenario.order!r}")
        return True

    # The plainest order first: what fails in it is easier to read, and to shrink.
    if best.scenario.order != "first":
        fails(replace(best.scenario, order="first"))
    items: list[Item | Fault] = best.scenario.items
    parts = 2
    while len(items) >= 1 and runs < MOST_RUNS:
        smaller = _smaller(best.scenario, items, parts, fails)
        if smaller is not None:
            items, parts = smaller, max(parts - 1, 2)
        elif parts >= len(items):
            break
        else:
            parts = min(2 * parts, len(items))
    return best


def _smaller(
    scenario: Scenario,
    items: Sequence[Item | Fault],
    parts: int,
    fails: Callable[[Scenario], bool],
) -> list[Item | Fault] | None:
    """These items without one of so many parts, if that still fails."""
    size = -(-len(items) // parts)
    for begin in range(0, len(items), size):
        left = [*items[:begin], *items[begin + size :]]
        if fails(scenario.with_(left)):
            return left
    return None
