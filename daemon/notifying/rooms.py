"""Rooms and calls: what the decisions ask of them is done here, and what came of it is journaled.

Whatever is asked again after a crash is found again, or harmless: a room is known by its incident,
its first message by the incident's id, and people who are in it already stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Links
from daemon.core.ports.rooms import Room, RoomDraft, Rooms, TendsRooms
from daemon.core.recovery.guardrails import service_of
from daemon.core.reporting.now_and_next import doing
from daemon.core.response.rooms import (
    MOST_BY_SEVERITY,
    NO_ROOMS,
    ROOM_TRIES,
    RoomPolicy,
    place_links,
    room_topic,
    to_invite,
)
from daemon.core.values.outcome import Permanent
from daemon.core.values.units import clock_time
from daemon.notifying.notifier import DeliveryFailure, attempt, delivery_failure
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

TEMPLATE = "template"
"""The service of a call whose address is made of the settings."""
TOO_MANY = (
    f"{MOST_BY_SEVERITY} rooms have opened by themselves already, and in a storm people choose "
    "where they meet; the Commander opens this one with a tap, or `stopgap room`"
)
DEED_SECONDS = 60.0
"""For so long a deed may take; what is already there may have to be looked for, page by page."""


@dataclass(frozen=True)
class MeetingPlaces:
    """What is set up. `prefix` begins the names of rooms; `call` makes the address of an incident's
    call. See `RoomPolicy`."""

    policy: RoomPolicy = NO_ROOMS
    rooms: Rooms | None = None
    prefix: str = ""
    call: Callable[[str], str] | None = None


NO_PLACES = MeetingPlaces()


async def tend_room(
    repository: IncidentRepository,
    incident: str,
    deed: e.RoomDeed,
    places: MeetingPlaces,
    roster: Roster,
    links: Links,
) -> None:
    """Do what is due to the room or the call of an incident. What fails is journaled, and decided
    on from there. Raises UnknownIncident."""
    current = await repository.load(incident)
    if deed in {"open", "call"} and _too_many(current, repository.known):
        refused = DeliveryFailure(TOO_MANY, temporary=False)
        await repository.report(incident, _failed(current, deed, refused))
        return
    deeds = _done(current, deed, places, roster, links, repository.clock())
    found = await attempt(deeds, incident, f"room-{deed}", DEED_SECONDS)
    if not isinstance(found, DeliveryFailure):
        await repository.report(incident, *found)
        return
    _log.warning("a room could not be tended", deed=deed, why=found.text)
    await repository.report(incident, _failed(current, deed, found))


async def _done(
    incident: Incident,
    deed: e.RoomDeed,
    places: MeetingPlaces,
    roster: Roster,
    links: Links,
    now: datetime,
) -> Sequence[e.Event]:
    """What came of it. Raises Temporary, Permanent."""
    if deed == "call":
        if places.call is None:
            raise Permanent("no call is set up any more; see `rooms.call` in stopgap.yaml")
        return (e.RoomOpened(part="call", service=TEMPLATE, url=places.call(incident.id)),)
    rooms, place = places.rooms, incident.collaboration.room
    if rooms is None:
        raise Permanent("no service opens rooms any more; see `rooms` in stopgap.yaml")
    draft = _draft(incident, places.prefix, links, now)
    if deed == "open":
        return _opened(incident, rooms.name, await rooms.open(draft))
    if place is None:
        return ()
    if deed == "archive":
        await rooms.archive(place.key, incident.id)
        return (e.RoomArchived(service=rooms.name),)
    if not isinstance(rooms, TendsRooms):
        return ()
    if deed == "greet":
        return (e.RoomGreeted(key=await rooms.greet(place.key, draft)),)
    if deed == "topic":
        topic = room_topic(incident)
        await rooms.set_topic(place.key, topic)
        return (e.RoomTopicSet(topic=topic),)
    return await _invited(incident, rooms, place.key, roster)


def _opened(incident: Incident, service: str, room: Room) -> Sequence[e.Event]:
    opened = e.RoomOpened(part="room", service=service, url=room.url, key=room.key, name=room.name)
    if not room.call or incident.collaboration.call is not None:
        return (opened,)
    return (opened, e.RoomOpened(part="call", service=service, url=room.call))


async def _invited(
    incident: Incident, rooms: TendsRooms, key: str, roster: Roster
) -> Sequence[e.Event]:
    left_out: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for name in to_invite(incident):
        user = slack_user(roster, name)
        if user:
            names.setdefault(user, []).append(name)
        else:
            place = f"people.{name}.known_as.slack"
            left_out[name] = f"their Slack user id is not in the roster: {place}"
    invited = await rooms.invite(key, tuple(names))
    for user, why in invited.refused.items():
        left_out |= dict.fromkeys(names.get(user, ()), why)
    people = tuple(name for user in invited.users for name in names.get(user, ()))
    events: list[e.Event] = []
    if people or left_out:
        events.append(e.RoomInvited(people=people, left_out=left_out))
    if invited.trouble is not None:
        events.append(_failed(incident, "invite", delivery_failure(invited.trouble)))
    return events


def slack_user(roster: Roster, name: str) -> str:
    """By which id Slack knows somebody; empty if the roster does not say."""
    person = roster.people.get(name)
    if person is None:
        return ""
    ways = (contact.slack for contact in person.contact)
    return person.known_as.slack or next(filter(None, ways), "")


def _draft(incident: Incident, prefix: str, links: Links, now: datetime) -> RoomDraft:
    service = service_of(incident.key) if incident.group_labels else ""
    commander = incident.commander or "nobody yet"
    lines = (
        f"At {clock_time(now)}: {doing(incident)}; the topic says how it stands",
        f"Commander: {commander}",
        "Pin or mark a message here, and it stands in the timeline.",
    )
    return RoomDraft(
        incident=incident.id,
        name="-".join(filter(None, (f"{prefix}{incident.id}", service))),
        title=incident.title,
        text="\n".join(lines),
        severity=incident.severity,
        team=incident.opened.team,
        link=links.document(incident.id),
        at=incident.opened_at,
        call=place_links(incident).get("Call", ""),
    )


def _failed(incident: Incident, deed: e.RoomDeed, failure: DeliveryFailure) -> e.RoomFailed:
    before = incident.collaboration.troubles.get(deed)
    tries = before.failures + 1 if before is not None else 1
    last = not failure.temporary or tries >= ROOM_TRIES
    return e.RoomFailed(deed=deed, error=failure.text, last=last, retry_after=failure.rest)


def _too_many(incident: Incident, known: Iterable[Incident]) -> bool:
    """Whether it asked for its room by itself when enough open incidents had done so. Told by the
    order of their asking: in a storm many ask in the same moment."""
    if not _opened_by_severity(incident):
        return False
    before = [
        other for other in known if _opened_by_severity(other) and _asked(other) < _asked(incident)
    ]
    return len(before) >= MOST_BY_SEVERITY


def _asked(incident: Incident) -> tuple[datetime, str]:
    return incident.collaboration.requested_at or incident.opened_at, incident.id


def _opened_by_severity(incident: Incident) -> bool:
    requested = incident.collaboration.requested
    return requested is not None and not requested.person
