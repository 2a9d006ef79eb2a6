"""Histories by scrapes, for the tests of when trouble began; seconds count from the true onset."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from daemon.core.values.significance import Bin
from tests.core.build import NOW, poisson

ONSET = NOW.timestamp()
SCRAPE = 15.0
Level = Callable[[float], float]


def jump(usual: float, height: float) -> Level:
    """So much more from the onset on."""
    return lambda at: usual + (height if at >= 0 else 0.0)


def climb(usual: float, height: float, lasts: float) -> Level:
    """So much more, evenly within so many seconds."""
    return lambda at: usual + height * min(max(at / lasts, 0.0), 1.0)


def counted(
    chance: random.Random | None,
    share: Level,
    rate: float,
    begin: float,
    end: float,
    unseen: tuple[float, float] = (math.inf, math.inf),
) -> list[Bin]:
    """A bin a scrape of `rate` events a second, Poisson, or exactly what is expected if there is
    no `chance`. What lies in `unseen` was not scraped; the phase of the scrapes is drawn."""
    found = []
    at = begin + (chance.uniform(0, SCRAPE) if chance else 0.0)
    while at + SCRAPE <= end:
        level = sum(share(at + n + 0.5) for n in range(int(SCRAPE))) / SCRAPE
        bad, good = rate * SCRAPE * level, rate * SCRAPE * (1 - level)
        if chance is not None:
            bad, good = poisson(chance, bad), poisson(chance, good)
        if not (at < unseen[1] and at + SCRAPE > unseen[0]):
            found.append(Bin(ONSET + at + SCRAPE, bad, bad + good, ONSET + at))
        at += SCRAPE
    return found
