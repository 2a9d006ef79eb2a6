"""A storm: many incidents that opened together, told as one page to each person.

Each incident stays its own; only the calls are shared. The oldest that they are for carries the
storm's pages in its journal. Who is called (`storm_calls`), for what has grown (`storm_growth`)
and what each incident does about it (`storm_decision`) follows from the pages that were queued so
far, the answers to them, the policies of the teams whose incidents still wait for somebody, and
the clock; so a restart neither skips nor repeats a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from daemon.core.incident.state import Incident, PageState
from daemon.core.incident.storm_membership import StormAnswer
from daemon.core.measurement.problem import Severity
from daemon.core.people.roster import Roster
from daemon.core.response.call_answers import enough_came
from daemon.core.response.paging import STORM_PAGES
from daemon.core.values.backoff import Backoff

STORM_GATHER = Backoff(timedelta(seconds=15), timedelta(minutes=5))
"""So long after one page of a storm the same person gets the next, for what waits since."""


@dataclass
class _Reckoned:
    """What was worked out of a storm's pages and severities, while none of them changes."""

    pages: tuple[PageState, ...] | None = None
    severities: dict[str, Severity] = field(default_factory=dict)


@dataclass(frozen=True)
class Storm:
    """The incidents of a storm that are open, oldest first, as they stand; `closed`: those that
    are not, or are being merged into another, but have carried its pages.

    `joins_until`: what opens later is none of it.
    """

    name: str
    began: datetime
    joins_until: datetime
    members: tuple[Incident, ...]
    closed: tuple[Incident, ...] = ()
    _reckoned: _Reckoned = field(default_factory=_Reckoned, compare=False, repr=False)
    _places: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def lead(self) -> Incident:
        """The incident that carries the storm's pages: the oldest that they call for. One that is
        called for by itself by now looks after its own alone."""
        return next(filter(self.is_held, self.members), self.members[0])

    def as_of(self, incident: Incident) -> Storm:
        """The storm with this incident as it stands by now."""
        place = self._place(incident)
        if place is None or self.members[place] is incident:
            return self
        members = (*self.members[:place], incident, *self.members[place + 1 :])
        same = self._reckons_alike(self.members[place], incident)
        return replace(self, members=members, _reckoned=self._reckoned if same else _Reckoned())

    def _place(self, incident: Incident) -> int | None:
        """Which of the members it is; looked up, for each of hundreds asks at each entry."""
        if not self._places:
            self._places.update((member.id, n) for n, member in enumerate(self.members))
        return self._places.get(incident.id)

    def joined_by(self, incident: Incident) -> Storm:
        """The storm with one more, which is the newest of it: nothing is reckoned anew for each of
        hundreds that people know nothing of yet."""
        known = incident.severity or incident.pages
        return replace(
            self,
            members=(*self.members, incident),
            _reckoned=_Reckoned() if known else self._reckoned,
            _places={},
        )

    def is_among_first(self, incident: Incident, most: int) -> bool:
        """Whether it is one of so many of its oldest open incidents, or none of it any more."""
        place = self._place(incident)
        return place is None or place < most

    def _reckons_alike(self, before: Incident, after: Incident) -> bool:
        """Whether the storm's pages and what people were told are the same with either: most of
        what happens to its incidents is a measurement, or a page of their own, and each of hundreds
        would have all of them reckoned anew."""
        same = before.storm is after.storm and before.opened.team == after.opened.team
        carries = before.pages is not after.pages and any(_storm_pages(after, self.name))
        if not same or carries:
            return False
        return self._told_of(before) == self._told_of(after)

    def is_held(self, incident: Incident) -> bool:
        """Whether the storm's page calls for that incident, which so is not called for itself."""
        return incident.storm is None or incident.storm.left_at is None

    @cached_property
    def held(self) -> tuple[Incident, ...]:
        """The incidents that its page calls for."""
        return tuple(member for member in self.members if self.is_held(member))

    @cached_property
    def commanders(self) -> frozenset[str]:
        """Who commands any of these."""
        return frozenset(member.commander for member in self.held if member.commander)

    @property
    def uncommanded(self) -> tuple[Incident, ...]:
        """All that nobody responds to so far, those that are called for by themselves, too."""
        return tuple(m for m in self.members if not m.commander and m.recovered_at is None)

    @cached_property
    def waiting(self) -> tuple[Incident, ...]:
        """Those of them that still wait for somebody to respond."""
        return tuple(member for member in self.members if self._waits(member))

    @property
    def foremost(self) -> Incident | None:
        """The oldest that waits, which is asked for where all are looked at one by one."""
        return next((member for member in self.members if self._waits(member)), None)

    def _waits(self, member: Incident) -> bool:
        return self.is_held(member) and not member.commander and member.recovered_at is None

    @property
    def is_over(self) -> bool:
        """Whether its page calls for nothing any more: service is restored wherever it did."""
        return all(member.recovered_at is not None for member in self.held)

    def newest_call(self, person: str) -> PageState | None:
        """The last of its pages that reached that person."""
        reached = (p for p in reversed(self.pages) if p.delivered_at is not None)
        return next((page for page in reached if page.queued.person == person), None)

    def wanting(self, roster: Roster) -> tuple[Incident, ...]:
        """Those of them to which more people must come, as many as the policies ask for."""
        return tuple(member for member in self.held if _wants(member, roster))

    def all_wanting(self, roster: Roster) -> tuple[Incident, ...]:
        """The same of all on its list, also of those that are called for by themselves."""
        return tuple(member for member in self.members if _wants(member, roster))

    def short_of_people(self, roster: Roster) -> tuple[Incident, ...]:
        """Of all that somebody commands, those to which more people must come."""
        return tuple(member for member in self.all_wanting(roster) if member.commander)

    def wants(self, roster: Roster) -> bool:
        """Whether there is any such incident."""
        return any(self.is_held(member) and _wants(member, roster) for member in self.members)

    @property
    def pages(self) -> tuple[PageState, ...]:
        """The storm's pages so far, the oldest first, whichever incident carried them. What waited
        in one that is closed is not delivered any more, so it was no call."""
        if self._reckoned.pages is None:
            self._reckoned.pages = self._pages()
        return self._reckoned.pages

    def _pages(self) -> tuple[PageState, ...]:
        ended = (p for i in self.closed for p in _storm_pages(i, self.name) if not p.pending)
        going_on = (p for i in self.members for p in _storm_pages(i, self.name))
        return tuple(sorted((*ended, *going_on), key=lambda page: page.at))

    @cached_property
    def answers(self) -> tuple[StormAnswer, ...]:
        """Who has answered them, the oldest first."""
        carried = (i.storm for i in (*self.closed, *self.members) if i.storm is not None)
        return tuple(sorted((a for s in carried for a in s.answers), key=lambda answer: answer.at))

    def called_by_it(self, incident: Incident) -> frozenset[str]:
        """Who was called by a page of the storm that this incident carried, and is called again by
        the storm's while that goes on."""
        if not self.is_held(incident):
            return frozenset()
        return frozenset(page.queued.person for page in _storm_pages(incident, self.name))

    @cached_property
    def declined(self) -> Mapping[str, datetime]:
        """When those who cannot come for the storm have said so last, after a page of it."""
        return {
            person: answer.at
            for carrier in (*self.closed, *self.members)
            for person, answer in carrier.call_answers.declined.items()
            if any(
                page.queued.person == person and page.at <= answer.at
                for page in _storm_pages(carrier, self.name)
            )
        }

    @cached_property
    def put_off(self) -> Mapping[str, datetime]:
        """Until when those who asked for another call have put off the storm's."""
        return {
            person: snoozed.until
            for carrier in (*self.closed, *self.members)
            for person, snoozed in carrier.call_answers.snoozed.items()
            if any(page.queued.person == person for page in _storm_pages(carrier, self.name))
        }

    def told_severity(self, team: str) -> Severity:
        """The gravest severity that the people of that team know of, by the storm's pages or
        because an incident of theirs was called for by itself; empty if none was known then."""
        known = self._reckoned.severities.get(team)
        if known is None:
            known = self._reckoned.severities[team] = self._told_severity(team)
        return known

    def _told_severity(self, team: str) -> Severity:
        told = (self._told_of(member) for member in self.members)
        known = (severity for severity, only in told if severity and only in (None, team))
        return min(known, default="")

    def _told_of(self, member: Incident) -> tuple[Severity, str | None]:
        """The severity of a member that people know of, and the one team whose do, if not all."""
        told_at = self.pages[-1].at if self.pages else None
        if told_at is not None and (member.severity_rose_at or told_at) <= told_at:
            return member.severity, None
        return ("", None) if self.is_held(member) else (member.severity, member.opened.team)

    def waits_since(self, incident: Incident) -> datetime:
        """Since when that incident of it waits for somebody."""
        joined = self.began if incident.storm is None else incident.storm.joined_at
        return max([joined, *begins_anew(incident)])

    def opened_by(self, moment: datetime) -> int:
        """How many of its incidents there were at that moment; what maintenance held is there from
        its end on."""
        return sum(m.clock_from <= moment for m in self.members)

    def free_at(self, person: str, now: datetime, pace: Backoff = STORM_GATHER) -> datetime:
        """When a person who has had a page of it may get one that begins anew."""
        told = [page.at for page in self.pages if page.queued.person == person]
        return max(told) + pace.pause(len(told)) if told else now


def begins_anew(incident: Incident) -> list[datetime]:
    """When people began to be called anew for it: nobody commands any more, it relapsed, or it is
    another team's."""
    people = incident.people
    moments = (people.vacated_at, people.reassigned_at, incident.relapsed_at)
    return [at for at in moments if at is not None]


def _wants(member: Incident, roster: Roster) -> bool:
    return member.recovered_at is None and not enough_came(
        member, roster.policy_for(member.opened.team).acknowledgements
    )


def _storm_pages(incident: Incident, name: str) -> Iterator[PageState]:
    for page in incident.pages.values():
        if page.queued.purpose in STORM_PAGES and page.queued.about == name:
            yield page
