"""What happens to a service, and what is deployed meanwhile: the parts that worlds are made of."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from tests.worlds.world import OTHER, Deployment, Level, Moments, Shape

DAY = 86400.0

# ── what happens to the service ──────────────────────────────────────────────────────────────


def nothing(_: random.Random) -> Level:
    """All stays as it was."""
    return lambda at: 0.0


def step(least: float, most: float) -> Shape:
    """From the onset on it is worse, by a height that is drawn evenly on a logarithmic scale."""

    def shape(chance: random.Random) -> Level:
        height = _height(chance, least, most)
        return lambda at: height if at >= 0 else 0.0

    return shape


def ramp(least: float, most: float, lasts: float) -> Shape:
    """It gets worse evenly for so many seconds from the onset on, and then stays."""

    def shape(chance: random.Random) -> Level:
        height = _height(chance, least, most)
        return lambda at: height * min(max(at / lasts, 0.0), 1.0)

    return shape


def spike(least: float, most: float, shortest: float, longest: float) -> Shape:
    """It is worse for a while, and then as before."""

    def shape(chance: random.Random) -> Level:
        height, lasts = _height(chance, least, most), chance.uniform(shortest, longest)
        return lambda at: height if 0 <= at < lasts else 0.0

    return shape


def recurring(least: float, most: float, lasts: float, every: float) -> Shape:
    """Spikes for hours; one begins at the onset."""

    def shape(chance: random.Random) -> Level:
        height = _height(chance, least, most)
        return lambda at: height if at % every < lasts else 0.0

    return shape


def season(least: float, most: float, until_peak: float, sharpness: int = 2) -> Shape:
    """It is worst once a day, so many seconds after the onset: a sinus, or with a greater
    `sharpness` (an even power of a cosine) a shorter and steeper peak."""

    def shape(chance: random.Random) -> Level:
        height = _height(chance, least, most)
        return lambda at: height * math.cos(math.pi * (at - until_peak) / DAY) ** sharpness

    return shape


def worst_of(*levels: Level) -> Level:
    """Several troubles of which the worst shows."""
    return lambda at: max(level(at) for level in levels)


def sum_of(*levels: Level) -> Level:
    """Several troubles that add up."""
    return lambda at: sum(level(at) for level in levels)


def _height(chance: random.Random, least: float, most: float) -> float:
    return math.exp(chance.uniform(math.log(least), math.log(most)))


# ── what is deployed ─────────────────────────────────────────────────────────────────────────


def no_deployment(_: random.Random) -> list[Deployment]:
    """Nothing for a day."""
    return []


def before(seconds: float, *, guilty: bool) -> Moments:
    """About so many seconds before the onset, give or take a tenth."""

    def moments(chance: random.Random) -> list[Deployment]:
        return [Deployment(-seconds * chance.uniform(0.9, 1.1), guilty=guilty)]

    return moments


def between(
    first: float, last: float, *, guilty: bool = False, after_alert: float | None = None
) -> Moments:
    """Somewhere between two moments; negative ones lie before the onset."""

    def moments(chance: random.Random) -> list[Deployment]:
        return [Deployment(chance.uniform(first, last), guilty=guilty, after_alert=after_alert)]

    return moments


def both(*several: Moments) -> Moments:
    """All of these."""

    def moments(chance: random.Random) -> list[Deployment]:
        return [deployment for each in several for deployment in each(chance)]

    return moments


def elsewhere(of: Moments) -> Moments:
    """The same, of another service."""

    def moments(chance: random.Random) -> list[Deployment]:
        return [Deployment(d.at, OTHER, d.guilty, d.after_alert) for d in of(chance)]

    return moments


def gap(
    first: tuple[float, float], last: tuple[float, float]
) -> Callable[[random.Random], tuple[float, float]]:
    """A gap that begins and ends within these."""
    return lambda chance: (chance.uniform(*first), chance.uniform(*last))
