"""A storm: many incidents that opened together, told as one page to each person.

Each incident stays its own; only the calls are shared. The oldest open incident carries the
storm's pages in its journal. Who is called follows from the pages that were queued so far, the
answers to them, the policies of the teams whose incidents still wait for somebody, and the clock;
so a restart neither skips nor repeats a call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from daemon.core.decision import AcknowledgeStorm, Decision, earliest, recording
from daemon.core.incident import events as e
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.incident.state import Incident, PageState
from daemon.core.incident.storm_membership import StormAnswer
from daemon.core.measurement.problem import Severity
from daemon.core.people.roster import Called, Roster
from daemon.core.response.call_answers import enough_came, without_declined
from daemon.core.response.escalation import MOST_PAGE_HOLD
from daemon.core.response.open_pages import retries_due, still_relevant
from daemon.core.response.paging import STORM_PAGES
from daemon.core.response.storm_text import growth_text, storm_text
from daemon.core.values.backoff import Backoff

STORM_GATHER = Backoff(timedelta(seconds=15), timedelta(minutes=5))
"""So long after one page of a storm the same person gets the next, for what waits since."""
STORM_GROWTH = Backoff(timedelta(minutes=1), timedelta(minutes=5))
"""And so long where it has only grown: whoever is called knows that it is a storm."""
_GRAVE: frozenset[Severity] = frozenset({"sev1", "sev2"})
"""What is called for by itself, where the storm's page told less."""
STORM_LOOK_AGAIN = timedelta(seconds=30)
"""How often it is looked whether a storm has grown."""
_HELD: frozenset[Purpose] = frozenset(
    {
        "approval",
        "deputy",
        "diagnosis",
        "milestone",
        "refired",
        "role_request",
        "severity",
        "sign_of_life",
        "update",
        "vacancy",
    }
)
"""What a storm's page tells for all its incidents, instead of a page for each."""


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

    @property
    def lead(self) -> Incident:
        """The incident that carries the storm's pages."""
        return self.members[0]

    def as_of(self, incident: Incident) -> Storm:
        """The storm with this incident as it stands by now."""
        members = tuple(incident if m.id == incident.id else m for m in self.members)
        return replace(self, members=members)

    def is_held(self, incident: Incident) -> bool:
        """Whether the storm's page calls for that incident, which so is not called for itself."""
        return incident.storm is None or incident.storm.left_at is None

    @cached_property
    def held(self) -> tuple[Incident, ...]:
        """The incidents that its page calls for."""
        return tuple(member for member in self.members if self.is_held(member))

    @cached_property
    def waiting(self) -> tuple[Incident, ...]:
        """Those of them that still wait for somebody to respond."""
        return tuple(m for m in self.held if not m.commander and m.recovered_at is None)

    def wanting(self, roster: Roster) -> tuple[Incident, ...]:
        """Those of them to which more people must come, as many as the policies ask for."""
        return tuple(
            member
            for member in self.held
            if member.recovered_at is None
            and not enough_came(member, roster.policy_for(member.opened.team).acknowledgements)
        )

    @cached_property
    def pages(self) -> tuple[PageState, ...]:
        """The storm's pages so far, the oldest first, whichever incident carried them. What waited
        in one that is closed is not delivered any more, so it was no call."""
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
        told_at = max((page.at for page in self.pages), default=None)
        known = [
            member.severity
            for member in self.members
            if member.severity
            and (
                (member.opened.team == team and not self.is_held(member))
                or (told_at is not None and (member.severity_rose_at or told_at) <= told_at)
            )
        ]
        return min(known, default="")

    def waits_since(self, incident: Incident) -> datetime:
        """Since when that incident of it waits for somebody."""
        joined = self.began if incident.storm is None else incident.storm.joined_at
        return max([joined, *_begins_anew(incident)])

    def opened_by(self, moment: datetime) -> int:
        """How many of its incidents there were at that moment; what maintenance held is there from
        its end on."""
        since = ((m.organization.released_at or m.opened_at) for m in self.members)
        return sum(at <= moment for at in since)


