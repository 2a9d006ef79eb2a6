"""What the daemon does about the roles by itself: ask, remind, replace, call higher ground.

Everything here is worked out from the incident, the roster and the clock, and done once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.people.roster import Roster, Team
from daemon.core.response.escalation import ENGAGED, Due, new_pages, summons, team_due
from daemon.core.response.roles import lapse, leave, request, separation

ASKED_AT_MOST = 5
"""How many people are asked for one role before the Commander is told that nobody took it."""


@dataclass(frozen=True)
class Suggestion:
    """Somebody for a role, and why."""

    person: str
    why: str


@dataclass(frozen=True)
class Staffing:
    """Facts to append now, and when to look again."""

    record: tuple[e.Event, ...] = ()
    again_at: datetime | None = None


def staffing(incident: Incident, roster: Roster, now: datetime) -> Staffing:
    """What is due now. The first thing that is due is done; the rest is looked at again then."""
    if incident.closed is not None:
        return Staffing()
    again: list[datetime] = []
    for found in (
        _lapsed(incident, roster, now),
        _silence(incident, roster, now),
        _higher_ground(incident, roster, now),
        _vacancies(incident, roster, now),
        _unanswered(incident, roster, now),
    ):
        if found.record:
            return found
        if found.again_at is not None:
            again.append(found.again_at)
    return Staffing(again_at=min(again, default=None))


def suggestions(
    incident: Incident, role: e.Role, roster: Roster, veterans: Sequence[str], now: datetime
) -> list[Suggestion]:
    """Who could take the role, the likeliest first. Nobody who must not hold it or may only look,
    nor its holder.

    `veterans` have executed this rule's plan before.
    """
    found: dict[str, str] = {}
    for person, why in _candidates(incident, role, roster, veterans, now):
        if not roster.bars(person) and person != incident.crew.holder(role):
            found.setdefault(person, why)
    free = [p for p in found if not separation(incident, role, p)]
    if role == "communicator":
        # Somebody with no other role has the head for it.
        free = [p for p in free if not incident.crew.roles_of(p)]
    free.sort(key=lambda person: out_of_reach(incident, person))
    return [Suggestion(person, found[person]) for person in free]


def out_of_reach(incident: Incident, person: str) -> bool:
    """Whether the last page to this person has reached nobody, and they have not come by
    themselves."""
    pages = [page for page in incident.pages.values() if page.queued.person == person]
    return bool(pages) and pages[-1].given_up and person not in incident.responders


def deputy(incident: Incident, roster: Roster) -> str:
    """Who commands if the Commander falls silent: somebody who is there, the freest first."""
    others = [p for p in incident.responders if p != incident.commander and not roster.bars(p)]
    others.sort(key=lambda person: len(incident.crew.roles_of(person)))
    return others[0] if others else ""


def _candidates(
    incident: Incident, role: e.Role, roster: Roster, veterans: Sequence[str], now: datetime
) -> Iterator[tuple[str, str]]:
    team = roster.teams.get(incident.opened.team) or Team(policy=roster.default_policy)
    here = incident.responders
    owners, experts = team.owners, team.experts
    if role == "fast_recovery":
        yield from ((p, "has executed this plan before") for p in veterans if p in here)
        yield from ((p, "owns the application and is here") for p in owners if p in here)
        yield from ((p, "has executed this plan before") for p in veterans)
        yield from ((p, "owns the application") for p in owners)
    elif role == "diagnosis":
        yield from ((p, "knows the domain and is here") for p in experts if p in here)
        yield from ((p, "knows the domain") for p in experts)
        yield from ((p, "owns the application") for p in owners if p != incident.commander)
    elif role == "communicator":
        yield from ((p, "is here") for p in here if p != incident.commander)
        called = [p for tier in roster.tiers(incident.opened.team, now) for p in tier.people]
        yield from ((p, "is on call") for p in called if p not in owners and p not in here)
        yield from ((p, "looks after stability") for p in (team.stability_owner,) if p)
        yield from ((p, "is on call") for p in called if p != incident.commander)
        yield from ((p, "leads the team") for p in (team.lead,) if p)
    else:
        yield from ((p, "is a dedicated commander") for p in team.commanders)


def _lapsed(incident: Incident, roster: Roster, now: datetime) -> Staffing:
    open_ = incident.crew.open_requests()
    for asked in open_:
        if asked.event.taker not in roster.people:  # they left while the question was open
            lapsed = e.RoleAnswered(request=asked.event.request, answer="lapsed")
            return Staffing((lapsed,))
        if now >= asked.event.until or _moot(incident, asked):
            return Staffing(lapse(incident, asked))
    return Staffing(again_at=min((r.event.until for r in open_), default=None))


def _moot(incident: Incident, asked: Request) -> bool:
    """Whether what the daemon asked for has come about: nobody is woken for it any more."""
    role, holder = asked.event.role, incident.crew.holder(asked.event.role)
    if asked.event.by or not holder:
        return False
    return role != "commander" or holder == asked.event.taker


def _silence(incident: Incident, roster: Roster, now: datetime) -> Staffing:
    """A Commander without a sign of life is asked, then replaced by the deputy."""
    commander, crew = incident.commander, incident.crew
    if not commander or incident.recovered_at is not None:
        return Staffing()
    if crew.asked is None:
        quiet_at = crew.seen.get(commander, incident.opened_at) + roster.timing.silence
        if now < quiet_at:
            return Staffing(again_at=quiet_at)
        text = f"are you still on it? Nothing was heard of you. {new_pages(incident)}"
        return Staffing(_alive(incident, roster, commander, text, now))
    if now < crew.asked.until:
        return Staffing(again_at=crew.asked.until)
    heir = deputy(incident, roster)
    silent = f"{commander} did not answer"
    gone = leave(incident, commander, "silence", silent)
    if not heir or any(isinstance(event, e.CommanderAppointed) for event in gone):
        return Staffing(gone)
    appointed = e.CommanderAppointed(person=heir, reason=f"deputy: {silent}")
    text = f"you are Commander now, for {silent}. {new_pages(incident)}"
    told: tuple[e.Event, ...] = summons(incident, heir, f"deputy-{crew.campaign + 1}", text)
    if now >= crew.seen.get(heir, incident.opened_at) + roster.timing.silence:
        told = _alive(incident, roster, heir, f"{text} Are you on it?", now)
    return Staffing((*gone, appointed, *told))


def _alive(
    incident: Incident, roster: Roster, person: str, text: str, now: datetime
) -> tuple[e.Event, ...]:
    """Ask for a sign of life."""
    asked = e.CommanderAsked(person=person, until=now + roster.timing.answer)
    times = len([p for p in incident.pages.values() if p.queued.asks == "alive"]) + 1
    return (asked, *summons(incident, person, f"alive-{times}", text, asks="alive"))


def _higher_ground(incident: Incident, roster: Roster, now: datetime) -> Staffing:
    """Without a plan a dedicated commander is asked; a rising severity calls the next lead."""
    if incident.recovered_at is not None:
        return Staffing()
    if incident.severity:
        leads = roster.named(roster.ladder.get(incident.severity, ()), now)
        text = f"severity is {incident.severity} now: {new_pages(incident)}"
        calls = [
            page
            for lead in leads
            if lead not in incident.responders
            for page in summons(incident, lead, f"severity-{incident.severity}", text)
        ]
        if calls:
            return Staffing(tuple(calls))
    team = roster.teams.get(incident.opened.team)
    why = _needs_commander(incident)
    if team is None or not why or incident.commander in team.commanders:
        return Staffing()
    asked = _asked_for(incident, "commander", since=incident.relapsed_at)
    if incident.crew.open_requests("commander"):
        return Staffing()
    for person in team.commanders:
        if person not in asked:
            text = f"{why}, so you are asked to command"
            return Staffing(
                request(
                    incident,
                    "commander",
                    "ask",
                    person,
                    person,
                    "",
                    text,
                    now,
                    roster.timing.answer,
                )
            )
    return Staffing()


def _needs_commander(incident: Incident) -> str:
    if incident.crew.no_plan is not None:
        return f"the Commander has no plan ({incident.crew.no_plan.reason or 'no reason given'})"
    if incident.diagnosis is not None:
        return f"fast recovery is at its end ({incident.diagnosis.text})"
    return ""


def _unanswered(incident: Incident, roster: Roster, now: datetime) -> Staffing:
    """An expert team whose bounded policy has ended: the Commander must know that nobody comes."""
    for team, engagement in incident.crew.engaged.items():
        called = any(p.queued.reason == f"{ENGAGED}{team}" for p in incident.pages.values())
        if engagement.answered_by or not called or incident.recovered_at is not None:
            continue
        if team_due(incident, roster, team, now) == Due():
            text = f"nobody of the team {team} answered, and its policy has come to its end"
            told = summons(incident, incident.commander, f"unanswered-{team}", text)
            if told:
                return Staffing(told)
    return Staffing()


def _vacancies(incident: Incident, roster: Roster, now: datetime) -> Staffing:
    """A role that is needed and that nobody took is asked for, one person after the other."""
    again: list[datetime] = []
    for role, since in wanted_since(incident, roster).items():
        if incident.crew.holder(role) or incident.crew.open_requests(role):
            continue
        begin = since + roster.timing.vacancy
        if now < begin:
            again.append(begin)
            continue
        asked = _asked_for(incident, role, since=since)
        # No veterans are needed: nobody is asked for fast recovery, which the daemon holds.
        left = [s for s in suggestions(incident, role, roster, (), now) if s.person not in asked]
        if not left or len(asked) >= ASKED_AT_MOST:
            text = f"nobody took the role of {ROLE_NAMES[role]}; name one. {new_pages(incident)}"
            told = summons(incident, incident.commander, f"vacant-{role}", text)
            if told:
                return Staffing(told)
            continue
        person, why = left[0].person, left[0].why
        text = f"a {ROLE_NAMES[role]} is needed, please take it ({person} {why})"
        patience = roster.timing.answer
        return Staffing(request(incident, role, "ask", person, person, "", text, now, patience))
    return Staffing(again_at=min(again, default=None))


def wanted_since(incident: Incident, roster: Roster) -> dict[e.Role, datetime]:
    """The roles that this incident needs a person for, and since when.

    A Communicator from `timing.staffed_from` on, once somebody commands; a Problem Diagnosis
    Owner once the diagnosis is open. Fast recovery is held by the daemon until a person takes it.
    """
    needed: dict[e.Role, datetime] = {}
    if incident.recovered_at is not None or incident.closed is not None:
        return needed
    command = incident.crew.posts.get("commander")
    severe = bool(incident.severity) and incident.severity <= roster.timing.staffed_from
    if command is not None and severe:
        rose = incident.severity_rose_at or command.since
        first = incident.acknowledged_at or command.since
        needed["communicator"] = max(first, rose)
    if incident.diagnosis is not None and incident.diagnosed_at is not None:
        needed["diagnosis"] = incident.diagnosed_at
    return needed


def _asked_for(incident: Incident, role: e.Role, *, since: datetime | None) -> set[str]:
    """Who was asked to take the role already, and did not."""
    return {
        r.event.asked
        for r in incident.crew.requests.values()
        if r.event.role == role
        and r.event.how != "takeover"
        and (since is None or r.asked_at >= since)
    }
