"""Whom a storm's page calls, and whose answer to it is an acknowledgement of which incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.core.decision import earliest
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Called, Roster
from daemon.core.response.call_answers import without_declined
from daemon.core.response.storm import Storm, begins_anew


@dataclass(frozen=True)
class StormCalls:
    """Whom a team's policy has due now, with their tier and round; else when to look again."""

    people: Mapping[str, tuple[int, int]]
    wake_at: datetime | None = None


def unanswered(storm: Storm, roster: Roster, now: datetime) -> dict[str, list[str]]:
    """Person → the incidents that they have acknowledged by answering the storm's page, and whose
    journals do not say so yet: all that were on its list, those that are called for by themselves,
    too."""
    left: dict[str, list[str]] = {}
    wanting = storm.all_wanting(roster)
    for answer in storm.answers:
        waiting = [
            member
            for member in wanting
            if storm.waits_since(member) <= answer.at and answer.person not in member.responders
        ]
        own = [m for m in waiting if answer.person in _people_of(m.opened.team, roster, now)]
        # Somebody of no team in it who answers takes it all: nobody else need be called.
        known = any(answer.person in _people_of(t, roster, now) for t in _teams(storm.members))
        for member in own if known else waiting:
            left.setdefault(answer.person, []).append(member.id)
    return left


def storm_calls_due(
    storm: Storm, answered: Mapping[str, Sequence[str]], roster: Roster, now: datetime
) -> StormCalls:
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
    return StormCalls(due, wake_at)


def _team_calls(storm: Storm, roster: Roster, team: str, now: datetime) -> StormCalls:
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
        return StormCalls({})
    due_at, round_, heard = now, 0, 0
    while True:
        made: list[PageState] = []
        for tier, called in enumerate(tiers):
            missing = [p for p in called.people if len(calls.get(p, ())) <= round_]
            if missing:
                if round_ == 0:
                    due_at = max(due_at, *(storm.free_at(p, now) for p in missing))
                if now < due_at:
                    return StormCalls({}, due_at)
                return StormCalls(dict.fromkeys(missing, (round_, tier)), now + called.wait)
            latest = [calls[p][round_] for p in called.people]
            made += latest
            due_at = _next_at(latest, declined, called, due_at)
        # The wait between rounds is kept even if nobody can be reached: no busy loop.
        due_at = max(due_at, max(p.at for p in made) + min(t.wait for t in tiers if t.people))
        heard += any(
            page.delivered_at is not None and not _is_over(page, declined) for page in made
        )
        if repeat is not None and heard > repeat:
            return StormCalls({}, due_at if now < due_at else None)
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
    anew = [at for member in members for at in begins_anew(member)]
    answered = [answer.at for answer in storm.answers if answer.person in people]
    return max([storm.began, *anew, *answered])


def _people_of(team: str, roster: Roster, now: datetime) -> set[str]:
    known = roster.teams.get(team)
    owners = (*known.owners, *known.commanders) if known is not None else ()
    return {person for tier in roster.tiers(team, now) for person in tier.people} | set(owners)


def _teams(members: Sequence[Incident]) -> list[str]:
    return list(dict.fromkeys(member.opened.team for member in members))