def _begins_anew(incident: Incident) -> list[datetime]:
    """When people began to be called anew for it: nobody commands any more, it relapsed, or it is
    another team's."""
    people = incident.people
    moments = (people.vacated_at, people.reassigned_at, incident.relapsed_at)
    return [at for at in moments if at is not None]


def storm_due(
    incident: Incident,
    storm: Storm,
    roster: Roster,
    now: datetime,
    hold: timedelta = timedelta(0),
) -> Decision:
    """What an incident does about its storm: it joins, leaves if it is graver than was told, and
    if it is the one that carries the storm's pages, calls people. The first page is held for as
    long as any first page (`hold`), so that it tells the numbers and more of the list."""
    if incident.storm is None or incident.storm.storm != storm.name:
        return recording(e.StormJoined(storm=storm.name, began=storm.began, alone=True))
    graver = _graver(incident, storm)
    if graver:
        return recording(e.StormLeft(text=graver))
    if storm.lead.id != incident.id:
        return Decision()
    if not storm.pages and now < storm.began + hold:
        return Decision(wake_at=storm.began + hold)
    return _lead_due(storm.as_of(incident), roster, now)


def _graver(incident: Incident, storm: Storm) -> str:
    """Why it must be called for by itself; empty if the storm's page tells of it.

    Of a team's incidents that are equally grave one is: from then on people know how grave it is.
    What is no graver than most of a storm is told by its list alone.
    """
    team, severity = incident.opened.team, incident.severity
    told = storm.told_severity(team)
    if severity not in _GRAVE or not storm.pages or (told and told <= severity):
        return ""
    untold = [
        (member.severity, member.opened_at, member.id)
        for member in (*storm.held, incident)
        if member.opened.team == team
        and member.severity
        and not member.commander
        and member.recovered_at is None
    ]
    if not untold or min(untold)[2] != incident.id:
        return ""
    return f"it is {severity}; the storm's page told {told or 'no severity'}"


def unanswered(storm: Storm, roster: Roster, now: datetime) -> dict[str, list[str]]:
    """Person → the incidents that they have acknowledged by answering the storm's page, and whose
    journals do not say so yet."""
    left: dict[str, list[str]] = {}
    wanting = storm.wanting(roster)
    for answer in storm.answers:
        waiting = [
            member
            for member in wanting
            if storm.waits_since(member) <= answer.at and answer.person not in member.responders
        ]
        own = [m for m in waiting if answer.person in _people_of(m.opened.team, roster, now)]
        # Somebody of no team in it who answers takes it all: nobody else need be called.
        known = any(answer.person in _people_of(t, roster, now) for t in _teams(storm.held))
        for member in own if known else waiting:
            left.setdefault(answer.person, []).append(member.id)
    return left


def _people_of(team: str, roster: Roster, now: datetime) -> set[str]:
    known = roster.teams.get(team)
    owners = (*known.owners, *known.commanders) if known is not None else ()
    return {person for tier in roster.tiers(team, now) for person in tier.people} | set(owners)


def _teams(members: Sequence[Incident]) -> list[str]:
    return list(dict.fromkeys(member.opened.team for member in members))


# ── who is called ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Calls:
    """Whom a team's policy has due now, with their tier and round; else when to look again."""

    people: Mapping[str, tuple[int, int]]
    wake_at: datetime | None = None


def _lead_due(storm: Storm, roster: Roster, now: datetime) -> Decision:
    answered = unanswered(storm, roster, now)
    calls = _calls_due(storm, answered, roster, now)
    text = storm_text(storm.members, storm.wanting(roster), storm.began)
    pages = [_page(storm, "storm", person, text, *place) for person, place in calls.people.items()]
    grown, next_at = _growth(storm, calls.people, roster, now)
    effects = tuple(AcknowledgeStorm(person) for person in answered)
    ends = storm.joins_until
    wake_at = earliest(calls.wake_at, next_at, ends if ends > now else None, now + STORM_LOOK_AGAIN)
    return Decision((*pages, *grown), effects, wake_at)


