"""The fold of the people: who is there, who holds which role, who was asked."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX, IncidentPeople, Post, Request
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_responder(incident: Incident, at: datetime, event: e.ResponderEvent) -> Incident:
    """The incident after one more event among its people."""
    if isinstance(event, e.RoleTaken) and event.role == "communicator":
        first = incident.first_communicator_at or at
        incident = replace(incident, first_communicator_at=first)
    if isinstance(event, e.NoPlanDeclared):
        incident = replace(incident, decided_at=incident.decided_at or at)
    return replace(incident, people=_apply(incident.people, at, event))


def _apply(people: IncidentPeople, at: datetime, event: e.ResponderEvent) -> IncidentPeople:
    match event:
        case e.ResponderArrived():
            return replace(
                people,
                responders=(*people.responders, event.person),
                acknowledged_at=people.acknowledged_at or at,
                seen={**people.seen, event.person: at},
            )
        case e.ResponderLeft():
            return replace(
                people, responders=tuple(p for p in people.responders if p != event.person)
            )
        case e.CommanderAppointed():
            # No sign of life: a deputy is appointed by the daemon, and may be asleep.
            posts = {**people.posts, "commander": Post(event.person, at)}
            return replace(people, posts=posts, sign_of_life_request=None)
        case e.CommandVacated():
            return replace(
                people,
                posts={r: p for r, p in people.posts.items() if r != "commander"},
                campaign=people.campaign + 1,
                vacated_at=at,
                past_jumps=len(people.jumps),
                sign_of_life_request=None,
            )
        case e.CommanderAsked():
            return replace(people, sign_of_life_request=event, asked_at=at)
        case e.RoleTaken():
            return replace(people, posts={**people.posts, event.role: Post(event.person, at)})
        case e.RoleLeft():
            return replace(
                people,
                posts={r: p for r, p in people.posts.items() if r != event.role},
                times_left={
                    **people.times_left,
                    event.role: people.times_left.get(event.role, 0) + 1,
                },
            )
        case e.RoleRequested():
            return replace(people, requests={**people.requests, event.request: Request(at, event)})
        case e.RoleAnswered():
            answered = replace(people.requests[event.request], answer=event.answer)
            return replace(people, requests={**people.requests, event.request: answered})
        case e.NoPlanDeclared():
            return replace(people, no_plan=event)
        case e.LinkUsed():
            return replace(people, used_links=people.used_links | {event.page})
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
    people = incident.people
    seen = {**people.seen, person: max(at, people.seen.get(person, at))}
    waits = people.sign_of_life_request is not None and people.sign_of_life_request.person == person
    answered = waits and (people.asked_at is None or at >= people.asked_at)
    people = replace(
        people, seen=seen, sign_of_life_request=None if answered else people.sign_of_life_request
    )
    return replace(incident, people=people)
