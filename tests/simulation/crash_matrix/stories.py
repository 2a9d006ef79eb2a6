"""The main stories of the daemon, each told as it goes when nothing dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from daemon.core.incident.state import Incident
from daemon.core.response.command import Command
from daemon.core.response.commands import Acknowledge
from daemon.core.response.declaring import Declaration
from daemon.core.response.organizing import Merge
from daemon.intake.counterparts import write_counterparts
from daemon.intake.declaring import declare
from daemon.web.links.answers import LinkSpent
from tests import commanding
from tests.fakes import START
from tests.simulation.crash_matrix.house import WITH_CUSTOMERS, HonestAction, HonestCanary, House
from tests.simulation.crash_matrix.play import Deed, Happening, Story
from tests.stories.stage import Daemon, alert
from tests.stories.test_organizing import commanded
from tests.stories.test_storm import answers, unruled

ALERT = 180.0
"""The second after START at which Alertmanager tells of the trouble."""
FORM = "the form that ada has open"


def receives(*alerts: dict[str, Any]) -> Deed:
    """Alertmanager posts these."""

    async def deed(house: House, daemon: Daemon) -> object:
        return await daemon.receives(*alerts)

    return deed


def person(name: str, deed: Callable[..., Any], *arguments: Any) -> Deed:
    """A person does something to the only incident."""

    async def done(house: House, daemon: Daemon) -> object:
        return await daemon.does(deed, *arguments, who=name)

    return done


def acknowledges(name: str) -> Deed:
    """They acknowledge."""

    async def done(house: House, daemon: Daemon) -> object:
        return await daemon.acknowledges(name)

    return done


def fails(share: float) -> Deed:
    """From now on so many requests fail."""

    async def deed(house: House, daemon: Daemon) -> None:
        house.stage.service.fails(share, asyncio.get_running_loop().time())

    return deed


def _rollback_helps(house: House) -> None:
    house.heals("rollback")


def _second_helps(house: House) -> None:
    house.heals("flag_off")


def _asks(house: House) -> None:
    house.heals("rollback")
    house.stage.approved = False


def _canary(house: House) -> None:
    house.acts(HonestCanary(house.stage, house.power), HonestAction("flag_off", house.power))
    house.heals("rollback")


def _observes(house: House) -> None:
    stage = house.stage
    stage.rules = [rule.model_copy(update={"mode": "observe"}) for rule in stage.rules]


def _without_plan(house: House) -> None:
    stage = house.stage
    stage.rules = [rule.model_copy(update={"recover": ()}) for rule in stage.rules]


def _with_room_and_silence(house: House) -> None:
    house.heals("rollback")
    house.meets()
    house.silences()


def _unruled(house: House) -> None:
    house.stage.rules.clear()


# ── what people do in single stories ─────────────────────────────────────────────────────────


async def _approves(house: House, daemon: Daemon) -> None:
    await daemon.does(commanding.approve, house.stage.rules[0], 1, "ada", who="ada")


async def _the_storm_is_answered(house: House, daemon: Daemon) -> None:
    try:
        await answers(daemon, "ada")
    except LinkSpent:
        return  # she had tapped before


async def _announces(house: House, daemon: Daemon) -> None:
    known = await house.stage.announced.windows_since(START)
    if known:
        return  # it stands on the page of the windows, so nobody announces it again
    begin = daemon.repository.clock()
    await daemon.maintenance.announce(
        "global", "the database moves", "ada", begin, begin + timedelta(seconds=200)
    )


async def _ends_the_window(house: House, daemon: Daemon) -> None:
    (window,) = await house.stage.announced.windows_since(START)
    await daemon.maintenance.end(window.id, "ada")


async def _declares(house: House, daemon: Daemon) -> None:
    declaration = Declaration(
        "customers cannot pay", "ada", "page", team="payments", severity="sev2", request=FORM
    )
    roster = house.stage.roster
    await declare(daemon.repository, declaration, daemon.stage.book_rules.rules, roster)


async def _of(house: House, service: str) -> Incident:
    services = {i.group_labels.get("service"): i for i in await house.stage.incidents()}
    return services[service]


def _commands(service: str, command: Callable[[Incident], Command], other: str = "shop") -> Deed:
    async def deed(house: House, daemon: Daemon) -> None:
        one = await _of(house, service)
        await commanded(daemon, one.id, command(await _of(house, other)))
        await write_counterparts(daemon.repository, one.id)

    return deed


async def _tells_customers(house: House, daemon: Daemon) -> None:
    incident = await daemon.incident()
    draft = incident.updates.open_draft("customers")
    if draft is not None:  # else she sees that it was sent
        name = draft.draft.update
        await daemon.does(commanding.send, name, "ada", None, None, who="ada")


STORIES = (
    Story(
        "the rollback runs by itself and helps",
        _rollback_helps,
        (Happening(ALERT, receives(alert())), Happening(195, acknowledges("ada"))),
        until=450,
    ),
    Story(
        "the first alternative does not help, the second does",
        _second_helps,
        (Happening(ALERT, receives(alert())), Happening(195, acknowledges("ada"))),
        until=560,
    ),
    Story(
        "the Commander approves",
        _asks,
        (
            Happening(ALERT, receives(alert())),
            Happening(195, acknowledges("ada")),
            Happening(230, _approves),
        ),
        until=450,
    ),
    Story(
        "a canary goes on",
        _canary,
        (Happening(ALERT, receives(alert())), Happening(195, acknowledges("ada"))),
        until=520,
    ),
    Story(
        "the rule only observes",
        _observes,
        (
            Happening(ALERT, receives(alert())),
            Happening(195, acknowledges("ada")),
            Happening(300, fails(0.01)),
        ),
        until=500,
    ),
    Story(
        "it comes back",
        _rollback_helps,
        (
            Happening(ALERT, receives(alert())),
            Happening(195, acknowledges("ada")),
            Happening(330, fails(0.2)),
        ),
        until=450,
    ),
    Story("nobody comes", _without_plan, (Happening(ALERT, receives(alert())),), until=560),
    Story(
        "a storm",
        _unruled,
        (
            *(Happening(ALERT + n, receives(unruled(n))) for n in range(6)),
            Happening(230, _the_storm_is_answered),
        ),
        until=420,
    ),
    Story(
        "one becomes part of another",
        _without_plan,
        (
            Happening(ALERT, receives(alert())),
            Happening(185, receives(alert(service="cart"))),
            Happening(190, _commands("cart", lambda _: Acknowledge())),
            Happening(200, _commands("cart", lambda shop: Merge(shop.id, "one database"))),
            Happening(230, receives(alert("resolved", service="cart", ended=225))),
            Happening(240, fails(0.01)),
        ),
        until=520,
    ),
    Story(
        "declared by a person, who tells the customers",
        _without_plan,
        (
            Happening(ALERT, _declares),
            Happening(200, _tells_customers),
            Happening(260, person("ada", commanding.close, "ada", "they can pay again")),
            Happening(300, _tells_customers),
        ),
        until=400,
        people=WITH_CUSTOMERS,
    ),
    Story(
        "maintenance",
        _rollback_helps,
        (
            Happening(150, _announces),
            Happening(ALERT, receives(alert())),
            Happening(240, _ends_the_window),
        ),
        until=520,
    ),
    Story(
        "room, silence and last word",
        _with_room_and_silence,
        (Happening(ALERT, receives(alert())), Happening(195, acknowledges("ada"))),
        until=520,
    ),
    Story(
        "the alert comes while the daemon is down",
        _rollback_helps,
        (
            Happening(170, power_cut=30.0),
            Happening(ALERT, receives(alert())),
            Happening(230, acknowledges("ada")),
        ),
        until=500,
    ),
)