def storm_unattended(storm: Storm, roster: Roster, now: datetime) -> str:
    """Why it is a defect of ours that incidents of this storm wait; empty if all is well."""
    answered = unanswered(storm, roster, now)
    if not storm.pages and now < storm.began + MOST_PAGE_HOLD:
        return ""
    if any(page.pending for page in storm.pages) or answered or not storm.waiting:
        return ""
    calls = _calls_due(storm, answered, roster, now)
    if calls.people:
        return "calls for a storm are due and are not being made"
    if calls.wake_at is None and not retries_due(storm.lead, now):
        return "nobody took a storm, and the escalation policies have come to their end"
    return ""


def _calls_due(
    storm: Storm, answered: Mapping[str, Sequence[str]], roster: Roster, now: datetime
) -> _Calls:
    """Whom the policies of all teams have due whose incidents wait, and who had put their call off
    until now; each person once."""
    taken = {member for members in answered.values() for member in members}
    left = [member for member in storm.wanting(roster) if member.id not in taken]
    due: dict[str, tuple[int, int]] = {}
    wake_at: datetime | None = None
    for team in _teams(left):
        calls = _team_calls(storm, roster, team, now)
        due = {**calls.people, **due}
        wake_at = earliest(wake_at, calls.wake_at)
    for person, until in storm.put_off.items() if left else ():
        told = [page.at for page in storm.pages if page.queued.person == person]
        here = all(person in member.responders for member in left)
        if here or person not in roster.people or max(told) >= until:
            continue
        if now >= until:
            due.setdefault(person, (0, 0))
        else:
            wake_at = earliest(wake_at, until)
    return _Calls(due, wake_at)


def _team_calls(storm: Storm, roster: Roster, team: str, now: datetime) -> _Calls:
    """Tier by tier and round by round, as its policy would call for one incident. A call to
    somebody counts for each team of theirs: nobody gets two at a moment. Who has declined is passed
    over, unless all have; who is there already needs no call."""
    members = [member for member in storm.wanting(roster) if member.opened.team == team]
    people = _people_of(team, roster, now)
    since = _calling_since(storm, members, people)
    declined = {person: at for person, at in storm.declined.items() if at >= since}
    there = [p for p in people if all(m.commander and p in m.responders for m in members)]
    repeat = roster.policy_for(team).repeat
    tiers = without_declined(roster.tiers(team, now), declined, there)
    calls: dict[str, list[PageState]] = {}
    for page in storm.pages:
        if page.queued.purpose == "storm" and not page.queued.attempt and page.at >= since:
            calls.setdefault(page.queued.person, []).append(page)
    if not any(called.people for called in tiers):
        return _Calls({})
    due_at, round_, heard = now, 0, 0
    while True:
        made: list[PageState] = []
        for tier, called in enumerate(tiers):
            missing = [p for p in called.people if len(calls.get(p, ())) <= round_]
            if missing:
                if round_ == 0:
                    due_at = max(due_at, *(_free_at(storm, p, now) for p in missing))
                if now < due_at:
                    return _Calls({}, due_at)
                return _Calls(dict.fromkeys(missing, (round_, tier)), now + called.wait)
            latest = [calls[p][round_] for p in called.people]
            made += latest
            due_at = _next_at(latest, declined, called, due_at)
        # The wait between rounds is kept even if nobody can be reached: no busy loop.
        due_at = max(due_at, max(p.at for p in made) + min(t.wait for t in tiers if t.people))
        heard += any(
            page.delivered_at is not None and not _is_over(page, declined) for page in made
        )
        if repeat is not None and heard > repeat:
            return _Calls({}, due_at if now < due_at else None)
        round_ += 1


def _is_over(page: PageState, declined: Mapping[str, datetime]) -> bool:
    """Whether nobody comes of this page: it reached nobody, or its person has declined since."""
    answered_at = declined.get(page.queued.person)
    return page.given_up or (answered_at is not None and answered_at >= page.at)


