"""The command line and the real API: the room, who could help, and a vendor's ticket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from io import StringIO

import pytest
from rich.console import Console

from daemon.cli.incident_card import Board, OpenIncidents
from daemon.core.incident import events as e
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_cli_double import EVIL, Ended, run
from tests.core.build import blamed, confirmed, make_change

Says = Callable[..., Awaitable[Ended]]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


@pytest.fixture
def says(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Somebody runs a command; its end."""

    async def ends(command: str, *arguments: str, person: str = "ada") -> Ended:
        monkeypatch.setenv("STOPGAP_URL", str(rig.client.make_url("/")).rstrip("/"))
        monkeypatch.setenv("STOPGAP_TOKEN", f"{person}-token")
        return await asyncio.to_thread(run, command, rig.id, *arguments)

    return ends


async def test_the_commander_opens_the_room_and_is_told_where_it_is(rig: Rig, says: Says) -> None:
    refused = await says("room")
    assert (refused.code, refused.out) == (1, "")
    assert "only the Commander may open the room and the call; that is nobody" in refused.err
    await rig.does("ack")
    ended = await says("room")
    assert ended.out == f"being opened; `stopgap show {rig.id}` has the link\n"
    await rig.happens(
        e.RoomOpened(part="room", service="slack", url="https://s/archives/C1", name="#inc-1"),
        e.RoomFailed(deed="call", error=f"no {EVIL}", last=True),
    )
    told = "room: #inc-1 https://s/archives/C1"
    shown = (await says("show")).out
    assert told in shown
    assert "\x1b" not in shown
    await rig.happens(e.RoomArchived(service="slack"))
    assert f"{told} (archived)" in (await says("show")).out


async def test_show_says_who_could_help_and_how_they_are_asked(rig: Rig, says: Says) -> None:
    change = make_change("v9", rig.now).model_copy(update={"labels": {"team": "database"}})
    suspicion = blamed().model_copy(update={"change": change})
    await rig.happens(confirmed(suspicion=suspicion))
    out = (await says("show")).out
    why = "database: the suspect change v9 is theirs, by its label team"
    assert f"{why}: stopgap engage {rig.id} database 'look at v9, live since " in out
    assert f"Amazon: shop is involved: stopgap engage {rig.id} --vendor aws" in out
    _, found = await rig.asks("GET", rig.path, ADA)
    screen = Console(width=200, file=StringIO(), record=True)
    screen.print(OpenIncidents(Board((found["incident"],), rig.now)))
    assert "could help: database, for the suspect change v9 is theirs" in screen.export_text()
    assert "could help" not in out.partition("timeline")[2], "it calls nobody by itself"
    assert not (await rig.incident()).people.engaged
    await says("engage", "database", "look at v9")
    assert why not in (await says("show")).out


async def test_a_ticket_is_printed_to_copy_and_its_number_kept(rig: Rig, says: Says) -> None:
    ended = await says("engage", "--vendor", "aws")
    assert ended.code == 0
    assert ended.out.startswith("Subject: a service of ours is impaired since ")
    assert "Amazon: help@aws.example; it goes outside, so read it first" in ended.err
    assert f"stopgap engage {rig.id} --vendor aws --ticket NUMBER" in ended.err
    asked = await says("engage", "is", "it", "ill?", "--vendor", "aws")
    assert asked.out.endswith("What we ask: is it ill?\n")
    kept = await says("engage", "--vendor", "aws", "--ticket", "4711")
    assert kept.out == "ticket 4711 with aws is kept\n"
    assert "Amazon: ticket 4711" in (await says("show")).out
    unknown = await says("engage", "--vendor", "eve")
    assert (unknown.code, "`vendors` in the roster has aws" in unknown.err) == (1, True)


async def test_a_ticket_without_its_vendor_is_wrong_usage(says: Says) -> None:
    for arguments, told in (
        (("database", "--ticket", "1"), "--ticket needs the --vendor who gave it"),
        ((), "name a team, or a vendor by --vendor"),
    ):
        ended = await says("engage", *arguments)
        assert (ended.code, told in ended.err) == (2, True)
