"""The people of an incident as they stand: who is there, who holds which role, who was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.core.incident import events as e

PERSON_PREFIX = "person:"
"""How the journal marks an actor who is a person."""


@dataclass(frozen=True)
class Post:
    """A role that somebody holds."""

    person: str
    since: datetime


@dataclass(frozen=True)
class Request:
    """A question for a role, and what became of it (None: it is open)."""

    asked_at: datetime
    event: e.RoleRequested
    answer: e.AnswerKind | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits for its answer."""
        return self.answer is None


@dataclass(frozen=True)
class PagerReports:
    """What one pager reported so far: when the last of it happened there, by which reports, and
    whose acknowledgements stand there. `taken_back_at`: when we last heard that one does not."""

    at: datetime
    taken_back_at: datetime | None = None
    references: frozenset[str] = frozenset()
    standing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Engagement:
    """An expert team that was called in."""

    event: e.TeamEngaged
    at: datetime
    answered_by: str = ""


@dataclass(frozen=True)
class Crew:
    """Everybody. `campaign` counts how often the calling began anew, `vacated_at` when last;
    `past_jumps` are those of the campaigns before. `times_left`: how often a role was given up."""

    responders: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    posts: Mapping[e.Role, Post] = field(default_factory=dict)
    times_left: Mapping[e.Role, int] = field(default_factory=dict)
    campaign: int = 0
    vacated_at: datetime | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)
    asked: e.CommanderAsked | None = None
    asked_at: datetime | None = None
    requests: Mapping[str, Request] = field(default_factory=dict)
    heard: Mapping[str, PagerReports] = field(default_factory=dict)
    used_links: frozenset[str] = frozenset()
    no_plan: e.NoPlanDeclared | None = None
    jumps: tuple[e.EscalationJumped, ...] = ()
    past_jumps: int = 0
    engaged: Mapping[str, Engagement] = field(default_factory=dict)

    def holder(self, role: e.Role) -> str:
        """Who holds the role; empty if nobody does."""
        post = self.posts.get(role)
        return post.person if post else ""

    def roles_of(self, person: str) -> tuple[e.Role, ...]:
        """The roles that this person holds."""
        return tuple(role for role, post in self.posts.items() if post.person == person)

    def open_requests(self, role: e.Role | None = None) -> list[Request]:
        """The requests that wait for an answer, of one role or of all."""
        return [r for r in self.requests.values() if r.open and role in (None, r.event.role)]


CrewEvent = (
    e.ResponderArrived
    | e.ResponderLeft
    | e.CommanderAppointed
    | e.CommandVacated
    | e.CommanderAsked
    | e.RoleTaken
    | e.RoleLeft
    | e.RoleRequested
    | e.RoleAnswered
    | e.NoPlanDeclared
    | e.LinkUsed
    | e.PagerSaid
    | e.EscalationJumped
    | e.TeamEngaged
    | e.TeamAnswered
)


def apply_crew(crew: Crew, at: datetime, event: CrewEvent) -> Crew:
    """The people after one more event."""
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
        case e.PagerSaid():
            return _heard(crew, at, event)
        case e.EscalationJumped():
            return replace(crew, jumps=(*crew.jumps, event))
        case e.TeamEngaged():
            return replace(crew, engaged={**crew.engaged, event.team: Engagement(event, at)})
        case e.TeamAnswered():
            answered_by = replace(crew.engaged[event.team], answered_by=event.person)
            return replace(crew, engaged={**crew.engaged, event.team: answered_by})


def sign_of_life(crew: Crew, at: datetime, person: str) -> Crew:
    """Whatever a person does is a sign of life; a Commander who was asked has answered by it.

    `at`: when they did it, which for a pager's report can be before they were asked.
    """
    if not person:
        return crew
    seen = {**crew.seen, person: max(at, crew.seen.get(person, at))}
    waits = crew.asked is not None and crew.asked.person == person
    answered = waits and (crew.asked_at is None or at >= crew.asked_at)
    return replace(crew, seen=seen, asked=None if answered else crew.asked)


def _heard(crew: Crew, at: datetime, event: e.PagerSaid) -> Crew:
    before = crew.heard.get(event.source)
    # Reports of the same moment stay apart by their reference, older ones by their time.
    references = (before.references if before else frozenset()) | {event.reference}
    standing = before.standing if before else frozenset()
    taken_back_at = before.taken_back_at if before else None
    if event.said == "acknowledged":
        standing |= {event.person} - {""}
    else:
        taken_back_at = at
        # Nobody knows whose acknowledgement automation took back, so then none stands.
        standing = standing - {event.person} if event.person in standing else frozenset()
    heard = PagerReports(event.occurred_at, taken_back_at, references, standing)
    return replace(crew, heard={**crew.heard, event.source: heard})