def _next_at(
    latest: Sequence[PageState],
    declined: Mapping[str, datetime],
    called: Called,
    due_at: datetime,
) -> datetime:
    """When the tier after this one is called: at once if nobody of it can come."""
    if not latest:
        return due_at
    last = max(page.at for page in latest)
    return last if all(_is_over(page, declined) for page in latest) else last + called.wait


def _calling_since(storm: Storm, members: Sequence[Incident], people: set[str]) -> datetime:
    """Since when the calling for a team's incidents goes on: it begins anew for what comes after an
    answer, when command is vacated, after a relapse, and for what another team had before."""
    anew = [at for member in members for at in _begins_anew(member)]
    answered = [answer.at for answer in storm.answers if answer.person in people]
    return max([storm.began, *anew, *answered])


def _free_at(storm: Storm, person: str, now: datetime, pace: Backoff = STORM_GATHER) -> datetime:
    """When a person who has had a page of this storm may get one that begins anew."""
    told = [page.at for page in storm.pages if page.queued.person == person]
    return max(told) + pace.pause(len(told)) if told else now


# ── keeping it current ───────────────────────────────────────────────────────────────────────


def _growth(
    storm: Storm, called: Container[str], roster: Roster, now: datetime
) -> tuple[list[e.PageQueued], datetime | None]:
    """A page to those for whom there is twice as much of it as they were told of: more incidents,
    or more questions that are not put one by one."""
    last: dict[str, PageState] = {}
    for page in storm.pages:
        if page.delivered_at is not None:
            last[page.queued.person] = page
    asks = _held_asks(storm)
    pages, next_at = [], None
    for person in dict.fromkeys((*last, *asks)):
        mine, told = asks.get(person, ()), last.get(person)
        asked_then = 0 if told is None else sum(page.at <= told.at for page in mine)
        grown = told is not None and len(storm.members) >= 2 * max(1, storm.opened_by(told.at))
        more = len(mine) > asked_then and len(mine) >= 2 * asked_then
        if person in called or not (grown or more):
            continue
        free_at = _free_at(storm, person, now, STORM_GATHER if more else STORM_GROWTH)
        if now < free_at:
            next_at = earliest(next_at, free_at)
            continue
        kinds = Counter(page.queued.purpose for page in mine)
        text = growth_text(storm.members, storm.wanting(roster), storm.began, kinds)
        pages.append(_page(storm, "storm_growth", person, text))
    return pages, next_at


def _held_asks(storm: Storm) -> dict[str, list[PageState]]:
    """Person → the pages about its incidents that the storm's page stands for."""
    found: dict[str, list[PageState]] = {}
    for member in storm.held:
        for page in member.pages.values():
            if is_told_by_storm(member, page, storm) and still_relevant(member, page):
                found.setdefault(page.queued.person, []).append(page)
    return found


def is_told_by_storm(incident: Incident, page: PageState, storm: Storm | None) -> bool:
    """Whether a page that waits is not delivered, for the storm's page tells that something waits.
    What a person asks of another is never held."""
    if storm is None or not storm.is_held(incident):
        return False
    queued = page.queued
    request = incident.people.requests.get(queued.about)
    by_person = queued.purpose == "role_request" and request is not None and request.event.by
    return page.pending and queued.purpose in _HELD and not by_person


def _page(
    storm: Storm, purpose: Purpose, person: str, text: str, round_: int = 0, tier: int = 0
) -> e.PageQueued:
    before = {
        page.occasion
        for page in storm.pages
        if page.queued.purpose == purpose and page.queued.person == person
    }
    number = max(before, default=-1) + 1
    return e.PageQueued(
        page=page_id(purpose, storm.name, number, person),
        person=person,
        purpose=purpose,
        about=storm.name,
        occasion=number,
        text=text,
        round=round_,
        tier=tier,
    )


def _storm_pages(incident: Incident, name: str) -> Iterator[PageState]:
    for page in incident.pages.values():
        if page.queued.purpose in STORM_PAGES and page.queued.about == name:
            yield page
