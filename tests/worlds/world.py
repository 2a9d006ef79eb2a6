"""A world: what happens to a service, what was deployed, and what is right to do about it.

Times are seconds from the onset, which lies at `build.NOW`. A `World` says what is drawn, `draw`
draws one `Draw` of it: the raw samples that Prometheus would have scraped, the deployments, and
the moment at which the alert arrives. The same world, seed and number give the same draw.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from daemon.core.changes.suspects import Change
from tests.core.build import NOW, TARGET, make_change, poisson

EPOCH = NOW.timestamp()
"""The onset of every world; Unix seconds."""
OTHER = "release:cart"
"""The subject of what another service deploys."""
HORIZON = 600.0
"""Seconds from the alert on within which a decision is waited for."""
ALERT_WITHIN = 900.0
"""Seconds from the onset on within which the alert rule may fire."""
ALERT_SHARE = 0.01
"""The share of failures above the usual one at which the alert rule fires."""
ALERT_RISE = 1.5
"""How many times its usual value the latency is at which the alert rule fires."""
ALERT_FOR = 3
"""So many evaluations in a row must show it, one each quarter of a minute (`for: 30s`)."""
GROUP_WAIT = (5.0, 15.0)
"""Seconds from the firing of the rule to the delivery of the alert."""

Right = Literal["act", "ask", "refrain"]
"""`act` on the guilty deployment; `ask` a person; `refrain`: no action, whether it asks or not."""
Level = Callable[[float], float]
"""What is added to the usual level at a moment: share points, or multiples of the usual value."""
Shape = Callable[[random.Random], Level]
"""Draws a level."""
Moments = Callable[[random.Random], Sequence["Deployment"]]
"""Draws what is deployed."""


@dataclass(frozen=True)
class Deployment:
    """`subject` got a new item at `at`. `guilty`: it caused the trouble.

    `after_alert`: it becomes known only so many seconds after the alert; otherwise at once.
    """

    at: float
    subject: str = TARGET
    guilty: bool = False
    after_alert: float | None = None


@dataclass(frozen=True)
class Noise:
    """The level is multiplied by log-normal noise of this `sigma`, one factor a scrape.

    `memory`: the correlation of a scrape's factor with that of the scrape before (AR(1)).
    """

    sigma: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True)
class World:
    """What is drawn, and what is right.

    `rate`: requests a second; `swing`: the part of it that comes and goes with the day. `usual`:
    the share of failures, or the latency in seconds, before anything happens. `scrape`: seconds
    between scrapes, of which the share `lost` fails. `gap`: draws (begin, end) between which no
    scrape succeeds. `resets`: the counters begin anew with each deployment of the service.
    `history`: hours that Prometheus has samples of. `alert`: when the daemon is alerted, if that
    is by another rule than the plain threshold. `twin`: another world looks the same to every
    metric and every clock, and something else is right there; no method can be right in both.
    """

    name: str
    right: Right
    shape: Shape
    deployed: Moments
    kind: Literal["counts", "value"] = "counts"
    rate: float = 50.0
    swing: float = 0.0
    usual: float = 0.002
    noise: Noise = Noise()
    scrape: float = 15.0
    lost: float = 0.0
    gap: Callable[[random.Random], tuple[float, float]] | None = None
    resets: bool = False
    history: float = 2.0
    alert: float | None = None
    twin: bool = False


@dataclass(frozen=True)
class Samples:
    """The raw samples of one series, oldest first: Unix seconds and values."""

    at: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at: float, value: float) -> None:
        """One more sample."""
        self.at.append(at)
        self.values.append(value)


@dataclass(frozen=True)
class Scrape:
    """What happened between the scrape before and this one, whether or not it succeeded."""

    at: float
    up: bool
    bad: int
    total: int
    latency: float


@dataclass(frozen=True)
class Known:
    """A deployment, and from when on (Unix seconds) the daemon knows it."""

    change: Change
    since: float
    guilty: bool


@dataclass(frozen=True)
class Draw:
    """One draw of a world. `alert_at`: Unix seconds, None if no alert ever arrives.

    `threshold_at`: when the alert of a plain threshold rule arrives, if it does. `errors` has no
    sample before the first failure, as a counter that is born by it.
    """

    world: World
    scrapes: Sequence[Scrape]
    requests: Samples
    errors: Samples
    latency: Samples
    deployed: Sequence[Known]
    alert_at: float | None
    threshold_at: float | None

    def known(self, now: float) -> list[Change]:
        """The deployments that are known by then, oldest first."""
        found = [k.change for k in self.deployed if k.since <= now]
        return sorted(found, key=lambda change: change.at)

    @property
    def guilty(self) -> Change | None:
        """The deployment that caused it."""
        return next((k.change for k in self.deployed if k.guilty), None)

    @property
    def observed_until(self) -> float:
        """The end of what any method may look at; Unix seconds."""
        return (EPOCH + ALERT_WITHIN if self.alert_at is None else self.alert_at) + HORIZON


def draw(world: World, seed: int, number: int) -> Draw:
    """Draw number `number` of a world."""
    chance = random.Random(f"{world.name}/{seed}/{number}")  # noqa: S311 - a simulation
    level = world.shape(chance)
    deployed = world.deployed(chance)
    scrapes = _scraped(world, level, chance)
    restarts = [d.at for d in deployed if world.resets and d.subject == TARGET]
    requests, errors, latency = _exposed(scrapes, restarts)
    threshold_at = _threshold_alert(world, scrapes, chance)
    alert_at = threshold_at if world.alert is None else EPOCH + world.alert
    return Draw(
        world=world,
        scrapes=scrapes,
        requests=requests,
        errors=errors,
        latency=latency,
        deployed=_known(deployed, alert_at),
        alert_at=alert_at,
        threshold_at=threshold_at,
    )


def _scraped(world: World, level: Level, chance: random.Random) -> list[Scrape]:
    begin = -3600 * world.history + chance.uniform(0, world.scrape)
    gap = world.gap(chance) if world.gap is not None else (0.0, 0.0)
    day = chance.uniform(0, 2 * math.pi)
    found, at, log_factor = [], begin, chance.gauss(0, world.noise.sigma)
    while at <= ALERT_WITHIN + HORIZON:
        memory = world.noise.memory
        fresh = math.sqrt(1 - memory**2) * chance.gauss(0, world.noise.sigma)
        log_factor = memory * log_factor + fresh
        # Divided by its mean, so that noise makes a level neither higher nor lower.
        factor = math.exp(log_factor - world.noise.sigma**2 / 2)
        mean = world.rate * world.scrape
        mean *= 1 + world.swing * math.sin(2 * math.pi * at / 86400 + day)
        added = _average(level, at - world.scrape, at)
        share = latency = 0.0
        if world.kind == "counts":
            share = min(1.0, (world.usual + added) * factor)
        else:
            latency = world.usual * (1 + level(at)) * factor
        bad = poisson(chance, mean * share)
        total = bad + poisson(chance, mean * (1 - share))
        up = not gap[0] < at < gap[1] and chance.random() >= world.lost
        found.append(Scrape(EPOCH + at, up, bad, total, latency))
        at += world.scrape
    return found


def _average(level: Level, begin: float, end: float) -> float:
    """The mean level between two moments: from one look a second, and fewer where no method looks
    closely."""
    looks = round(end - begin) if abs(begin) <= ALERT_WITHIN else 3
    return sum(level(begin + (n + 0.5) * (end - begin) / looks) for n in range(looks)) / looks


def _exposed(
    scrapes: Sequence[Scrape], restarts: Sequence[float]
) -> tuple[Samples, Samples, Samples]:
    """The series (requests, errors, latency) as they are scraped."""
    requests, errors, latency = Samples(), Samples(), Samples()
    bad = total = 0
    before = -math.inf
    for scrape in scrapes:
        if any(before < EPOCH + at <= scrape.at for at in restarts):
            bad = total = 0
        bad, total, before = bad + scrape.bad, total + scrape.total, scrape.at
        if scrape.up:
            requests.add(scrape.at, total)
            latency.add(scrape.at, scrape.latency)
            # The series of failures is born by the first one, and a restart keeps it, at zero.
            if bad or errors.at:
                errors.add(scrape.at, bad)
    return requests, errors, latency


def _threshold_alert(
    world: World, scrapes: Sequence[Scrape], chance: random.Random
) -> float | None:
    """When the alert of a plain threshold rule arrives; Unix seconds."""
    wait = chance.uniform(*GROUP_WAIT)
    recent = max(1, round(60 / world.scrape))
    needed = max(2, round((ALERT_FOR - 1) * 15 / world.scrape) + 1)
    row = 0
    for index, scrape in enumerate(scrapes):
        if not -60 <= scrape.at - EPOCH <= ALERT_WITHIN:
            continue
        window = [s for s in scrapes[max(0, index + 1 - recent) : index + 1] if s.up]
        row = row + 1 if _over_threshold(world, window) else 0
        if row >= needed:
            return scrape.at + wait
    return None


def _over_threshold(world: World, window: Sequence[Scrape]) -> bool:
    if not window:
        return False
    if world.kind == "value":
        return window[-1].latency > ALERT_RISE * world.usual
    total = sum(scrape.total for scrape in window)
    return sum(scrape.bad for scrape in window) > (world.usual + ALERT_SHARE) * total


def _known(deployed: Sequence[Deployment], alert_at: float | None) -> list[Known]:
    """The deployments as changes, each with what its subject ran before."""
    live = {TARGET: "v1", OTHER: "c1"}
    found = [
        Known(make_change(item, NOW - timedelta(days=1), "", subject), -math.inf, guilty=False)
        for subject, item in live.items()
    ]
    for number, deployment in enumerate(sorted(deployed, key=lambda d: d.at), 2):
        subject = deployment.subject
        item = f"{live[subject][0]}{number}"
        moment = NOW + timedelta(seconds=deployment.at)
        change = make_change(item, moment, live[subject], subject)
        since = moment.timestamp()
        if deployment.after_alert is not None and alert_at is not None:
            since = max(since, alert_at + deployment.after_alert)
        found.append(Known(change, since, deployment.guilty))
        live[subject] = item
    return found
