"""Attribute seeded outages, and print both error rates.

    make diagnosis-bench

By the environment: OUTAGES how many (500), SEED (1). The same seed prints the same figures.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.table import Table

from daemon.core.diagnosis.contribution import attribute
from tests.core.diagnosis.outages import GUILTY, KINDS, Kind, outage

Named = tuple[Kind, str]
"""Of which kind the outage was; `right`, `wrong` or `silent`, and `mix` where the mix is told."""


def attributed(kind: Kind, seed: int) -> str:
    """What came of one outage."""
    drawn = outage(kind, seed)
    found = attribute(drawn.breakdowns)
    if found.found == "mix":
        return "mix"
    if found.found == "nothing":
        return "silent"
    best = found.carriers[0]
    return "right" if drawn.blamed_rightly(best.label, best.values) else "wrong"


def kinds(count: int) -> Iterable[tuple[Kind, int]]:
    """Half of the outages have a guilty value; the kinds of each half come in turns."""
    others = [kind for kind in KINDS if kind not in GUILTY]
    for number in range(count):
        side = GUILTY if number % 2 == 0 else others
        yield side[number // 2 % len(side)], number


def _one(case: tuple[Kind, int]) -> Named:
    kind, seed = case
    return kind, attributed(kind, seed)


def main() -> None:
    """The table and the two error rates."""
    count, seed = int(os.environ.get("OUTAGES", "500")), int(os.environ.get("SEED", "1"))
    cases = [(kind, number + 1000 * seed) for kind, number in kinds(count)]
    with ProcessPoolExecutor(2) as pool:
        found = Counter(pool.map(_one, cases, chunksize=10))
    table = Table("outage", "guilty", "right", "wrong", "silent", "the mix", title="Who is named")
    for kind in KINDS:
        counts = [found[kind, what] for what in ("right", "wrong", "silent", "mix")]
        table.add_row(kind, "yes" if kind in GUILTY else "no", *map(str, counts))
    console = Console(width=100)
    console.print(table)
    guilty = sum(n for (kind, _), n in found.items() if kind in GUILTY)
    right = sum(n for (kind, what), n in found.items() if kind in GUILTY and what == "right")
    wrong = sum(n for (kind, what), n in found.items() if kind in GUILTY and what == "wrong")
    false = sum(n for (kind, what), n in found.items() if kind not in GUILTY and what == "wrong")
    innocent = count - guilty
    console.print(
        f"of {guilty} outages with a guilty value {right} were named rightly "
        f"({right / guilty:.1%}), {wrong} wrongly, {guilty - right - wrong} missed; "
        f"of {innocent} without one somebody was named in {false} ({false / innocent:.1%})"
    )


if __name__ == "__main__":
    main()
