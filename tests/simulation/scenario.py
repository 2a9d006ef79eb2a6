"""What a seed draws: what happens to the services, what people do, and what goes wrong when.

All of it is a list of plain items, each of which can be left out: that is how a failing seed is
made smaller. Times are seconds of the simulation. A seed is a swarm of its own: it first draws
which kinds of items it has at all, so that rare combinations are not drowned in all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.simulation.loop import Order

FAULTS_END = 220.0
"""From then on nothing goes wrong any more, and everybody who is down comes up."""
QUIET = 150.0
"""So long it is watched after that."""
END = FAULTS_END + QUIET
SERVICES = ("shop", "cart", "search", "mail")
"""`shop` and `cart` are recovered by acting on one target; of `mail` no rule knows."""
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


@dataclass
class _Draw:
    """One seed's dice."""

    seed: int
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"scenario {self.seed}")  # noqa: S311 - reproducible

    def within(self, begin: float, end: float) -> float:
        return round(self.dice.uniform(begin, end), 3)

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def one(self, of: Sequence[Any]) -> Any:
        return self.dice.choice(of)


def scenario_of(seed: int) -> Scenario:
    """What this seed draws."""
    draw = _Draw(seed)
    stretch = None if draw.chance(SWARM_SHARE) else draw.one(_STRETCHES)
    script, faults = stretch(draw) if stretch else (_script(draw), _faults(draw))
    return Scenario(
        seed=seed,
        script=tuple(sorted(script, key=lambda item: item.at)),
        faults=tuple(faults),
        order=draw.one(("drawn", "drawn", "mostly first", "first")),
        hold=draw.one((0.0, 0.0, 5.0)),
        approved=draw.chance(0.85 if stretch is None else 0.97),
        tight=draw.chance(0.15),
        sql=seed % SQL_EVERY == 0,
        replicas=1 + any(fault.kind == "second replica" for fault in faults),
        order_seed=seed,
    )


# ── what happens ─────────────────────────────────────────────────────────────────────────────────


def _script(draw: _Draw) -> list[Item]:
    services = draw.dice.sample(SERVICES, draw.one((1, 1, 1, 1, 2, 2, 3)))
    items: list[Item] = []
    for service in services:
        items += _trouble(draw, service)
    items += _deeds(draw, services)
    if draw.chance(0.1):
        scope = draw.one(("global", "team:payments", f"service:{services[0]}"))
        begin = draw.within(50, 180)
        items += [Item("freeze", begin, scope), Item("thaw", begin + draw.within(5, 90), scope)]
    if draw.chance(0.08):
        begin = draw.within(40, 160)
        items.append(Item("maintenance", begin, draw.one(("global", "team:payments")), more=(60,)))
    return items


def _trouble(draw: _Draw, service: str) -> list[Item]:
    begin = draw.within(25, 100)
    share = draw.one((0.1, 0.1, 0.3, 0.02))
    items = [
        Item(
            "trouble",
            begin,
            service,
            more=(share, draw.one(("rollback", "rollback", "flag_off", "itself", "never"))),
        )
    ]
    if draw.chance(0.8):
        items.append(
            Item("deployment", round(begin - draw.within(5, 25), 3), service, more=("v2",))
        )
    if draw.chance(0.1):
        items.append(
            Item("deployment", round(begin + draw.within(5, 90), 3), service, more=("v3",))
        )
    fires = round(begin + draw.within(20, 60), 3)
    started = round(fires - draw.within(0, 10), 3)
    ways: list[float] = [fires]
    if draw.chance(0.4):  # a second Alertmanager, or the same content again
        ways.append(round(fires + draw.one((0.0, 0.001, 1.0, 20.0)), 3))
    items += [Item("delivery", at, service, more=("firing", started, 0.0, 0)) for at in ways]
    if draw.chance(0.15):
        items.append(Item("delivery", fires + 0.5, service, more=("firing", started, 0.0, 3)))
    ends = round(fires + draw.within(40, 150), 3)
    if draw.chance(0.5):
        items.append(Item("alert ends", ends, service, more=(started,)))
        if draw.chance(0.3):  # the firing comes late, after its end
            items.append(
                Item(
                    "delivery", ends + draw.within(0, 15), service, more=("firing", started, 0.0, 0)
                )
            )
        if draw.chance(0.25):  # and it begins anew
            again = round(ends + draw.within(5, 60), 3)
            items.append(Item("delivery", again, service, more=("firing", again - 2, 0.0, 0)))
    return items


