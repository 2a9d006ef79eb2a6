"""When an incident's room and call are opened, kept and archived, and what stands in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.decision import Decision, TendRoom, recording
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Severity
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.values.backoff import Backoff
from daemon.core.values.units import printable

ROOM_TRIES = 8
"""So often in a row something is tried before a person has to ask for it again."""
ROOM_BACKOFF = Backoff(timedelta(seconds=5), timedelta(minutes=5))
"""How soon it is tried again."""
TOPIC_PAUSE = timedelta(minutes=1)
"""A topic rests so long before it is set again: each setting is a line in everybody's room."""
MOST_BY_SEVERITY = 5
"""So many open incidents at once get their room by themselves: in a storm people choose where they
meet."""


@dataclass(frozen=True)
class RoomPolicy:
    """What is set up. `room` is the service that opens rooms, empty if there is none; `tends`:
    it invites people and keeps a topic. `call`: calls can be opened. `open_from`: the least
    severity for which that is done by itself; empty for none. `archive_after`: so long after
    closing; None for never."""

    room: str = ""
    tends: bool = False
    call: bool = False
    open_from: Severity = ""
    archive_after: timedelta | None = None

    @property
    def available(self) -> bool:
        """Whether there is anything to open."""
        return bool(self.room) or self.call


NO_ROOMS = RoomPolicy()
"""Nothing is set up, as in drills and replays."""


def rooms_due(incident: Incident, policy: RoomPolicy, now: datetime) -> Decision:
    """What is due to the room and the call of an incident, open or closed."""
    if not policy.available:
        return Decision()
    if incident.collaboration.requested is None:
        if not _opens_by_itself(incident, policy):
            return Decision()
        return recording(e.RoomRequested(why=f"the incident is {incident.severity}"))
    due = Decision()
    for deed, begins in _wanted(incident, policy):
        due |= _at(incident, deed, max(begins, _rested_at(incident, deed)), now)
    return due


def archive_waits(incident: Incident) -> bool:
    """Whether a closed incident has a room that nobody has archived yet."""
    known = incident.collaboration
    trouble = known.troubles.get("archive")
    given_up = trouble is not None and trouble.given_up
    return known.room is not None and known.archived_at is None and not given_up


def to_invite(incident: Incident) -> tuple[str, ...]:
    """Who works on it, or is asked to, and was not invited yet."""
    people = incident.people
    held = (people.holder(role) for role in ROLE_NAMES)
    asked = (request.event.asked for request in people.open_requests())
    found = dict.fromkeys(filter(None, (*incident.responders, *held, *asked)))
    return tuple(name for name in found if name not in incident.collaboration.invited)


def room_topic(incident: Incident) -> str:
    """The incident in one line that changes only with what matters: numbers would set it anew with
    each measurement."""
    standing = {
        "defining": "being measured" if incident.rule else "people look into it",
        "observing": "being watched",
        "deciding": "a recovery is being decided on",
        "recovering": "a recovery step is running",
        "verifying": "a recovery is being verified",
        "diagnosing": "the cause is being looked for",
        "watching": "restored, watched for a relapse",
        "closed": "closed",
    }[incident.phase]
    problem = incident.confirmed
    name = " ".join(incident.group_labels.values())
    subject = f"{name} {problem.symptom}".strip() if problem else incident.opened.title
    commander = incident.commander or "nobody yet"
    if incident.organization.merged_into:
        standing = f"closed: it goes on as {incident.organization.merged_into}"
    parts = [incident.severity, standing, f"Commander: {commander}", subject]
    if incident.closed is not None:
        parts.pop(2)
    return printable(" · ".join(filter(None, parts)))


def place_links(incident: Incident) -> dict[str, str]:
    """Where people meet: `Room` and `Call`, each with its address; without what is not there."""
    known = incident.collaboration
    places = {"Room": known.room, "Call": known.call}
    return {name: place.url for name, place in places.items() if place is not None and place.url}


def places_line(incident: Incident) -> str:
    """The same in one line for texts to people of ours; empty if there is nothing."""
    return " · ".join(f"{name}: {url}" for name, url in place_links(incident).items())


def with_places(incident: Incident, text: str) -> str:
    """A text to people of ours, with where they meet below it, unless it says so already."""
    line = places_line(incident)
    return text if not line or line in text else f"{text}\n{line}"


def _opens_by_itself(incident: Incident, policy: RoomPolicy) -> bool:
    over = incident.closed is not None or incident.recovered_at is not None
    if over or not policy.open_from or not incident.severity:
        return False
    return incident.severity <= policy.open_from


def _wanted(incident: Incident, policy: RoomPolicy) -> Iterator[tuple[e.RoomDeed, datetime]]:
    """What is to be done, and from when on."""
    known, at_once = incident.collaboration, incident.opened_at
    room = known.room
    if incident.closed is None:
        if room is None and policy.room:
            yield "open", at_once
        if known.call is None and policy.call:
            yield "call", at_once
    if room is None or room.service != policy.room or known.archived_at is not None:
        return
    if policy.tends:
        if not known.greeting:
            yield "greet", at_once
        if incident.closed is None and to_invite(incident):
            yield "invite", at_once
        if room_topic(incident) != known.topic:
            yield "topic", known.topic_at + TOPIC_PAUSE if known.topic_at else at_once
    if incident.closed_at is not None and policy.archive_after is not None:
        yield "archive", incident.closed_at + policy.archive_after


def _rested_at(incident: Incident, deed: e.RoomDeed) -> datetime:
    """When it may be tried again after what failed."""
    trouble = incident.collaboration.troubles.get(deed)
    if trouble is None:
        return incident.opened_at
    pause = max(ROOM_BACKOFF.pause(trouble.failures), timedelta(seconds=trouble.retry_after))
    return trouble.at + pause


def _at(incident: Incident, deed: e.RoomDeed, moment: datetime, now: datetime) -> Decision:
    trouble = incident.collaboration.troubles.get(deed)
    if trouble is not None and trouble.given_up:
        return Decision()
    return Decision(effects=(TendRoom(deed),)) if now >= moment else Decision(wake_at=moment)
