"""An incident in the making, for tests about people: its clock, its journal, who adds what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event, fold
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.role_requests import role_requests_due
from tests import commanding
from tests.core.build import HOUSE, MINUTE, NOW, confirmed, make_problem, opening

PATIENCE = 3 * MINUTE
ROUNDS = 50
"""Facts that follow from facts at one moment are all written after so many rounds, or never."""

E = TypeVar("E")


class Scene:
    """Opened at NOW by an alert. Everything is journaled, so it can be folded at any time."""

    def __init__(self, *events: e.Event, roster: Roster = HOUSE, opened: datetime = NOW) -> None:
        self.roster = roster
        self.now = opened
        self.journal: list[e.Entry] = []
        self.incident = fold([self._entry(opening(), e.DAEMON)])
        self.happen(*events)

    def _entry(self, event: e.Event, by: str) -> e.Entry:
        entry = e.Entry(
            incident="0301-1409",
            seq=len(self.journal) + 1,
            at=self.now,
            by=by,
            event=event,
            digest="",
        )
        self.journal.append(entry)
        return entry

    def happen(self, *events: e.Event, by: str = e.DAEMON) -> tuple[e.Event, ...]:
        """Append events by that actor; returns them."""
        for event in events:
            entry = self._entry(event, by)
            incident = apply_event(self.incident, entry.at, event, by)
            self.incident = replace(incident, seq=entry.seq)
        return events

    def does(self, person: str, *events: e.Event) -> tuple[e.Event, ...]:
        """Append what a person does."""
        return self.happen(*events, by=f"person:{person}")

    def passes(self, minutes: float) -> None:
        """Time goes by."""
        self.now += timedelta(minutes=minutes)

    def restarted(self) -> Incident:
        """The incident as a daemon finds it that has just started."""
        return fold(self.journal)

    # ── people ───────────────────────────────────────────────────────────────────────────────

    def come(self, *people: str) -> None:
        """They acknowledge, one after the other."""
        for person in people:
            self.does(person, *commanding.acknowledge(self.incident, person, "cli"))

    def leaves(self, person: str) -> tuple[e.Event, ...]:
        return self.does(person, *commanding.unacknowledge(self.incident, person, "cli"))

    def takes(self, person: str, role: e.Role) -> tuple[e.Event, ...]:
        return self.does(person, *commanding.take(self.incident, role, person, self.now, PATIENCE))

    def assigns(self, by: str, role: e.Role, person: str) -> tuple[e.Event, ...]:
        return self.does(
            by, *commanding.assign(self.incident, role, person, by, self.now, PATIENCE)
        )

    def answers(self, person: str, request: str, *, accept: bool) -> tuple[e.Event, ...]:
        return self.does(
            person,
            *commanding.answer_request(
                self.incident, request, person, accept=accept, now=self.now, patience=PATIENCE
            ),
        )

    def says(self, person: str) -> None:
        """A sign of life."""
        self.does(person, *commanding.say(self.incident, "hm"))

    # ── the daemon ───────────────────────────────────────────────────────────────────────────

    def staffing(self) -> Decision:
        return role_requests_due(self.incident, self.roster, self.now)

    def staff(self) -> list[e.Event]:
        """Do whatever is due about the roles now, until nothing is; returns it."""
        record: list[e.Event] = []
        for _ in range(ROUNDS):
            due = self.staffing()
            if not due.record:
                return record
            record += self.happen(*due.record)
        raise AssertionError(f"it records without end: {record[-6:]}")

    def confirm(self, severity: str = "sev2") -> None:
        """The problem is confirmed, with that severity."""
        self.happen(confirmed(make_problem(at=self.now, severity=severity)))

    def diagnose(self) -> None:
        """The plan is at its end."""
        self.happen(e.DiagnosisOpened(reason="plan_exhausted", text="every alternative was tried"))

    # ── looking ──────────────────────────────────────────────────────────────────────────────

    @property
    def commander(self) -> str:
        return self.incident.commander

    @property
    def posts(self) -> dict[str, str]:
        """Who holds which role."""
        return {role: post.person for role, post in self.incident.people.posts.items()}

    def open(self, role: e.Role | None = None) -> list[str]:
        """The names of the requests that wait."""
        return [r.event.request for r in self.incident.people.open_requests(role)]

    def calls(self, purpose: Purpose) -> list[tuple[str, str]]:
        """(what it is about, person) of the pages for that purpose."""
        pages = [page.queued for page in self.incident.pages.values()]
        return [(page.about, page.person) for page in pages if page.purpose == purpose]


def of(kind: type[E], events: Sequence[object]) -> list[E]:
    """Those of one kind."""
    return [event for event in events if isinstance(event, kind)]


def one(kind: type[E], events: Sequence[object]) -> E:
    """The only one of its kind."""
    (found,) = of(kind, events)
    return found