def _deeds(draw: _Draw, services: Sequence[str]) -> list[Item]:
    kinds = (
        "acknowledge",
        "acknowledge",
        "acknowledge",
        "leave",
        "approve",
        "approve",
        "start",
        "veto",
        "skip",
        "pause",
        "resume",
        "close",
        "take over",
        "no plan",
        "decline",
        "snooze",
        "note",
        "merge",
        "jump",
    )
    wanted = set(draw.dice.sample(kinds, draw.one((1, 3, 6))))
    return [
        Item(
            "deed",
            draw.within(60, 330),
            draw.one(tuple(sorted(wanted))),
            draw.one(PEOPLE),
            (draw.one(services), draw.one((1, 1, 2)), draw.one(services)),
        )
        for _ in range(draw.one((0, 1, 3, 8, 12)))
    ]


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def _faults(draw: _Draw) -> list[Fault]:
    if draw.chance(0.06):
        return []
    most = draw.one((1, 2, 3, 6, 10))
    kinds = [kind for kind in FAULT_KINDS if kind not in {"restart late", "second replica"}]
    chosen = draw.dice.sample(kinds, most)
    faults: list[Fault] = []
    for kind in chosen:
        faults += [_MAKERS[kind](draw, kind) for _ in range(draw.one((1, 1, 2, 3)))]
    if draw.chance(0.2):
        faults.append(Fault("restart late", size=draw.within(5, 90)))
    if draw.chance(REPLICAS_SHARE):
        faults.append(Fault("second replica", at=draw.one((0.0, draw.within(0, 200)))))
    return faults


SWARM_SHARE = 0.4
"""The share of seeds that draw from all kinds alike; the others aim at a dangerous stretch."""
SQL_EVERY = 16
"""Of so many seeds one is run on the stores in SQL."""
REPLICAS_SHARE = 0.3
"""The share of seeds with a second replica over the same store."""


def _step(draw: _Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=int(draw.dice.triangular(1, 3000, 500)))


def _commit(draw: _Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=draw.dice.randint(1, 60))


def _effect(draw: _Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=draw.dice.randint(1, 8), what=draw.one(("", "page", "run", "run")))


def _while(draw: _Draw, kind: FaultKind) -> Fault:
    at = draw.within(0, FAULTS_END - 60)
    lasts = min(draw.one((2.0, 10.0, 30.0, 90.0)), FAULTS_END - at)
    return Fault(kind, at, lasts, size=draw.within(0.1, 8.0))


def _person(draw: _Draw, kind: FaultKind) -> Fault:
    return replace(_while(draw, kind), what=draw.one((*PEOPLE, "")))


def _replica(draw: _Draw, kind: FaultKind) -> Fault:
    """Of one replica alone; often longer than its lease."""
    at = draw.within(0, FAULTS_END - 60)
    lasts = min(draw.one((5.0, 14.0, 18.0, 40.0, 90.0)), FAULTS_END - at)
    return Fault(kind, at, lasts, what=draw.one(("0", "1")))


def _nth(draw: _Draw, kind: FaultKind) -> Fault:
    return Fault(kind, count=draw.dice.randint(1, 6), lasts=FAULTS_END, size=draw.within(0.2, 12))


def _lies(draw: _Draw, kind: FaultKind) -> Fault:
    return replace(_while(draw, kind), size=draw.one((0.0, 0.01, 0.3, 0.9)))


def _jump(draw: _Draw, kind: FaultKind) -> Fault:
    seconds = draw.one((1.0, 10.0, 61.0, 300.0))
    return Fault(kind, draw.within(20, FAULTS_END - 20), size=seconds)


def _one_jumps(draw: _Draw, kind: FaultKind) -> Fault:
    return replace(_jump(draw, kind), what=draw.one(("0", "1")))


_MAKERS: dict[FaultKind, Callable[[_Draw, FaultKind], Fault]] = {
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
    "crash after that": lambda draw, kind: _after(draw, kind, draw.one(_WRITTEN)),
    "disk fails after that": lambda draw, kind: _after(draw, kind, draw.one(_WRITTEN)),
    "replica suspended at work": lambda draw, kind: _suspended(draw, draw.one(_BEGUN)),
    "one clock forward": _one_jumps,
    "one clock back": _one_jumps,
}


