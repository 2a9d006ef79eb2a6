"""What the daemon does about the roles by itself: ask, remind, replace, escalate command.

Everything here is worked out from the incident, the roster and the clock, and done once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.core.decision import Decision, earliest, first_recording, recording
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident
from daemon.core.people.audiences import SeverityName
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.people.roster import Roster, Team
from daemon.core.response.escalation import team_due
from daemon.core.response.paging import direct_page, headline
from daemon.core.response.roles import lapse, leave, request, separation

ASKED_AT_MOST = 5
"""How many people are asked for one role before the Commander is told that nobody took it."""


@dataclass(frozen=True)
class Suggestion:
    """Somebody for a role, and why."""

    person: str
    why: str


def role_requests_due(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """What is due about the roles. The first thing that is due is done; the rest is looked at
    again then."""
    if incident.closed is not None:
        return Decision()
    duties = (
        _lapsed_requests,
        _silent_commander,
        _severity_calls,
        _offers_by_rank,
        _dedicated_commander,
        _vacancies,
        _unanswered_teams,
    )
    return first_recording(duty(incident, roster, now) for duty in duties)


def suggestions(
    incident: Incident, role: e.Role, roster: Roster, veterans: Sequence[str], now: datetime
) -> list[Suggestion]:
    """Who could take the role, the likeliest first. Nobody who must not hold it or may only look,
    nor its holder.

    `veterans` have executed this rule's plan before.
    """
    found: dict[str, str] = {}
    for person, why in _candidates(incident, role, roster, veterans, now):
        if not roster.bars(person) and person != incident.people.holder(role):
            found.setdefault(person, why)
    free = [p for p in found if not separation(incident, role, p)]
    if role == "communicator":
        # Somebody with no other role has the head for it.
        free = [p for p in free if not incident.people.roles_of(p)]
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
    others.sort(key=lambda person: len(incident.people.roles_of(person)))
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


def _lapsed_requests(incident: Incident, roster: Roster, now: datetime) -> Decision:
    open_requests = incident.people.open_requests()
    for open_ in open_requests:
        if open_.event.taker not in roster.people:  # they left while the question was open
            return recording(e.RoleAnswered(request=open_.event.request, answer="lapsed"))
        if now >= open_.event.until or _moot(incident, open_):
            return Decision(record=lapse(incident, open_))
    return Decision(wake_at=earliest(*(open_.event.until for open_ in open_requests)))


def _moot(incident: Incident, open_: Request) -> bool:
    """Whether what the daemon asked for has come about, or nothing needs it any more: nobody is
    woken for it then."""
    role, holder = open_.event.role, incident.people.holder(open_.event.role)
    if open_.event.by:
        return False
    if incident.recovered_at is not None and open_.event.how != "takeover":
        return True
    if not holder:
        return False
    return role != "commander" or holder == open_.event.taker


def _silent_commander(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """A Commander without a sign of life is asked, then replaced by the deputy."""
    commander, people = incident.commander, incident.people
    if not commander or incident.recovered_at is not None:
        return Decision()
    if people.sign_of_life_request is None:
        quiet_at = people.seen.get(commander, incident.opened_at) + roster.timing.silence
        if now < quiet_at:
            return Decision(wake_at=quiet_at)
        text = f"are you still on it? Nothing was heard of you. {headline(incident)}"
        return Decision(record=_ask_for_sign_of_life(incident, roster, commander, text, now))
    if now < people.sign_of_life_request.until:
        return Decision(wake_at=people.sign_of_life_request.until)
    heir = deputy(incident, roster)
    silent = f"{commander} did not answer"
    left = leave(incident, commander, "silence", silent)
    if not heir or any(isinstance(event, e.CommanderAppointed) for event in left):
        return Decision(record=left)
    appointed = e.CommanderAppointed(person=heir, reason=f"deputy: {silent}")
    text = f"you are Commander now, for {silent}. {headline(incident)}"
    page: tuple[e.Event, ...]
    if now >= people.seen.get(heir, incident.opened_at) + roster.timing.silence:
        page = _ask_for_sign_of_life(incident, roster, heir, f"{text} Are you on it?", now)
    else:
        vacated = occasion_of(incident, "deputy") + 1
        page = direct_page(incident, heir, "deputy", text, occasion=vacated)
    return Decision(record=(*left, appointed, *page))


def _ask_for_sign_of_life(
    incident: Incident, roster: Roster, person: str, text: str, now: datetime
) -> tuple[e.Event, ...]:
    requested = e.CommanderAsked(person=person, until=now + roster.timing.answer)
    number = occasion_of(incident, "sign_of_life") + 1
    return (requested, *direct_page(incident, person, "sign_of_life", text, occasion=number))


def _severity_calls(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """A severity calls the leads of every rung up to its own: trouble that opens at sev1 passed
    no rung by, and whoever is named for sev2 hears of it, too. Each is called once for a rung,
    the gravest that names them."""
    severity, commander = incident.severity, incident.commander
    if incident.recovered_at is not None or not severity:
        return Decision()
    text = f"severity is {severity} now: {headline(incident)}"
    if commander:
        text += f" · {commander} commands; once you are here, command is offered to you"
    calls = [
        page
        for lead, rung in ladder_rungs(roster, severity, now).items()
        if lead not in incident.responders
        for page in direct_page(incident, lead, "severity", text, rung)
    ]
    return Decision(record=tuple(calls))


def ladder_rungs(
    roster: Roster, severity: SeverityName, now: datetime
) -> Mapping[str, SeverityName]:
    """Whom the ladder names for a severity and for those below it, each with their gravest rung."""
    rungs: dict[str, SeverityName] = {}
    for rung in sorted(rung for rung in roster.ladder if rung >= severity):
        for lead in roster.named(roster.ladder[rung], now):
            rungs.setdefault(lead, rung)
    return rungs


def _offers_by_rank(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """A lead of the ladder who has come is offered command, once until a relapse: rank takes it
    from nobody. A yes asks the Commander to hand it over, so both have their say."""
    severity, commander = incident.severity, incident.commander
    if incident.recovered_at is not None or not severity or not commander:
        return Decision()
    if incident.people.open_requests("commander"):
        return Decision()
    since = incident.relapsed_at
    settled = {  # who was asked for it, or to give it up, has said what they want
        person
        for r in incident.people.requests.values()
        if r.event.role == "commander" and (since is None or r.asked_at >= since)
        for person in (r.event.asked, r.event.taker)
    }
    for lead in ladder_rungs(roster, severity, now):
        here = lead in incident.responders and lead != commander
        if not here or lead in settled or roster.bars(lead):
            continue
        why = f"severity is {severity}: command, which {commander} holds, is offered to you"
        patience = roster.timing.answer
        return Decision(
            record=request(incident, "commander", "offer", lead, lead, "", why, now, patience)
        )
    return Decision()


def _dedicated_commander(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """Without a plan a dedicated commander is asked to take command, one after the other."""
    team = roster.teams.get(incident.opened.team)
    why = _needs_commander(incident)
    if incident.recovered_at is not None or team is None or not why:
        return Decision()
    if incident.commander in team.commanders or incident.people.open_requests("commander"):
        return Decision()
    already_asked = _asked_for(incident, "commander", since=incident.relapsed_at)
    person = next((person for person in team.commanders if person not in already_asked), "")
    if not person:
        return Decision()
    text = f"{why}, so you are asked to command"
    patience = roster.timing.answer
    asking = request(incident, "commander", "ask", person, person, "", text, now, patience)
    return Decision(record=asking)


def _needs_commander(incident: Incident) -> str:
    if incident.people.no_plan is not None:
        return f"the Commander has no plan ({incident.people.no_plan.reason or 'no reason given'})"
    if incident.diagnosis is not None:
        return f"fast recovery is at its end ({incident.diagnosis.text})"
    return ""


def _unanswered_teams(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """An expert team whose bounded policy has ended: the Commander must know that nobody comes."""
    for team, engagement in incident.people.engaged.items():
        called = any(page.is_for("engagement", team) for page in incident.pages.values())
        if engagement.answered_by or not called or incident.recovered_at is not None:
            continue
        if team_due(incident, roster, team, now) == Decision():
            text = f"nobody of the team {team} answered, and its policy has come to its end"
            page = direct_page(incident, incident.commander, "unanswered", text, team)
            if page:
                return Decision(record=page)
    return Decision()


def _vacancies(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """A role that is needed and that nobody took is asked for, one person after the other."""
    due = Decision()
    for role, since in roles_needed_since(incident, roster).items():
        if incident.people.holder(role) or incident.people.open_requests(role):
            continue
        begin = since + roster.timing.vacancy
        if now < begin:
            due |= Decision(wake_at=begin)
            continue
        already_asked = _asked_for(incident, role, since=since)
        # No veterans are needed: nobody is asked for fast recovery, which the daemon holds.
        left = [
            s for s in suggestions(incident, role, roster, (), now) if s.person not in already_asked
        ]
        if not left or len(already_asked) >= ASKED_AT_MOST:
            text = f"nobody took the role of {ROLE_NAMES[role]}; name one. {headline(incident)}"
            page = direct_page(incident, incident.commander, "vacancy", text, role)
            if page:
                return Decision(record=page)
            continue
        person, why = left[0].person, left[0].why
        text = f"a {ROLE_NAMES[role]} is needed, please take it ({person} {why})"
        patience = roster.timing.answer
        asking = request(incident, role, "ask", person, person, "", text, now, patience)
        return Decision(record=asking)
    return due


def roles_needed_since(incident: Incident, roster: Roster) -> dict[e.Role, datetime]:
    """The roles that this incident needs a person for, and since when.

    A Communicator from `timing.staffed_from` on, once somebody commands; a Problem Diagnosis
    Owner once the diagnosis is open, or its dossier was ordered, and calls are not held. Fast
    recovery is held by the daemon until a person takes it.
    """
    needed: dict[e.Role, datetime] = {}
    if incident.recovered_at is not None or incident.closed is not None:
        return needed
    command = incident.people.posts.get("commander")
    severe = bool(incident.severity) and incident.severity <= roster.timing.staffed_from
    if command is not None and severe:
        rose = incident.severity_rose_at or command.since
        first = incident.acknowledged_at or command.since
        needed["communicator"] = max(first, rose)
    looked_into = incident.diagnosed_at if incident.diagnosis else incident.causes.ordered_at
    if looked_into is not None:
        needed["diagnosis"] = max(looked_into, incident.clock_from)
    return needed


def _asked_for(incident: Incident, role: e.Role, *, since: datetime | None) -> set[str]:
    """Who was asked to take the role already, and did not. What is offered by rank asks nobody."""
    return {
        r.event.asked
        for r in incident.people.requests.values()
        if r.event.role == role
        and (r.event.how == "ask" or (r.event.how == "offer" and r.event.by))
        and (since is None or r.asked_at >= since)
    }
