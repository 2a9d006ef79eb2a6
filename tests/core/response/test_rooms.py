"""When a room and a call are opened, kept and archived: decided from the journal alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.decision import TendRoom
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.response.collaboration_commands import NoteFromRoom, OpenRoom
from daemon.core.response.command import NotPossible
from daemon.core.response.rooms import (
    NO_ROOMS,
    ROOM_TRIES,
    TOPIC_PAUSE,
    RoomPolicy,
    archive_waits,
    place_links,
    room_topic,
    rooms_due,
    with_places,
)
from daemon.core.response.update_text import draft, facts_in_short
from tests.commanding import situated
from tests.core.build import (
    MINUTE,
    NOW,
    came,
    commands,
    confirmed,
    make_incident,
    make_problem,
    opening,
)

SLACK = RoomPolicy(room="slack", tends=True, call=True, archive_after=timedelta(hours=24))
ASKED = e.RoomRequested(person="ada")
ROOM = e.RoomOpened(part="room", service="slack", url="https://s/archives/C1", key="C1", name="#x")
CALL = e.RoomOpened(part="call", service="template", url="https://meet/x")
GREETED = e.RoomGreeted(key="C1:1.0")
HERE = ((NOW, came("ada")), (NOW, commands("ada")))
CLOSED = e.IncidentClosed(reason="by_person", text="x")


def incident(*later: Any) -> Incident:
    """One with Ada in command, and what came later, a second apart unless a moment is named."""
    events = [
        one if isinstance(one, tuple) else (NOW + timedelta(seconds=number), one)
        for number, one in enumerate(later)
    ]
    return make_incident((NOW, opening()), *HERE, *events)


def due(
    one: Incident, policy: RoomPolicy = SLACK, now: datetime = NOW + MINUTE
) -> tuple[list[str], datetime | None]:
    """The deeds that are due, and when to look again."""
    decision = rooms_due(one, policy, now)
    assert not decision.record
    deeds = [effect.deed for effect in decision.effects if isinstance(effect, TendRoom)]
    return deeds, decision.wake_at


def settled(*more: Any) -> Incident:
    """A room in which everything is done."""
    topic = room_topic(incident(ASKED, ROOM, CALL))
    invited = e.RoomInvited(people=("ada",))
    return incident(ASKED, ROOM, CALL, GREETED, invited, e.RoomTopicSet(topic=topic), *more)


def test_nothing_is_opened_before_somebody_asks() -> None:
    assert due(incident()) == ([], None)
    assert due(incident(ASKED), NO_ROOMS) == ([], None)


def test_both_are_opened_and_then_the_room_is_kept() -> None:
    assert due(incident(ASKED)) == (["open", "call"], None)
    assert due(incident(ASKED, CALL)) == (["open"], None)
    assert due(incident(ASKED, ROOM))[0] == ["call", "greet", "invite", "topic"]
    assert due(settled()) == ([], None)


def test_a_webhooks_room_is_opened_and_archived_and_nothing_else() -> None:
    policy = RoomPolicy(room="webhook", archive_after=timedelta(0))
    room = e.RoomOpened(part="room", service="webhook", url="https://t/1")
    assert due(incident(ASKED), policy)[0] == ["open"]
    assert due(incident(ASKED, room), policy) == ([], None)
    assert due(incident(ASKED, room, CLOSED), policy)[0] == ["archive"]


def test_a_room_of_another_service_is_left_alone() -> None:
    """The settings were changed meanwhile."""
    policy = RoomPolicy(room="webhook", archive_after=timedelta(0))
    assert due(incident(ASKED, ROOM, CLOSED), policy) == ([], None)


@pytest.mark.parametrize(
    ("open_from", "severity", "opens"),
    [("sev2", "sev1", True), ("sev2", "sev2", True), ("sev2", "sev3", False), ("", "sev1", False)],
)
def test_it_opens_by_itself_from_a_severity_on(open_from: Any, severity: Any, opens: bool) -> None:
    policy = RoomPolicy(room="slack", open_from=open_from)
    one = make_incident((NOW, opening()), confirmed(make_problem(severity=severity)))
    decision = rooms_due(one, policy, NOW)
    wanted = (e.RoomRequested(why=f"the incident is {severity}"),) if opens else ()
    assert decision.record == wanted
    over = make_incident(
        (NOW, opening()), confirmed(make_problem(severity=severity)), e.Recovered(step=0, text="x")
    )
    assert not rooms_due(over, policy, NOW)


def test_what_failed_is_tried_again_after_a_rest() -> None:
    failed = e.RoomFailed(deed="open", error="x")
    at = NOW + timedelta(seconds=1)
    one = incident(ASKED, failed, CALL)
    assert due(one, now=NOW + timedelta(seconds=2)) == ([], at + timedelta(seconds=5))
    assert due(one, now=at + timedelta(seconds=5)) == (["open"], None)
    twice = incident(ASKED, failed, failed, CALL)
    assert due(twice, now=NOW + timedelta(seconds=2))[1] == at + timedelta(seconds=11)
    limited = incident(ASKED, e.RoomFailed(deed="open", error="x", retry_after=90), CALL)
    assert due(limited)[1] == at + timedelta(seconds=90)


def test_what_was_given_up_waits_for_a_person() -> None:
    last = e.RoomFailed(deed="open", error="missing_scope", last=True)
    one = incident(ASKED, last, CALL)
    assert due(one) == ([], None)
    assert one.collaboration.troubles["open"].error == "missing_scope"
    (again,) = OpenRoom().apply(one, situated("ada", rooms=SLACK))
    assert again == ASKED
    assert due(incident(ASKED, last, CALL, again))[0] == ["open"]
    assert 1 < ROOM_TRIES < 20


def test_who_comes_is_invited_and_who_cannot_be_is_not_tried_again() -> None:
    asked = e.RoleRequested(
        request="communicator.1",
        role="communicator",
        how="ask",
        taker="cy",
        asked="cy",
        by="",
        until=NOW + MINUTE,
        why="",
        briefing="",
    )
    one = settled(came("bo"), asked)
    assert "invite" in due(one)[0]
    left_out = e.RoomInvited(people=("bo",), left_out={"cy": "a guest"})
    assert "invite" not in due(settled(came("bo"), asked, left_out))[0]


def test_a_topic_changes_with_what_matters_and_not_too_often() -> None:
    before = settled()
    assert room_topic(before) == "being measured · Commander: ada · CheckoutFails"
    set_at = before.collaboration.topic_at
    assert set_at is not None
    after = settled((set_at + timedelta(seconds=10), confirmed(make_problem(severity="sev2"))))
    found = due(after, now=set_at + timedelta(seconds=20))
    assert found == ([], set_at + TOPIC_PAUSE)
    assert due(after, now=set_at + TOPIC_PAUSE)[0] == ["topic"]
    assert room_topic(after).startswith("sev2 · a recovery is being decided on · Commander: ada")
    assert not any(character.isdigit() for character in room_topic(after).replace("sev2", ""))


def test_the_room_ends_after_the_incident() -> None:
    one = settled(CLOSED)
    assert one.closed_at is not None
    assert archive_waits(one)
    deeds, wake_at = due(one, now=one.closed_at + 2 * MINUTE)
    assert (deeds, wake_at) == (["topic"], one.closed_at + timedelta(hours=24))
    assert "archive" in due(one, now=one.closed_at + timedelta(hours=24))[0]
    kept = RoomPolicy(room="slack", tends=True, call=True)
    assert "archive" not in due(one, kept, one.closed_at + timedelta(days=9))[0]
    over = settled(CLOSED, e.RoomArchived(service="slack"))
    assert due(over, now=one.closed_at + timedelta(days=2)) == ([], None)
    assert not archive_waits(over)


def test_a_closed_incident_opens_nothing_any_more() -> None:
    assert due(incident(ASKED, CLOSED)) == ([], None)


def test_only_the_commander_opens_and_only_where_something_is_set_up() -> None:
    one = incident()
    assert OpenRoom().apply(one, situated("ada", rooms=SLACK)) == (ASKED,)
    assert OpenRoom().apply(incident(ASKED), situated("ada", rooms=SLACK)) == ()
    with pytest.raises(NotPossible, match="nor a call is set up; the section `rooms`"):
        OpenRoom().apply(one, situated("ada"))
    with pytest.raises(NotPossible, match="only the Commander may open the room and the call"):
        OpenRoom().apply(one, situated("bo", rooms=SLACK))


def test_the_links_stand_where_our_people_read_and_never_in_public() -> None:
    one = incident(ASKED, ROOM, CALL)
    line = "Room: https://s/archives/C1 · Call: https://meet/x"
    assert with_places(one, "come") == f"come\n{line}"
    assert with_places(one, f"come\n{line}") == f"come\n{line}"
    assert with_places(incident(ASKED), "come") == "come"
    drafts = {
        public: draft(
            one, since=None, pause=None, sent_at=None, public=public, description="the shop"
        )
        for public in (True, False)
    }
    assert line in drafts[False].splitlines()
    assert not any(url in drafts[True] for url in place_links(one).values())
    assert facts_in_short(one) != facts_in_short(incident()), "so a draft that waits gets it"


def test_a_message_of_the_room_is_noted_once_and_the_first_one_never() -> None:
    noted = NoteFromRoom("bo", "U0BO", "the disk is full", "C1:2.0", "https://s/p2")
    one = incident(ASKED, ROOM, GREETED)
    (event,) = noted.apply(one, situated("ada"))
    assert event == e.RoomNoted(
        person="bo", who="U0BO", text="the disk is full", key="C1:2.0", link="https://s/p2"
    )
    assert noted.apply(incident(ASKED, ROOM, GREETED, event), situated("ada")) == ()
    assert NoteFromRoom("", "U0", "x", "C1:1.0").apply(one, situated("ada")) == ()
    assert NoteFromRoom("", "U0", "  ", "C1:3.0").apply(one, situated("ada")) == ()
    (late,) = noted.apply(incident(ASKED, ROOM, CLOSED), situated("ada"))
    assert isinstance(late, e.RoomNoted)
