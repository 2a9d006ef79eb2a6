"""The people of an incident as they stand: who is there, who holds which role, who was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    whose acknowledgements stand (`acknowledged_by`). `taken_back_at`: when we last heard that
    one does not."""

    at: datetime
    taken_back_at: datetime | None = None
    references: frozenset[str] = frozenset()
    acknowledged_by: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Engagement:
    """An expert team that was called in."""

    event: e.TeamEngaged
    at: datetime
    answered_by: str = ""


@dataclass(frozen=True)
class IncidentPeople:
    """Everybody. `campaign` counts how often the calling began anew, `vacated_at` when last because
    nobody commands any more, `reassigned_at` because another team is called; `past_jumps` are
    those of before that, or the last relapse. `times_left`: how often a role was given up."""

    responders: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    posts: Mapping[e.Role, Post] = field(default_factory=dict)
    times_left: Mapping[e.Role, int] = field(default_factory=dict)
    campaign: int = 0
    vacated_at: datetime | None = None
    reassigned_at: datetime | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)
    sign_of_life_request: e.CommanderAsked | None = None
    asked_at: datetime | None = None
    requests: Mapping[str, Request] = field(default_factory=dict)
    pager_reports: Mapping[str, PagerReports] = field(default_factory=dict)
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
