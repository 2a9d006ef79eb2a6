"""What a seed draws: one night."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.drawn_faults import Draw, faults_of
from tests.simulation.scenario import PEOPLE, SERVICES, Item, Scenario
from tests.simulation.stretches import ADDED, ADDED_EVERY, STRETCHES, Stretch

SWARM_SHARE = 0.4
"""The share of seeds that draw from all kinds alike; the others aim at a dangerous stretch."""
SQL_EVERY = 16
"""Of so many seeds one is run on the stores in SQL."""


def scenario_of(seed: int) -> Scenario:
    """What this seed draws."""
    draw = Draw(seed)
    stretch = _stretch(draw)
    script, faults = stretch(draw) if stretch else (_script(draw), faults_of(draw))
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


def aims_at(seed: int, name: str) -> bool:
    """Whether it draws that stretch."""
    stretch = _stretch(Draw(seed))
    return stretch is not None and stretch.__name__ == f"_{name}"


def _stretch(draw: Draw) -> Stretch | None:
    """What it aims at; None if it draws from all kinds alike."""
    stretch = None if draw.chance(SWARM_SHARE) else draw.one(STRETCHES)
    added = ADDED.get(draw.seed % ADDED_EVERY)
    # It is drawn though it is the only one: what is drawn after it stays what it was.
    return stretch if added is None else draw.one((added,))


def _script(draw: Draw) -> list[Item]:
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


def _trouble(draw: Draw, service: str) -> list[Item]:
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


def _deeds(draw: Draw, services: Sequence[str]) -> list[Item]:
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
