"""What goes wrong in a night: each kind of fault as a seed draws it.

A seed is a swarm of its own: it first draws which kinds it has at all, so that rare combinations
are not drowned in all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.scenario import FAULT_KINDS, FAULTS_END, PEOPLE, Fault, FaultKind

BEGUN = ("StepStarted", "StepPrepared", "EffectClaimed")
WRITTEN = (
    *BEGUN,
    "StepFinished",
    "PageQueued",
    "PageDelivered",
    "ProblemDefined",
    "processed",
    "put",
    "effect run",
    "effect page",
)


REPLICAS_SHARE = 0.3
"""The share of seeds with a second replica over the same store."""


@dataclass
class Draw:
    """One seed's dice."""

    seed: int
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"scenario {self.seed}")  # noqa: S311 - reproducible

    def within(self, begin: float, end: float) -> float:
        """A number between these, evenly."""
        return round(self.dice.uniform(begin, end), 3)

    def chance(self, share: float) -> bool:
        """True in so many cases."""
        return self.dice.random() < share

    def one(self, of: Sequence[Any]) -> Any:
        """One of these."""
        return self.dice.choice(of)


def faults_of(draw: Draw) -> list[Fault]:
    """Faults of some kinds, drawn from all alike."""
    if draw.chance(0.06):
        return []
    most = draw.one((1, 2, 3, 6, 10))
    kinds = [kind for kind in FAULT_KINDS if kind in _MAKERS]
    chosen = draw.dice.sample(kinds, most)
    faults: list[Fault] = []
    for kind in chosen:
        faults += [_MAKERS[kind](draw, kind) for _ in range(draw.one((1, 1, 2, 3)))]
    if draw.chance(0.2):
        faults.append(Fault("restart late", size=draw.within(5, 90)))
    if draw.chance(REPLICAS_SHARE):
        faults.append(Fault("second replica", at=draw.one((0.0, draw.within(0, 200)))))
    return faults


def _step(draw: Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=int(draw.dice.triangular(1, 3000, 500)))


def _commit(draw: Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=draw.dice.randint(1, 60))


def _effect(draw: Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=draw.dice.randint(1, 8), what=draw.one(("", "page", "run", "run")))


def _while(draw: Draw, kind: FaultKind) -> Fault:
    at = draw.within(0, FAULTS_END - 60)
    lasts = min(draw.one((2.0, 10.0, 30.0, 90.0)), FAULTS_END - at)
    return Fault(kind, at, lasts, size=draw.within(0.1, 8.0))


def _person(draw: Draw, kind: FaultKind) -> Fault:
    return replace(_while(draw, kind), what=draw.one((*PEOPLE, "")))


def _replica(draw: Draw, kind: FaultKind) -> Fault:
    """Of one replica alone; often longer than its lease."""
    at = draw.within(0, FAULTS_END - 60)
    lasts = min(draw.one((5.0, 14.0, 18.0, 40.0, 90.0)), FAULTS_END - at)
    return Fault(kind, at, lasts, what=draw.one(("0", "1")))


def _nth(draw: Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=draw.dice.randint(1, 6), lasts=FAULTS_END, size=draw.within(0.2, 12))


def _lies(draw: Draw, kind: FaultKind) -> Fault:
    return replace(_while(draw, kind), size=draw.one((0.0, 0.01, 0.3, 0.9)))


def _jump(draw: Draw, kind: FaultKind) -> Fault:
    seconds = draw.one((1.0, 10.0, 61.0, 300.0))
    return Fault(kind, draw.within(20, FAULTS_END - 20), size=seconds)


def _one_jumps(draw: Draw, kind: FaultKind) -> Fault:
    return replace(_jump(draw, kind), what=draw.one(("0", "1")))


def aimed_after(draw: Draw, kind: FaultKind, what: str) -> Fault:
    """At the first, second or third of its kind: at once, or when so many seconds have passed."""
    size = draw.one((0.0, 0.01, 1.0, 6.0)) if kind == "crash after that" else draw.within(2, 40)
    return Fault(kind, what=what, count=draw.one((1, 1, 1, 2, 2, 3)), size=size)


def away_after(draw: Draw, kind: FaultKind, what: str) -> Fault:
    """At the first, second or third of its kind a replica is away: mostly longer than its lease."""
    seconds = draw.one((2.0, 13.0, 15.5, 17.0, 20.0, 30.0, 60.0))
    return Fault(kind, what=what, count=draw.one((1, 1, 2, 3)), size=seconds)


def suspended_at(draw: Draw, what: str) -> Fault:
    seconds = draw.one((1.0, 11.0, 13.0, 15.5, 17.0, 20.0, 40.0))
    return Fault("replica suspended at work", what=what, count=draw.one((1, 1, 2, 3)), size=seconds)


_MAKERS: dict[FaultKind, Callable[[Draw, FaultKind], Fault]] = {
    "crash at a step": _step,
    "crash before a commit": _commit,
    "crash after a commit": _commit,
    "crash before an effect": _effect,
    "crash after an effect": _effect,
    "replica suspended": _replica,
    "replica cut off": _replica,
    "prometheus down": _while,
    "prometheus slow": _while,
    "prometheus lies": _lies,
    "prometheus warns": _while,
    "pager down": _person,
    "pager broken": _person,
    "pager loses answers": _person,
    "pager slow": _person,
    "channel down": _while,
    "channel loses answers": _while,
    "action fails": _nth,
    "action hangs": _nth,
    "action is half done": _nth,
    "action's answer is lost": _nth,
    "action cannot be checked": _while,
    "disk full": _while,
    "disk fails": _while,
    "disk slow": _while,
    "commit unknown": _commit,
    "clock forward": _jump,
    "clock back": _jump,
    "crash after that": lambda draw, kind: aimed_after(draw, kind, draw.one(WRITTEN)),
    "disk fails after that": lambda draw, kind: aimed_after(draw, kind, draw.one(WRITTEN)),
    "replica suspended at work": lambda draw, kind: suspended_at(draw, draw.one(BEGUN)),
    "commit unknown at that": lambda draw, kind: aimed_after(draw, kind, draw.one(WRITTEN[:-2])),
    "replica suspended after that": lambda draw, kind: away_after(draw, kind, draw.one(WRITTEN)),
    "replica cut off after that": lambda draw, kind: away_after(draw, kind, draw.one(WRITTEN)),
    "one clock forward": _one_jumps,
    "one clock back": _one_jumps,
}


def one_of_all(draw: Draw, share: float) -> list[Fault]:
    """Sometimes anything else goes wrong, too."""
    if not draw.chance(share):
        return []
    kind = draw.one([k for k in FAULT_KINDS if k in _MAKERS])
    return [_MAKERS[kind](draw, kind)]
