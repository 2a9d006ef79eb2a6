"""From the tap that opens a room to what was marked there: the API, the decisions, the journal and
Slack held to its documented behaviour, in one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from daemon.adapters.rooms.slack import SlackRooms
from daemon.adapters.slack import slack_client
from daemon.core.decision import TendRoom
from daemon.core.incident import events as e
from daemon.core.people.contact_methods import Contact
from daemon.core.ports.rooms import Rooms
from daemon.core.response.rooms import RoomPolicy, rooms_due
from daemon.notifying.room_index import RoomIndex
from daemon.notifying.rooms import MeetingPlaces, tend_room
from daemon.repository import IncidentRepository
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.doubles.slack import TOKEN, signed
from tests.doubles.slack_rooms import (
    BOT,
    Channel,
    SlackWorkspace,
    pin_added,
    reaction_added,
)

SECRET = "slack-secret"
POLICY = RoomPolicy(room="slack", tends=True, call=True, archive_after=timedelta(hours=24))


@dataclass
class Scene:
    """A rig whose rooms are Slack's."""

    rig: Rig
    slack: SlackWorkspace
    events: int = 0

    async def tended(self) -> None:
        """What is due is done, until nothing more is."""
        rig = self.rig
        for _ in range(20):
            incident = await rig.incident()
            decision = rooms_due(incident, rig.places.policy, rig.now)
            if decision.record:
                await rig.happens(*decision.record)
                continue
            deeds = [one.deed for one in decision.effects if isinstance(one, TendRoom)]
            if not deeds:
                return
            for deed in deeds:
                await tend_room(rig.repository, rig.id, deed, rig.places, rig.roster, rig.links)
        raise AssertionError("there is always something due")

    async def opened(self) -> Channel:
        """Ada commands and opens the room."""
        await self.rig.does("ack")
        status, _ = await self.rig.does("room")
        assert status == 200
        await self.tended()
        (channel,) = self.slack.channels.values()
        return channel

    async def tells(self, event: dict[str, Any], status: int = 200, again: bool = False) -> Any:
        """Slack tells of an event."""
        self.events += not again
        headers, sent = self.slack.event(event, self.rig.now, self.events, SECRET)
        if again:
            headers |= {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
        found, answer = await self.rig.hooked("slack/events", sent, headers)
        assert found == status, answer
        return answer.get("noted")

    async def notes(self) -> list[e.RoomNoted]:
        """What came to the timeline."""
        entries = self.rig.journal.entries[self.rig.id]
        return [x.event for x in entries if isinstance(x.event, e.RoomNoted)]


class SlackRig(Rig):
    """A rig that knows the rooms which the scene gives it."""

    rooms: Rooms

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.places = MeetingPlaces(
            POLICY, self.rooms, "inc-", lambda incident: f"https://meet.example/{incident}"
        )


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with SlackWorkspace().serving() as slack, aiohttp.ClientSession() as session:
        client = slack_client(session, TOKEN, f"{slack.url}/api", 5)
        kind = type("_Rig", (SlackRig,), {"rooms": SlackRooms(client, private=False)})
        async with rigged(make=kind) as rig:
            yield Scene(rig, slack)


async def test_one_tap_opens_the_room_and_the_call(scene: Scene) -> None:
    channel = await scene.opened()
    rig = scene.rig
    assert channel.name == f"inc-{rig.id}-shop"
    assert channel.members == {BOT, "U0ADA00"}
    assert channel.topic.startswith("being measured · Commander: ada · ")
    (greeting,) = channel.messages
    assert channel.pinned == [greeting["ts"]]
    signed_with = greeting["blocks"][1]["elements"][0]["text"]
    assert f"<https://meet.example/{rig.id}|the call>" in signed_with
    assert "measuring, to define the problem; the topic says how it stands" in greeting["text"]
    _, found = await rig.asks("GET", rig.path, ADA)
    meeting = found["incident"]["meeting"]
    assert meeting["room"]["url"] == f"https://acme.slack.com/archives/{channel.id}"
    assert meeting["call"]["url"] == f"https://meet.example/{rig.id}"
    assert (meeting["requested_by"], meeting["troubles"]) == ("ada", [])
    texts = [entry["text"] for entry in found["timeline"]]
    assert "room and call asked for by ada" in texts
    assert "in the room now: ada" in texts
    page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
    assert f'<a href="{meeting["room"]["url"]}" rel="noreferrer">#inc-{rig.id}-shop</a>' in page
    assert "Open the room" not in page
    document = await rig.gets(urlsplit(rig.links.document(rig.id)).path)
    for place in (await rig.gets(await rig.calls()), document):
        assert meeting["room"]["url"] in place
        assert meeting["call"]["url"] in place


async def test_the_room_follows_the_incident_to_its_end(scene: Scene) -> None:
    channel = await scene.opened()
    rig = scene.rig
    await rig.does("ack", BO)
    rig.later(minutes=2)
    await rig.happens(e.PageQueued(page="x", person="cy", purpose="jump", text="come"))
    await rig.does("roles/communicator", person="cy")
    await scene.tended()
    assert channel.members == {BOT, "U0ADA00", "U0BO000"}
    left_out = [x.event for x in rig.journal.entries[rig.id] if x.event.kind == "RoomInvited"][-1]
    assert left_out.left_out == {
        "cy": "their Slack user id is not in the roster: people.cy.known_as.slack"
    }
    await rig.does("close", reason="over")
    rig.later(minutes=2)
    await scene.tended()
    assert channel.topic.startswith("closed · ")
    assert not channel.is_archived
    rig.later(hours=24)
    await scene.tended()
    assert channel.is_archived
    assert (await rig.incident()).collaboration.archived_at == rig.now
    seq = rig.seq
    await scene.tended()
    assert rig.seq == seq, "nothing more is due"


async def test_two_who_share_an_account_are_both_there(scene: Scene) -> None:
    rig, people = scene.rig, dict(scene.rig.roster.people)
    contact = (Contact(slack="U0ADA00"),)
    people["cy"] = people["cy"].model_copy(update={"contact": contact})
    rig.roster = rig.roster.model_copy(update={"people": people})
    channel = await scene.opened()
    await rig.does("roles/communicator", person="cy")
    await scene.tended()
    assert channel.members == {BOT, "U0ADA00"}
    assert (await rig.incident()).collaboration.invited == {"ada", "cy"}


async def test_a_crash_in_the_middle_makes_no_second_room(scene: Scene) -> None:
    """Slack made it, and the daemon died before it wrote that down."""
    rig = scene.rig
    await rig.does("ack")
    await rig.does("room")
    scene.slack.lost = {"conversations.create"}
    await tend_room(rig.repository, rig.id, "open", rig.places, rig.roster, rig.links)
    trouble = (await rig.incident()).collaboration.troubles["open"]
    assert trouble.error == "Slack cannot be reached (ServerDisconnectedError)"
    assert (len(scene.slack.channels), (await rig.incident()).collaboration.room) == (1, None)
    rig.later(seconds=10)
    await scene.tended()
    assert len(scene.slack.channels) == 1
    assert (await rig.incident()).collaboration.room is not None


async def test_slack_that_limits_is_left_alone_so_long(scene: Scene) -> None:
    rig = scene.rig
    await rig.does("ack")
    await rig.does("room")
    scene.slack.limited = {"conversations.create": 1}
    await scene.tended()
    assert not scene.slack.channels
    rig.later(seconds=29)
    await scene.tended()
    assert not scene.slack.channels
    rig.later(seconds=1)
    await scene.tended()
    assert len(scene.slack.channels) == 1


async def test_what_cannot_work_is_said_and_tried_again_when_asked(scene: Scene) -> None:
    rig = scene.rig
    scene.slack.scopes = {"conversations.create": "channels:manage"}
    await rig.does("ack")
    await rig.does("room")
    await scene.tended()
    rig.later(hours=1)
    await scene.tended()
    assert len(scene.slack.called("conversations.create")) == 1
    page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
    assert "the bot needs the scope channels:manage" in page
    assert "Open the room and the call once more" in page
    scene.slack.scopes = {}
    await rig.does("room")
    await scene.tended()
    assert len(scene.slack.channels) == 1


# ── what is marked there ─────────────────────────────────────────────────────────────────────


async def test_a_pinned_or_marked_message_comes_to_the_timeline_once(scene: Scene) -> None:
    channel = await scene.opened()
    text = "the disk of &lt;db-7&gt; is full, <@U0BO000>\nsee <https://x.example|the graph>"
    ts = scene.slack.writes(channel.id, "U0BO000", text)
    pin = pin_added("U0ADA00", channel.id, ts)
    assert await scene.tells(pin) == "taken"
    assert await scene.tells(pin, again=True) == "this stands in the timeline already"
    mark = reaction_added("U0BO000", "memo", channel.id, ts)
    assert await scene.tells(mark) == "this stands in the timeline already"
    (note,) = await scene.notes()
    assert note.text == "the disk of <db-7> is full, @bo see the graph (https://x.example)"
    assert (note.person, note.who) == ("bo", "U0BO000")
    entry = scene.rig.journal.entries[scene.rig.id][-1]
    assert entry.by == "person:ada"
    page = await (await scene.rig.client.get(f"/incidents/{scene.rig.id}", headers=ADA)).text()
    assert "bo wrote in the room: the disk of &lt;db-7&gt; is full" in page
    assert "<db-7>" not in page


async def test_a_mark_of_another_colour_and_by_a_stranger(scene: Scene) -> None:
    channel = await scene.opened()
    ts = scene.slack.writes(channel.id, "U0EVE00", "x" * 1500)
    mark = reaction_added("U0EVE00", "memo::skin-tone-3", channel.id, ts)
    assert await scene.tells(mark) == "taken"
    (note,) = await scene.notes()
    assert (note.person, note.who, len(note.text)) == ("", "U0EVE00", 1000)
    assert scene.rig.journal.entries[scene.rig.id][-1].by == "slack"


async def test_what_is_no_mark_of_a_message_of_others_is_left(scene: Scene) -> None:
    channel = await scene.opened()
    ts = scene.slack.writes(channel.id, "U0BO000", "hello")
    own = channel.messages[0]["ts"]
    other = scene.slack.channels["C0OTHER"] = Channel("C0OTHER", "ops", "U0EVE00", members={BOT})
    elsewhere = scene.slack.writes(other.id, "U0BO000", "hello")
    for event, told in (
        (reaction_added("U0ADA00", "tada", channel.id, ts), "this marks no message"),
        ({"type": "message", "user": "U0ADA00", "text": "memo"}, "this marks no message"),
        ({**pin_added("U0ADA00", channel.id, ts), "item": {"type": "file"}}, "marks no message"),
        (pin_added(BOT, channel.id, ts), "this is our own mark"),
        (pin_added("U0ADA00", channel.id, own), "this stands in the timeline already"),
        (pin_added("U0ADA00", other.id, elsewhere), "this is no room of an incident"),
        (pin_added("U0ADA00", channel.id, "1764000000.999999"), "no message of somebody else"),
    ):
        assert told in await scene.tells(event), event
    assert await scene.notes() == []


async def test_a_room_takes_notes_for_a_while_after_the_end(scene: Scene) -> None:
    channel = await scene.opened()
    await scene.rig.does("close", reason="over")
    first, second = (scene.slack.writes(channel.id, "U0BO000", text) for text in ("a", "b"))
    assert await scene.tells(pin_added("U0ADA00", channel.id, first)) == "taken"
    scene.rig.later(hours=25)
    assert "no room" in await scene.tells(pin_added("U0ADA00", channel.id, second))


async def test_the_rooms_of_the_just_closed_are_known_after_a_restart(scene: Scene) -> None:
    channel = await scene.opened()
    rig = scene.rig
    await rig.does("close", reason="over")
    index = RoomIndex(IncidentRepository(rig.journal, lambda: rig.now))
    found = await index.find("slack", channel.id)
    assert found is not None
    assert found.id == rig.id
    assert await index.find("slack", "C0OTHER") is None
    assert await index.find("webhook", channel.id) is None


async def test_slack_that_does_not_tell_the_message_is_asked_again(scene: Scene) -> None:
    channel = await scene.opened()
    ts = scene.slack.writes(channel.id, "U0BO000", "hello")
    scene.slack.limited = {"conversations.history": 1}
    pin = pin_added("U0ADA00", channel.id, ts)
    await scene.tells(pin, status=503)
    assert await scene.tells(pin, again=True) == "taken"


async def test_whoever_may_only_look_notes_nothing(scene: Scene) -> None:
    channel = await scene.opened()
    ts = scene.slack.writes(channel.id, "U0BO000", "hello")
    people = dict(scene.rig.roster.people)
    people["bo"] = people["bo"].model_copy(update={"access": "viewer"})
    scene.rig.roster = scene.rig.roster.model_copy(update={"people": people})
    told = await scene.tells(pin_added("U0BO000", channel.id, ts))
    assert "bo has the access `viewer` and may only look" in told


async def test_the_address_proves_itself_and_nobody_else_gets_in(scene: Scene) -> None:
    rig = scene.rig
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"}).encode()
    headers, sent = signed(body, rig.now, SECRET)
    status, answer = await rig.hooked("slack/events", sent, headers)
    assert (status, answer["challenge"]) == (200, "3eZbrw1a")
    headers, sent = signed(body, rig.now, "another")
    assert (await rig.hooked("slack/events", sent, headers))[0] == 401
    headers, sent = signed(body, rig.now - timedelta(minutes=6), SECRET)
    assert (await rig.hooked("slack/events", sent, headers))[0] == 401
    assert (await rig.hooked("slack/events", body, ADA))[0] == 401
    headers, sent = signed(b"{", rig.now, SECRET)
    assert (await rig.hooked("slack/events", sent, headers))[0] == 400


# ── vendors ──────────────────────────────────────────────────────────────────────────────────


async def test_a_ticket_is_drafted_and_its_number_kept(scene: Scene) -> None:
    rig = scene.rig
    path = f"{rig.path}/vendors/aws"
    status, found = await rig.asks("GET", f"{path}?ask=is+it+ill%3F", ADA)
    assert status == 200
    assert found["text"].endswith("What we ask: is it ill?")
    assert (found["vendor"]["name"], found["vendor"]["because"]) == ("Amazon", "shop")
    status, problem = await rig.asks("GET", f"{rig.path}/vendors/eve", ADA)
    assert (status, "has aws" in problem["detail"]) == (404, True)
    seq = rig.seq
    await rig.does("vendors/aws/tickets", ticket="4711")
    assert (await rig.kinds(seq)) == ["VendorTicketOpened"]
    page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
    assert "Vendor: Amazon (ticket 4711)" in page
    assert "What we ask: do you see or know of anything wrong with the machines since" in page
    assert 'data-copy="ticket-aws"' in page


async def test_events_of_any_shape_and_messages_without_words_are_answered(scene: Scene) -> None:
    """Slack tells again of what is not taken, and in the end of nothing any more."""
    channel = await scene.opened()
    silent = scene.slack.writes(channel.id, "U0BO000", "")
    hidden = scene.slack.writes(channel.id, "U0BO000", "\u202e\x07\u200b")
    odd: list[tuple[dict[str, Any], str]] = [
        ({"type": "user_change", "user": {"id": "U0ADA00"}}, "this marks no message"),
        ({"type": "channel_archive", "user": None, "item": None}, "this marks no message"),
        ({"type": "message", "item": "x", "channel_id": 7}, "this marks no message"),
        (pin_added("U0ADA00", channel.id, silent), "this has no words"),
        (pin_added("U0ADA00", channel.id, hidden), "this has no words"),
    ]
    for event, told in odd:
        assert told in await scene.tells(event), event
    assert await scene.notes() == []


async def test_a_name_within_a_longer_one_is_left(scene: Scene) -> None:
    channel = await scene.opened()
    ts = scene.slack.writes(channel.id, "U0BO000", "<@U0BO0001> and <@U0BO000>")
    await scene.tells(pin_added("U0ADA00", channel.id, ts))
    assert [note.text for note in await scene.notes()] == ["@U0BO0001 and @bo"]