# ── the dangerous stretches: few faults, aimed at where a fault of ours would show ───────────────

_BEGUN = ("StepStarted", "StepPrepared", "EffectClaimed")
_WRITTEN = (
    *_BEGUN,
    "StepFinished",
    "PageQueued",
    "PageDelivered",
    "ProblemDefined",
    "processed",
    "put",
    "effect run",
    "effect page",
)

_Stretch = tuple[list[Item], list[Fault]]


def _after(draw: _Draw, kind: FaultKind, what: str) -> Fault:
    """At the first, second or third of its kind: at once, or when so many seconds have passed."""
    size = draw.one((0.0, 0.01, 1.0, 6.0)) if kind == "crash after that" else draw.within(2, 40)
    return Fault(kind, what=what, count=draw.one((1, 1, 1, 2, 2, 3)), size=size)


def _suspended(draw: _Draw, what: str) -> Fault:
    seconds = draw.one((1.0, 11.0, 13.0, 15.5, 17.0, 20.0, 40.0))
    return Fault("replica suspended at work", what=what, count=draw.one((1, 1, 2, 3)), size=seconds)


def _sure(draw: _Draw, service: str, heals: str, fires: float | None = None) -> list[Item]:
    """A trouble that a change explains and that is confirmed, so that steps begin by themselves."""
    fires = draw.within(40, 70) if fires is None else fires
    begin = round(fires - 25, 3)
    return [
        Item("deployment", round(begin - draw.within(5, 15), 3), service, more=("v2",)),
        Item("trouble", begin, service, more=(draw.one((0.1, 0.3)), heals)),
        Item("delivery", fires, service, more=("firing", round(fires - 3, 3), 0.0, 0)),
    ]


def _two_on_one_target(draw: _Draw) -> _Stretch:
    """Two incidents whose steps act on the same target begin at once."""
    fires = draw.within(50, 80)
    script = _sure(draw, "shop", "never", fires)
    # One change explains both.
    script += _sure(draw, "cart", "never", fires + draw.one((0.0, 0.0, 0.01, 0.3)))[1:]
    return script, _one_of_all(draw, 0.3)


