"""The fold of the people: who is there, who holds which role, who was asked."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX, Crew, Post, Request
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_responder(incident: Incident, at: datetime, event: e.ResponderEvent) -> Incident:
    """The incident after one more event among its people."""
    if isinstance(event, e.RoleTaken) and event.role == "communicator":
        first = incident.first_communicator_at or at
        incident = replace(incident, first_communicator_at=first)
    if isinstance(event, e.NoPlanDeclared):
        incident = replace(incident, decided_at=incident.decided_at or at)
    return replace(incident, crew=_apply(incident.crew, at, event))


def _apply(crew: Crew, at: datetime, event: e.ResponderEvent) -> Crew:
    match event:
        case e.ResponderArrived():
            return replace(
                crew,
                responders=(*crew.responders, event.person),
                acknowledged_at=crew.acknowledged_at or at,
                seen={**crew.seen, event.person: at},
            )
        case e.ResponderLeft():
            return replace(crew, responders=tuple(p for p in crew.responders if p != event.person))
        case e.CommanderAppointed():
            # No sign of life: a deputy is appointed by the daemon, and may be asleep.
            posts = {**crew.posts, "commander": Post(event.person, at)}
            return replace(crew, posts=posts, asked=None)
        case e.CommandVacated():
            return replace(
                crew,
                posts={r: p for r, p in crew.posts.items() if r != "commander"},
                campaign=crew.campaign + 1,
                vacated_at=at,
                past_jumps=len(crew.jumps),
                asked=None,
            )
        case e.CommanderAsked():
            return replace(crew, asked=event, asked_at=at)
        case e.RoleTaken():
            return replace(crew, posts={**crew.posts, event.role: Post(event.person, at)})
        case e.RoleLeft():
            return replace(
                crew,
                posts={r: p for r, p in crew.posts.items() if r != event.role},
                times_left={
                    **crew.times_left,
                    event.role: crew.times_left.get(event.role, 0) + 1,
                },
            )
        case e.RoleRequested():
            return replace(crew, requests={**crew.requests, event.request: Request(at, event)})
        case e.RoleAnswered():
            answered = replace(crew.requests[event.request], answer=event.answer)
            return replace(crew, requests={**crew.requests, event.request: answered})
        case e.NoPlanDeclared():
            return replace(crew, no_plan=event)
        case e.LinkUsed():
            return replace(crew, used_links=crew.used_links | {event.page})
        case _:
            assert_never(event)


def sign_of_life(incident: Incident, at: datetime, event: e.Event, by: str) -> Incident:
    """Whatever a person does is a sign of life; a Commander who was asked has answered by it.

    It counts from when they did it, which for a pager's report can be before they were asked.
    """
    person = by.removeprefix(PERSON_PREFIX) if by.startswith(PERSON_PREFIX) else ""
    if isinstance(event, e.PagerSaid):
        at, person = event.occurred_at, event.person
    if not person:
        return incident
    crew = incident.crew
    seen = {**crew.seen, person: max(at, crew.seen.get(person, at))}
    waits = crew.asked is not None and crew.asked.person == person
    answered = waits and (crew.asked_at is None or at >= crew.asked_at)
    crew = replace(crew, seen=seen, asked=None if answered else crew.asked)
    return replace(incident, crew=crew)
