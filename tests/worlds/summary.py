"""What the draws of the worlds add up to: shares with intervals, times, a confusion matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import get_args

from rich import box
from rich.table import Table

from daemon.core.values.significance import wilson
from tests.worlds.outcome import Verdict
from tests.worlds.world import Right, World

Z95 = NormalDist().inv_cdf(0.975)
METHODS = ("daemon", "threshold", "sequential")
"""The daemon, and the two yardsticks beside it."""
MOST_WRONG = 0.005
"""The aim: the share of wrong actions in any world."""
LEAST_RIGHT = 0.95
"""The aim: the share of right answers where the right one is to act."""


@dataclass(frozen=True)
class Result:
    """What one method came to in one draw. `seconds`: from the onset to the decision, if any."""

    world: str
    method: str
    verdict: Verdict
    right: bool
    seconds: float | None
    why: str


@dataclass(frozen=True)
class Tally:
    """The results of one method, in one world or several."""

    results: Sequence[Result]

    @property
    def count(self) -> int:
        """How many draws."""
        return len(self.results)

    @property
    def wrong(self) -> int:
        """Wrong actions."""
        return sum(r.verdict == "acted wrongly" for r in self.results)

    @property
    def right(self) -> int:
        """Right answers, whether to act or not."""
        return sum(r.right for r in self.results)

    @property
    def seconds(self) -> float | None:
        """The median time to a decision, of the draws that had one."""
        told = [r.seconds for r in self.results if r.seconds is not None]
        return median(told) if told else None

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """What it did where it was not right, the commonest first."""
        missed = (f"{r.verdict} {r.why}".strip() for r in self.results if not r.right)
        return Counter(missed).most_common()


def tally(results: Iterable[Result], method: str, worlds: Sequence[World]) -> Tally:
    """The results of a method in these worlds."""
    names = {world.name for world in worlds}
    return Tally([r for r in results if r.method == method and r.world in names])


def share(part: int, count: int) -> str:
    """A share in per cent."""
    return f"{100 * part / count:.0f} %" if count else "-"


def with_interval(part: int, count: int) -> str:
    """A share with its 95 % interval (Wilson), in per cent."""
    if not count:
        return "-"
    found = wilson(part, count, Z95)
    return f"{100 * found.estimate:.1f} % ({100 * found.low:.1f} to {100 * found.high:.1f})"


def per_world(results: Sequence[Result], worlds: Sequence[World]) -> Table:
    """One line for each world."""
    table = Table(box=box.MARKDOWN)
    for name in ("world", "right", "n", "wrong action", "right answer", "s"):
        table.add_column(name, no_wrap=True)
    for method in METHODS[1:]:
        table.add_column(f"{method}: wrong, right, s", no_wrap=True)
    for world in worlds:
        ours = tally(results, "daemon", [world])
        others = [tally(results, method, [world]) for method in METHODS[1:]]
        table.add_row(
            f"{world.name}{' *' if world.twin else ''}",
            world.right,
            str(ours.count),
            with_interval(ours.wrong, ours.count),
            with_interval(ours.right, ours.count),
            seconds_text(ours.seconds),
            *(
                f"{share(t.wrong, t.count)}, {share(t.right, t.count)}, {seconds_text(t.seconds)}"
                for t in others
            ),
        )
    return table


def totals(results: Sequence[Result], worlds: Sequence[World]) -> Table:
    """One line for each method and kind of world, without the twins."""
    told = [world for world in worlds if not world.twin]
    table = Table(box=box.MARKDOWN)
    for name in ("method", "right", "n", "wrong action", "right answer", "s"):
        table.add_column(name, no_wrap=True)
    for method in METHODS:
        for right in (*get_args(Right), "all"):
            some = [world for world in told if right in {world.right, "all"}]
            found = tally(results, method, some)
            table.add_row(
                method,
                right,
                str(found.count),
                with_interval(found.wrong, found.count),
                with_interval(found.right, found.count),
                seconds_text(found.seconds),
            )
    return table


def confusion(results: Sequence[Result], worlds: Sequence[World]) -> Table:
    """What was right against what was done, without the twins."""
    verdicts: tuple[Verdict, ...] = get_args(Verdict)
    table = Table(box=box.MARKDOWN)
    for name in ("method", "right", *verdicts):
        table.add_column(name, no_wrap=True)
    for method in METHODS:
        for right in get_args(Right):
            some = [world for world in worlds if world.right == right and not world.twin]
            counts = Counter(r.verdict for r in tally(results, method, some).results)
            table.add_row(method, right, *(str(counts[told]) for told in verdicts))
    return table


def short_of_aim(results: Sequence[Result], worlds: Sequence[World]) -> list[str]:
    """The worlds in which the daemon does not reach the aim, and what it did there."""
    lines = []
    for world in worlds:
        found = tally(results, "daemon", [world])
        enough = LEAST_RIGHT if world.right == "act" else 0.0
        if world.twin or not found.count:
            continue
        if found.wrong > MOST_WRONG * found.count or found.right < enough * found.count:
            what = "; ".join(f"{count} {why}" for why, count in found.reasons[:3])
            lines.append(f"{world.name} ({world.right}): {what}")
    return lines


def seconds_text(seconds: float | None) -> str:
    """Whole seconds, or a dash."""
    return "-" if seconds is None else f"{seconds:.0f}"