def _people_react(draw: _Draw) -> _Stretch:
    """People act in the moment in which the daemon is about to."""
    service = draw.one(("shop", "cart", "search"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    deeds = ("veto", "veto", "veto", "skip", "pause", "acknowledge", "take over", "approve")
    for _ in range(draw.one((1, 2, 4))):
        delay = draw.one((0.0, 0.001, draw.within(0, 0.05), draw.within(0, 1.5)))
        kind = draw.one(("ProblemDefined", "StepStarted", "StepStarted"))
        what, number = draw.one(deeds), draw.one((1, 1, 2))
        more = (service, number, service, kind, number)
        script.append(Item("reaction", delay, what, draw.one(PEOPLE), more))
    slow = [Fault("disk slow", 0.0, FAULTS_END, size=draw.within(0.05, 1.0))]
    return script, slow if draw.chance(0.5) else _one_of_all(draw, 0.3)


def _veto_at_the_start(draw: _Draw) -> _Stretch:
    """Somebody stops a step while its start is being decided, and the store takes its time."""
    script = _sure(draw, "shop", draw.one(("rollback", "flag_off")))
    slow = Fault("disk slow", 0.0, FAULTS_END, size=draw.within(0.1, 1.0))
    if draw.chance(0.4):
        what, delay = draw.one(("veto", "veto", "pause")), draw.within(0, 3 * slow.size)
        more = ("shop", 1, "shop", "ask guard", draw.one((1, 1, 1, 2)))
    else:  # at the moment in which the next tier is called
        what, delay = "acknowledge", draw.within(40 - slow.size, 40.0)
        more = ("shop", 1, "shop", "PageQueued", draw.one((1, 1, 2)))
    return [*script, Item("reaction", delay, what, draw.one(PEOPLE), more)], [slow]


def _crash_while_it_runs(draw: _Draw) -> _Stretch:
    """The daemon dies while an action is at work, or before its end is written down."""
    service = draw.one(("shop", "cart", "shop"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    crash = Fault("crash after that", what="effect run", count=draw.one((1, 1, 2)))
    faults = [replace(crash, size=draw.within(0.0, 9.0))]
    if draw.chance(0.3):
        faults.append(Fault("restart late", size=draw.within(5, 60)))
    return script, faults + _one_of_all(draw, 0.15)


def _crash_at_a_delivery(draw: _Draw) -> _Stretch:
    """The daemon dies while it takes in an alert that nobody sends again."""
    service = draw.one(("shop", "mail", "mail"))
    script = _sure(draw, service, "rollback")
    what = draw.one(("put", "processed", "processed", "IncidentOpened"))
    crash = Fault("crash after that", what=what, count=draw.one((1, 1, 2)))
    return script, [replace(crash, size=draw.one((0.0, 0.0, 0.02)))]


def _store_away_a_moment(draw: _Draw) -> _Stretch:
    """The store fails for seconds in the middle of what nothing else would wake the daemon for."""
    service = draw.one(("shop", "search", "search"))
    script = _sure(draw, service, "itself")
    what = draw.one(("EffectClaimed", "IncidentClosed", "IncidentClosed", "ReviewWritten"))
    fails = Fault("disk fails after that", what=what, count=1, size=draw.within(0.3, 3))
    reacts = ("acknowledge", "close")
    for deed in reacts[: draw.one((1, 2, 2))]:
        kind = "PageDelivered" if deed == "acknowledge" else "ResponderArrived"
        delay = draw.within(0, 20)
        more = (service, 1, service, kind, 1)
        script.append(Item("reaction", delay, deed, draw.one(PEOPLE), more))
    return script, [fails]


def _crash_at_work(draw: _Draw) -> _Stretch:
    """The daemon dies around what it writes and does of a step, a page, a delivery."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    kinds = [draw.one(_WRITTEN), draw.one(("processed", "effect run", "StepPrepared"))]
    faults = [_after(draw, "crash after that", what) for what in kinds[: draw.one((1, 2))]]
    return script, faults + _one_of_all(draw, 0.2)


def _disk_at_outcomes(draw: _Draw) -> _Stretch:
    """The store takes nothing just when the world has answered; and then the daemon may die."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off")))
    what = draw.one(("effect page", "effect page", "effect run"))
    faults = [_after(draw, "disk fails after that", what)]
    if draw.chance(0.5):
        crash = Fault("crash after that", what=what, count=faults[0].count)
        faults.append(replace(crash, size=draw.within(0.5, faults[0].size + 2)))
    return script, faults


def _plan_to_its_end(draw: _Draw) -> _Stretch:
    """The first steps do not help, so that the budgets matter."""
    script = _sure(draw, "shop", draw.one(("flag_off", "never")))
    if draw.chance(0.4):
        script += _sure(draw, "cart", "never", draw.within(80, 120))
    return script, _one_of_all(draw, 0.3)


def _replica_suspended(draw: _Draw) -> _Stretch:
    """One of two replicas sleeps in the middle of a claim, and wakes with a lease that is over."""
    service = draw.one(("shop", "cart", "search"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    faults = [_suspended(draw, draw.one(_BEGUN)) for _ in range(draw.one((1, 2)))]
    begins = draw.one((0.0, draw.within(0, 40), draw.within(100, 200)))
    return script, [*faults, Fault("second replica", at=begins)]


def _nobody_hears(draw: _Draw) -> _Stretch:
    """A call fails for a while, and nothing else happens that would wake the daemon."""
    fires = draw.within(30, 90)
    script = [Item("delivery", fires, "mail", more=("firing", round(fires - 3, 3), 0.0, 0))]
    faults = [Fault("pager down", round(fires - 1, 3), draw.one((3.0, 5.0, 9.0)))]
    return script, faults


def _one_of_all(draw: _Draw, share: float) -> list[Fault]:
    """Sometimes anything else goes wrong, too."""
    if not draw.chance(share):
        return []
    kind = draw.one([k for k in FAULT_KINDS if k in _MAKERS])
    return [_MAKERS[kind](draw, kind)]


_STRETCHES: tuple[Callable[[_Draw], _Stretch], ...] = (
    _two_on_one_target,
    _people_react,
    _veto_at_the_start,
    _crash_at_work,
    _crash_while_it_runs,
    _crash_at_a_delivery,
    _store_away_a_moment,
    _disk_at_outcomes,
    _plan_to_its_end,
    _replica_suspended,
    _nobody_hears,
)
