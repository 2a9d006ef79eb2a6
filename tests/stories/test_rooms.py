"""The room of an incident from its opening to its end, whatever crashes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.ports.rooms import Invited, Room, RoomDraft, RoomMessage
from daemon.core.response.rooms import RoomPolicy
from daemon.core.values.outcome import Temporary
from daemon.notifying.rooms import MeetingPlaces
from tests.stories.stage import Stage, alert, healed_by

DAY = 86_400.0
CALL = "https://meet.example/stopgap"


class Chat:
    """A service of rooms that remembers. `loses`: it makes the room, and its answer is lost."""

    name = "chat"

    def __init__(self) -> None:
        self.made: list[str] = []
        self.asked = 0
        self.greeted: list[str] = []
        self.invited: list[str] = []
        self.topics: list[str] = []
        self.archived: list[str] = []
        self.loses = False

    async def open(self, draft: RoomDraft) -> Room:
        """One room for each incident."""
        self.asked += 1
        if draft.incident not in self.made:
            self.made.append(draft.incident)
        if self.loses:
            raise Temporary("no answer")
        return Room("R1", "https://chat/R1", "#r1")

    async def archive(self, key: str, incident: str) -> None:
        """End it."""
        self.archived.append(key)

    async def greet(self, key: str, draft: RoomDraft) -> str:
        """The first message."""
        self.greeted.append(draft.call)
        return f"{key}:1"

    async def invite(self, key: str, users: Sequence[str]) -> Invited:
        """All of them come."""
        self.invited += users
        return Invited(tuple(users))

    async def set_topic(self, key: str, topic: str) -> None:
        """Keep it."""
        self.topics.append(topic)

    async def message(self, key: str, message: str) -> RoomMessage | None:
        """None is marked here."""
        return None


def opens_from_sev2(stage: Stage, chat: Chat) -> None:
    """Room and call open by themselves; ada is known there."""
    policy = RoomPolicy(
        room="chat", tends=True, call=True, open_from="sev2", archive_after=timedelta(days=1)
    )
    stage.places = MeetingPlaces(policy, chat, "inc-", lambda incident: CALL)
    ada = stage.roster.people["ada"]
    known = ada.model_copy(update={"known_as": ada.known_as.model_copy(update={"slack": "UADA"})})
    stage.roster = stage.roster.model_copy(update={"people": {**stage.roster.people, "ada": known}})


async def test_a_sev2_has_its_room_and_call_until_a_day_after_its_end(stage: Stage) -> None:
    chat = Chat()
    opens_from_sev2(stage, chat)
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await daemon.at(1800)
        incident = await daemon.incident()
        assert incident.closed is not None
        assert (chat.made, chat.asked, len(chat.greeted)) == ([incident.id], 1, 1)
        assert chat.greeted == [CALL]
        assert chat.invited == ["UADA"]
        assert chat.topics[-1] == "sev2 · closed · shop success rate"
        spoken = [topic.split(" · ")[1] for topic in chat.topics]
        assert "restored, watched for a relapse" in spoken
        assert len(chat.topics) <= 6, "a topic that is set is a line in the room"
        assert not chat.archived
        await daemon.at(DAY)
        assert not chat.archived
        await daemon.at(DAY + 1800)
        assert chat.archived == ["R1"]
        await daemon.at(3 * DAY)
    assert chat.archived == ["R1"]
    kinds = [entry.event.kind for entry in stage.journal.entries[incident.id]]
    assert kinds.count("RoomRequested") == kinds.count("RoomArchived") == 1
    assert kinds.count("RoomOpened") == 2


async def test_every_page_after_the_opening_says_where_people_meet(stage: Stage) -> None:
    chat = Chat()
    opens_from_sev2(stage, chat)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(700)  # ada did not come, so bo is called
    assert "Room: https://chat/R1 · Call: https://meet.example" in stage.phones["bo"].pages[0].text


async def test_a_crash_after_the_opening_makes_no_second_room(stage: Stage) -> None:
    chat = Chat()
    chat.loses = True
    opens_from_sev2(stage, chat)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(240)
    incident = (await stage.incidents())[0]
    assert (chat.made, incident.collaboration.room) == ([incident.id], None)
    chat.loses = False
    async with stage.daemon() as daemon:
        await daemon.at(900)
        room = (await daemon.incident()).collaboration.room
    assert room is not None
    assert (chat.made, len(chat.greeted)) == ([incident.id], 1)


async def test_a_stop_after_the_end_does_not_leave_the_room_open(stage: Stage) -> None:
    chat = Chat()
    opens_from_sev2(stage, chat)
    async with stage.daemon() as daemon:
        healed_by(stage, "rollback")
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(4000)
        assert (await daemon.incident()).closed is not None
    async with stage.daemon() as daemon:
        await daemon.at(2 * DAY)
    assert chat.archived == ["R1"]


async def test_a_chat_that_is_down_delays_no_call(stage: Stage) -> None:
    chat = Chat()
    chat.loses = True
    opens_from_sev2(stage, chat)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        assert len(stage.phones["ada"].pages) == 1
        await daemon.at(3600)
        incident = await daemon.incident()
    assert stage.phones["bo"].pages
    trouble = incident.collaboration.troubles["open"]
    assert (trouble.given_up, chat.asked) == (True, 8), "it is not asked without end"


async def test_in_a_storm_a_few_rooms_open_and_the_others_say_why_not(stage: Stage) -> None:
    chat = Chat()
    opens_from_sev2(stage, chat)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"shop-{number}") for number in range(9)))
        await daemon.at(600)
    incidents = await stage.incidents()
    opened = [one for one in incidents if one.collaboration.room is not None]
    assert (len(incidents), len(opened), len(chat.made)) == (9, 5, 5)
    refused = [one for one in incidents if one.collaboration.room is None]
    for one in refused:
        assert one.collaboration.given_up
        assert (
            "in a storm people choose where they meet" in one.collaboration.troubles["open"].error
        )
