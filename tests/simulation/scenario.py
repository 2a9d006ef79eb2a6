"""What a night is made of: what happens to the services, what people do, and what goes wrong when.

All of it is a list of plain items, each of which can be left out: that is how a failing seed is
made smaller. Times are seconds of the simulation. `drawing` draws one for each seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tests.simulation.loop import Order

FAULTS_END = 220.0
"""From then on nothing goes wrong any more, and everybody who is down comes up."""
QUIET = 150.0
"""So long it is watched after that."""
END = FAULTS_END + QUIET
SERVICES = ("shop", "cart", "search", "mail")
"""`shop` and `cart` are recovered by acting on one target; of `mail` no rule knows."""
STORM_SERVICES = (*SERVICES, "stock", "price", "login", "quote")
"""Those that a storm can come of."""
PEOPLE = ("ada", "bo", "cy")

FaultKind = Literal[
    "crash at a step",
    "crash before a commit",
    "crash after a commit",
    "crash before an effect",
    "crash after an effect",
    "restart late",
    "second replica",
    "replica suspended",
    "replica cut off",
    "prometheus down",
    "prometheus slow",
    "prometheus lies",
    "prometheus warns",
    "pager down",
    "pager broken",
    "pager loses answers",
    "pager slow",
    "channel down",
    "channel loses answers",
    "action fails",
    "action hangs",
    "action is half done",
    "action's answer is lost",
    "action cannot be checked",
    "disk full",
    "disk fails",
    "disk slow",
    "commit unknown",
    "clock forward",
    "clock back",
    "crash after that",
    "disk fails after that",
    "replica suspended at work",
    "one clock forward",
    "one clock back",
    "commit unknown at that",
    "replica suspended after that",
    "replica cut off after that",
    "clock forward after that",
]
FAULT_KINDS: tuple[FaultKind, ...] = FaultKind.__args__  # type: ignore[attr-defined]

ScriptKind = Literal[
    "trouble",
    "deployment",
    "delivery",
    "deed",
    "reaction",
    "alert ends",
    "maintenance",
    "freeze",
    "thaw",
]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong: at a moment, for a while, or at the `count`th occasion of a
    replica. `what` is whom or which it concerns, `size` how much."""

    kind: FaultKind
    at: float = 0.0
    lasts: float = 0.0
    what: str = ""
    count: int = 0
    size: float = 0.0

    def __str__(self) -> str:
        span = f" for {self.lasts:.1f} s" if self.lasts else ""
        count = f" number {self.count}" if self.count else ""
        return f"{self.kind}{count} {self.what} at {self.at:.1f}{span} ({self.size:.2f})"

    def on(self, now: float) -> bool:
        """Whether it is in force."""
        return self.at <= now < self.at + self.lasts


@dataclass(frozen=True)
class Item:
    """Something that happens without anything going wrong. A "reaction" is a deed that follows
    something by `at` seconds: the n-th of a kind of event, in the last two of `more`."""

    kind: ScriptKind
    at: float
    what: str = ""
    who: str = ""
    more: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.what} {self.who} {self.more or ''} at {self.at:.1f}".strip()


@dataclass(frozen=True)
class Scenario:
    """One night. `order_seed` is what the loop draws its order from."""

    seed: int
    script: tuple[Item, ...]
    faults: tuple[Fault, ...]
    order: Order = "drawn"
    hold: float = 0.0
    """Seconds for which the first page may wait for the first measurement."""
    approved: bool = True
    """Whether the automatic steps are approved in advance."""
    sql: bool = True
    """Whether the stores are those in SQL; else they are in memory, which is faster."""
    replicas: int = 1
    tight: bool = False
    """Whether the budgets of automatic steps are smaller than an incident's plan."""
    order_seed: int = 0

    def with_(self, items: Sequence[Item | Fault]) -> Scenario:
        """Only these of its items, in their order."""
        kept = {id(item) for item in items}
        return replace(
            self,
            script=tuple(i for i in self.script if id(i) in kept),
            faults=tuple(f for f in self.faults if id(f) in kept),
        )

    @property
    def items(self) -> list[Item | Fault]:
        """All that can be left out."""
        return [*self.script, *self.faults]
