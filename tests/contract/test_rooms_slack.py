"""A room in Slack, held to Slack's documented behaviour: names, refusals, limits, lost answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from daemon.adapters.rooms.slack import SlackRooms, channel_name
from daemon.adapters.slack import slack_client
from daemon.cli.doctor.rooms import check_rooms
from daemon.config.settings import Settings
from daemon.core.people.roster import Roster
from daemon.core.ports.rooms import RateLimited, Room, RoomDraft, TendsRooms
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.yaml_document import one_document
from tests.contract.rig import ROSTER
from tests.contract.test_slack import Blunt
from tests.doubles.slack import TOKEN
from tests.doubles.slack_rooms import BOT, SITE, Channel, SlackWorkspace
from tests.fakes import START

DRAFT = RoomDraft(
    incident="1123-1403-x7qf",
    name="inc-1123-1403-x7qf-shop",
    title="shop: success rate 99.1 % → 90.3 %",
    text="measured now\nCommander: ada",
    severity="sev2",
    team="payments",
    link="http://stopgap/d/x",
    at=START,
)
NAME = "inc-1123-1403-x7qf-shop"


@pytest.fixture
async def slack() -> AsyncIterator[SlackWorkspace]:
    async with SlackWorkspace().serving() as double:
        yield double


@pytest.fixture
async def rooms(slack: SlackWorkspace) -> AsyncIterator[SlackRooms]:
    async with aiohttp.ClientSession() as session:
        yield SlackRooms(slack_client(session, TOKEN, f"{slack.url}/api", 5), private=False)


def only(slack: SlackWorkspace) -> Channel:
    """The only channel."""
    (channel,) = slack.channels.values()
    return channel


async def test_a_room_is_a_channel_that_is_filled_kept_and_archived(
    slack: SlackWorkspace, rooms: SlackRooms
) -> None:
    room = await rooms.open(DRAFT)
    assert room == Room(key="C0INC00", url=f"{SITE}archives/C0INC00", name=f"#{NAME}")
    assert isinstance(rooms, TendsRooms)
    key = await rooms.greet(room.key, DRAFT)
    assert key == f"C0INC00:{only(slack).messages[0]['ts']}"
    assert only(slack).pinned == [only(slack).messages[0]["ts"]]
    said = only(slack).messages[0]["blocks"]
    assert said[0]["text"]["text"] == (
        "*shop: success rate 99.1 % → 90.3 %*\nmeasured now\nCommander: ada"
    )
    assert "<http://stopgap/d/x|everything about it>" in said[1]["elements"][0]["text"]
    invited = await rooms.invite(room.key, ("U0ADA00", "U0BO000"))
    assert (invited.users, invited.refused, invited.trouble) == (("U0ADA00", "U0BO000"), {}, None)
    assert only(slack).members == {BOT, "U0ADA00", "U0BO000"}
    await rooms.set_topic(room.key, "sev2 · restored & watched")
    assert only(slack).topic == "sev2 · restored &amp; watched"
    await rooms.archive(room.key, DRAFT.incident)
    assert only(slack).is_archived
    await rooms.archive(room.key, DRAFT.incident)  # of an archived one: nothing to do
    await rooms.archive("C0GONE0", DRAFT.incident)  # of a deleted one, too


async def test_a_private_room(slack: SlackWorkspace) -> None:
    async with aiohttp.ClientSession() as session:
        client = slack_client(session, TOKEN, f"{slack.url}/api", 5)
        await SlackRooms(client, private=True).open(DRAFT)
    assert only(slack).is_private


async def test_a_creation_whose_answer_was_lost_is_found_and_not_made_twice(
    slack: SlackWorkspace, rooms: SlackRooms
) -> None:
    for number in range(5):  # on a later page of the bot's channels
        await rooms.open(replace(DRAFT, name=f"inc-{number}"))
    slack.lost = {"conversations.create"}
    with pytest.raises(Temporary):
        await rooms.open(DRAFT)
    found = await rooms.open(DRAFT)
    assert [one.name for one in slack.channels.values()].count(NAME) == 1
    assert slack.channels[found.key].name == NAME
    assert len(slack.channels) == 6


@pytest.mark.parametrize(
    "theirs",
    [
        Channel("C0OTHER", NAME, "U0EVE00", members={"U0EVE00"}),
        Channel("C0OTHER", NAME, "U0EVE00", members={"U0EVE00", BOT}),
        Channel("C0OTHER", NAME, BOT, is_archived=True, members={BOT}),
    ],
    ids=["unseen", "another's", "archived"],
)
async def test_a_name_that_is_taken_gets_a_number(
    slack: SlackWorkspace, rooms: SlackRooms, theirs: Channel
) -> None:
    slack.channels["C0OTHER"] = theirs
    room = await rooms.open(DRAFT)
    assert room.name == f"#{NAME}-2"
    assert await rooms.open(DRAFT) == room, "and is found again by it"


async def test_when_every_name_is_taken_it_says_so(
    slack: SlackWorkspace, rooms: SlackRooms
) -> None:
    for number in range(1, 6):
        name = channel_name(DRAFT.name, number)
        slack.channels[f"C{number}"] = Channel(f"C{number}", name, "U0EVE00")
    with pytest.raises(Permanent, match=f"5 names like {NAME} are taken in Slack"):
        await rooms.open(DRAFT)


@pytest.mark.parametrize(
    ("wanted", "number", "name"),
    [
        ("inc-1123-1403-x7qf-shop", 1, "inc-1123-1403-x7qf-shop"),
        ("Inc 1 Größe/Zone.A", 1, "inc-1-gr-e-zone-a"),
        ("inc-x" + "y" * 90, 1, "inc-x" + "y" * 75),
        ("inc-x" + "y" * 90, 3, "inc-x" + "y" * 73 + "-3"),
        ("…", 1, "incident"),
    ],
)
def test_a_name_is_as_slack_takes_it(wanted: str, number: int, name: str) -> None:
    assert channel_name(wanted, number) == name
    assert len(name) <= 80


async def test_the_first_message_is_written_once(slack: SlackWorkspace, rooms: SlackRooms) -> None:
    room = await rooms.open(DRAFT)
    slack.lost = {"chat.postMessage"}
    with pytest.raises(Temporary):
        await rooms.greet(room.key, DRAFT)
    slack.lost = {"pins.add"}
    with pytest.raises(Temporary):
        await rooms.greet(room.key, DRAFT)
    assert await rooms.greet(room.key, DRAFT) == f"{room.key}:{only(slack).pinned[0]}"
    assert len(only(slack).messages) == len(only(slack).pinned) == 1


async def test_one_who_cannot_be_invited_keeps_nobody_out(
    slack: SlackWorkspace, rooms: SlackRooms
) -> None:
    room = await rooms.open(DRAFT)
    slack.refuses = {"U0ADA00": "user_is_restricted"}
    only(slack).members.add("U0CY000")
    invited = await rooms.invite(room.key, (BOT, "U0CY000", "U0GONE0", "U0ADA00", "U0BO000"))
    assert invited.users == (BOT, "U0CY000", "U0BO000"), "who is there already is there"
    assert set(invited.refused) == {"U0GONE0", "U0ADA00"}
    assert "known_as.slack" in invited.refused["U0GONE0"]
    assert invited.trouble is None


async def test_a_limit_in_the_middle_leaves_the_rest_for_later(
    slack: SlackWorkspace, rooms: SlackRooms
) -> None:
    room = await rooms.open(DRAFT)
    await rooms.invite(room.key, ("U0ADA00",))
    slack.limited = {"conversations.invite": 1}
    invited = await rooms.invite(room.key, ("U0BO000",))
    assert invited.users == ()
    assert isinstance(invited.trouble, RateLimited)
    assert invited.trouble.seconds == 30
    assert (await rooms.invite(room.key, ("U0BO000",))).users == ("U0BO000",)


@pytest.mark.parametrize(
    ("rest", "seconds"), [("30", 30), ("0", None), ("soon", None), ("999999", 3600)]
)
async def test_slack_is_left_alone_for_as_long_as_it_asks(
    slack: SlackWorkspace, rooms: SlackRooms, rest: Any, seconds: int | None
) -> None:
    slack.rest, slack.limited = rest, {"conversations.create": 1}
    with pytest.raises(Temporary, match="Slack cannot take it now: ratelimited") as caught:
        await rooms.open(DRAFT)
    assert getattr(caught.value, "seconds", None) == seconds


async def test_a_scope_that_is_missing_is_named(slack: SlackWorkspace, rooms: SlackRooms) -> None:
    slack.scopes = {"conversations.create": "channels:manage,groups:write"}
    with pytest.raises(Permanent, match=r"missing_scope \(the bot needs the scope channels:manage"):
        await rooms.open(DRAFT)


@pytest.mark.parametrize("what", ["topic", "greet", "invite"])
async def test_an_archived_room_takes_nothing_more(
    slack: SlackWorkspace, rooms: SlackRooms, what: str
) -> None:
    room = await rooms.open(DRAFT)
    await rooms.archive(room.key, DRAFT.incident)
    deeds = {
        "topic": lambda: rooms.set_topic(room.key, "x"),
        "greet": lambda: rooms.greet(room.key, DRAFT),
        "invite": lambda: rooms.invite(room.key, ("U0ADA00",)),
    }
    with pytest.raises(Permanent, match=r"is_archived \(the channel is archived\)"):
        await deeds[what]()


async def test_a_topic_is_cut_to_what_slack_takes(slack: SlackWorkspace, rooms: SlackRooms) -> None:
    room = await rooms.open(DRAFT)
    await rooms.set_topic(room.key, "<" * 300)
    assert len(only(slack).topic) <= 250
    assert only(slack).topic.startswith("&lt;")


async def test_a_message_is_read_as_people_do(slack: SlackWorkspace, rooms: SlackRooms) -> None:
    room = await rooms.open(DRAFT)
    text = "<@U0BO000> see <https://x.example/a?b=1&amp;c|the log>, 5 &lt; 6 in <#C1|ops> <!here>"
    first = slack.writes(room.key, "U0ADA00", text)
    reply = slack.writes(room.key, "U0BO000", "it is the disk", thread=first)
    found = await rooms.message(room.key, first)
    assert found is not None
    assert found.text == "@U0BO000 see the log (https://x.example/a?b=1&c), 5 < 6 in #ops @here"
    assert (found.user, found.own) == ("U0ADA00", False)
    assert found.link == f"{SITE}archives/{room.key}/p{first.replace('.', '')}"
    answered = await rooms.message(room.key, reply)
    assert answered is not None
    assert answered.text == "it is the disk"
    assert await rooms.message(room.key, "1764000000.999999") is None
    greeting = (await rooms.greet(room.key, DRAFT)).partition(":")[2]
    own = await rooms.message(room.key, greeting)
    assert own is not None
    assert own.own


async def test_the_doctor_says_what_is_missing(slack: SlackWorkspace) -> None:
    folder = Path(__file__).parent
    settings = Settings.model_validate(
        {
            "rooms": {"slack": {}, "call": "https://meet/{incident}"},
            "slack": {"token": "env:TOKEN", "url": f"{slack.url}/api"},
        }
    )
    roster = one_document(ROSTER, "roster.yaml").read(Roster)
    async with aiohttp.ClientSession() as session:
        installation: Any = SimpleNamespace(
            settings=settings, session=session, secret=lambda _: TOKEN, roster=roster, base=folder
        )

        async def findings() -> list[tuple[str, str]]:
            return [(found.state, found.text) async for found in check_rooms(installation)]

        slack.granted = "chat:write,pins:read, pins:write,reactions:read,channels:read"
        call, scopes, events, people = await findings()
        assert call == ("ok", "calls have the address https://meet/{incident}")
        lacking = "the bot in Slack lacks the scopes channels:manage, channels:history"
        assert scopes == ("wrong", lacking)
        assert events[0] == people[0] == "warning"
        assert people[1].startswith("cy cannot be invited")
        slack.granted += ",channels:manage,channels:history"
        assert (await findings())[1][0] == "ok"
        slack.granted = None
        assert (await findings())[1][0] == "ok", "Slack need not say"
        installation.settings = Settings()
        assert await findings() == []


async def test_a_page_of_a_proxy_is_no_refusal() -> None:
    """It passes, and a refusal is not tried again."""
    async with (
        aiohttp.ClientSession() as session,
        Blunt(200, "text/html", "log in").serving() as it,
    ):
        rooms = SlackRooms(slack_client(session, TOKEN, f"{it.url}/api", 5), private=False)
        with pytest.raises(Temporary, match="an answer that is none"):
            await rooms.open(DRAFT)
