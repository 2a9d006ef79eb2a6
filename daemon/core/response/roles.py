"""The four roles: appoint, hand over, take over, vacate. What people may do about them.

The first person to respond commands. Rank changes nothing by itself: command moves by a request
that both sides have agreed to, or that one side has left unanswered. What the daemon does about
roles by itself is in `daemon.core.response.role_requests`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.paging import direct_page
from daemon.core.values.units import clock_time

ROLE_NAMES: dict[e.Role, str] = {
    "commander": "Commander",
    "communicator": "Communicator",
    "fast_recovery": "Fast-Recovery Owner",
    "diagnosis": "Problem Diagnosis Owner",
}
APART: frozenset[e.Role] = frozenset({"fast_recovery", "diagnosis"})
"""The roles that leave no head for communicating."""


class NotPossible(ValueError):
    """The deed does not fit the incident as it stands; the text says why."""


def arrive(incident: Incident, person: str, via: str) -> tuple[e.Event, ...]:
    """What an acknowledgement by this person adds: nothing, if it changes nothing."""
    events: list[e.Event] = []
    if person not in incident.responders:
        events.append(e.ResponderArrived(person=person, via=via))
    if not incident.commander:
        first = not incident.responders
        reason = "the first responder" if first else "answered while nobody commanded"
        events.append(e.CommanderAppointed(person=person, reason=reason))
    for team, engagement in incident.crew.engaged.items():
        pages = [page for page in incident.pages.values() if page.is_for("engagement", team)]
        called = {page.queued.person for page in pages}
        if not engagement.answered_by and person in called:
            events.append(e.TeamAnswered(team=team, person=person))
    return tuple(events)


def leave(incident: Incident, person: str, via: str, reason: str = "") -> tuple[e.Event, ...]:
    """The person is off it: their roles go to whoever had asked to take them over, or are vacant;
    without a Commander people are called."""
    if person not in incident.responders:
        return ()
    left = reason or f"{person} left"
    roles = incident.crew.roles_of(person)
    ceded = _ceded(incident, roles, person)
    events: list[e.Event] = [
        e.RoleLeft(role=role, person=person, reason=left) for role in roles if role != "commander"
    ]
    events += [
        e.RoleAnswered(request=asked.event.request, answer="lapsed")
        for asked in incident.crew.open_requests()
        if person in (asked.event.asked, asked.event.taker) and asked not in ceded
    ]
    events.append(e.ResponderLeft(person=person, via=via))
    if incident.commander == person:
        events.append(e.CommandVacated(person=person, reason=left))
    return (*events, *_pass_on(incident, ceded, left))


def fill(
    incident: Incident, roster: Roster, role: e.Role, person: str, by: str, now: datetime
) -> tuple[e.Event, ...]:
    """Take a role oneself, or ask somebody of the roster to. Raises NotPossible."""
    patience = roster.timing.answer
    if person == by:
        return take(incident, role, by, now, patience)
    barred = roster.bars(person)
    if barred:
        raise NotPossible(barred)
    return assign(incident, role, person, by, now, patience)


def take(
    incident: Incident, role: e.Role, person: str, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    """Take a vacant role at once, or ask its holder to give it up. Raises NotPossible."""
    _open(incident)
    holder = incident.crew.holder(role)
    if holder == person:
        return ()
    _keep_apart(incident, role, person)
    if holder:
        why = f"{person} asks to take over as {ROLE_NAMES[role]}"
        return request(incident, role, "takeover", person, holder, person, why, now, patience)
    if role == "commander":
        return arrive(incident, person, "role")
    arrived = () if person in incident.responders else arrive(incident, person, "role")
    return (*arrived, e.RoleTaken(role=role, person=person, reason="took it"))


def assign(
    incident: Incident, role: e.Role, person: str, by: str, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    """Ask somebody else to take a role: its holder hands it over, or the Commander names them."""
    _open(incident)
    holder = incident.crew.holder(role)
    if by not in (holder, incident.commander):
        who = incident.commander or "nobody; acknowledge the incident first"
        raise NotPossible(f"only its holder or the Commander gives this role; that is {who}")
    if holder == person:
        return ()
    _keep_apart(incident, role, person)
    how: e.RequestKind = "offer" if by == holder else "ask"
    why = f"{by} asks you to be {ROLE_NAMES[role]}"
    return request(incident, role, how, person, person, by, why, now, patience)


def request(
    incident: Incident,
    role: e.Role,
    how: e.RequestKind,
    taker: str,
    asked: str,
    by: str,
    why: str,
    now: datetime,
    patience: timedelta,
) -> tuple[e.Event, ...]:
    """Put the question, once, and call the person who must answer it."""
    for other in incident.crew.open_requests(role):
        if (other.event.taker, other.event.asked) == (taker, asked):
            return ()
    name = f"{role}.{len([r for r in incident.crew.requests.values() if r.event.role == role]) + 1}"
    until = now + patience
    told = briefing(incident)
    asking = e.RoleRequested(
        request=name,
        role=role,
        how=how,
        taker=taker,
        asked=asked,
        by=by,
        until=until,
        why=why,
        briefing=told,
    )
    text = f"{why}: answer by {clock_time(until)}\n{told}"
    return (asking, *direct_page(incident, asked, "role_request", text, name))


def answer_request(
    incident: Incident, name: str, person: str, *, accept: bool, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    """Say yes or no to a request. Raises NotPossible if it is not this person's to answer."""
    _open(incident)
    asked = incident.crew.requests.get(name)
    if asked is None:
        raise NotPossible(f"there is no request {name!r}")
    if asked.event.asked != person:
        raise NotPossible(f"this is asked of {asked.event.asked}, not of {person}")
    if not asked.open:
        raise NotPossible(f"this request is {asked.answer} already")
    if not accept:
        return (e.RoleAnswered(request=name, answer="declined"),)
    _keep_apart(incident, asked.event.role, asked.event.taker)
    return (
        e.RoleAnswered(request=name, answer="accepted"),
        *_granted(incident, asked, now, patience),
    )


def lapse(incident: Incident, asked: Request) -> tuple[e.Event, ...]:
    """Nobody answered in time: a takeover goes through, everything else is off."""
    name = asked.event.request
    lapsed = e.RoleAnswered(request=name, answer="lapsed")
    still_theirs = incident.crew.holder(asked.event.role) == asked.event.asked
    if asked.event.how != "takeover" or not still_theirs:
        return (lapsed,)
    if separation(incident, asked.event.role, asked.event.taker):
        return (lapsed,)
    return (lapsed, *_give(incident, asked, f"{asked.event.asked} did not answer"))


def step_down(incident: Incident, role: e.Role, person: str) -> tuple[e.Event, ...]:
    """Give up a role, to whoever had asked to take it over. Without a Commander people are
    called again."""
    _open(incident)
    if incident.crew.holder(role) != person:
        raise NotPossible(f"you are not {ROLE_NAMES[role]}; that is {holder_text(incident, role)}")
    left = f"{person} stepped down"
    passed_on = _pass_on(incident, _ceded(incident, (role,), person), left)
    if role == "commander":
        return (e.CommandVacated(person=person, reason=left), *passed_on)
    return (e.RoleLeft(role=role, person=person, reason=left), *passed_on)


def separation(incident: Incident, role: e.Role, person: str) -> str:
    """Why this person cannot hold this role beside the ones they have; empty if they can.

    The Communicator is neither Fast-Recovery nor Problem Diagnosis Owner.
    """
    held = set(incident.crew.roles_of(person)) - {role}
    if role == "communicator" and held & APART:
        other = ROLE_NAMES[min(held & APART)]
        return f"{person} is {other}, who cannot be Communicator too; ask somebody else"
    if role in APART and "communicator" in held:
        return (
            f"{person} is Communicator, who cannot be {ROLE_NAMES[role]} too; "
            "hand over communication first"
        )
    return ""


def holder_text(incident: Incident, role: e.Role) -> str:
    """Who holds the role, for a sentence. The daemon holds fast recovery openly."""
    return incident.crew.holder(role) or ("stopgap" if role == "fast_recovery" else "nobody")


def briefing(incident: Incident) -> str:
    """What somebody who takes a role must know: statement, what was tried, who is in, what is
    due; one line each."""
    lines = [f"Problem: {incident.title}"]
    if incident.severity:
        lines[0] += f" ({incident.severity})"
    tried = [
        f"{step.number}. {step.action} {step.verdict or step.status}"
        for _, step in sorted(incident.steps.items())
        if step.action
    ]
    lines.append(f"Tried: {'; '.join(tried) or 'nothing yet'}")
    roles = [f"{ROLE_NAMES[role]} {holder_text(incident, role)}" for role in ROLE_NAMES]
    lines.append(f"Who is in: {', '.join(incident.responders) or 'nobody'} ({', '.join(roles)})")
    lines.append(f"Due: {'; '.join(_due(incident)) or 'nothing'}")
    return "\n".join(lines)


def _due(incident: Incident) -> Sequence[str]:
    due = [
        f"step {step.number} waits for approval"
        for step in incident.steps.values()
        if step.asked and step.status == "waiting"
    ]
    due += [
        f"update {name} waits to be sent"
        for name, update in incident.word.updates.items()
        if not update.sent
    ]
    due += [
        f"{ROLE_NAMES[r.event.role]}: {r.event.asked} is asked"
        for r in incident.crew.open_requests()
    ]
    if incident.diagnosis is not None and not incident.crew.holder("diagnosis"):
        due.append("the diagnosis has no owner")
    return due


def _granted(
    incident: Incident, asked: Request, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    """The answer was yes. Whoever holds the role by now must have agreed as well."""
    event = asked.event
    holder = incident.crew.holder(event.role)
    if holder == event.taker:
        return ()
    if holder and not _agreed(incident, event, holder):
        if event.role != "commander":
            raise NotPossible(f"{holder} is {ROLE_NAMES[event.role]} by now; ask to take it over")
        why = f"{event.taker} is ready to take command ({event.why})"
        arrived = arrive(incident, event.taker, "role")
        asking = request(
            incident, "commander", "takeover", event.taker, holder, event.taker, why, now, patience
        )
        return (*arrived, *asking)
    return _give(incident, asked, event.why)


def _agreed(incident: Incident, event: e.RoleRequested, holder: str) -> bool:
    """Whether the holder has agreed to give the role up, or the Commander has decided it."""
    if event.how == "takeover":
        return event.asked == holder
    no_plan = incident.crew.no_plan
    if event.role == "commander" and no_plan is not None and no_plan.person == holder:
        return True
    return bool(event.by) and event.by in (holder, incident.commander)


def _ceded(incident: Incident, roles: Sequence[e.Role], person: str) -> list[Request]:
    """The requests to take these roles over from this person, who gives them up now."""
    return [
        asked
        for asked in incident.crew.open_requests()
        if asked.event.how == "takeover"
        and asked.event.asked == person
        and asked.event.role in roles
    ]


def _pass_on(incident: Incident, ceded: Sequence[Request], reason: str) -> tuple[e.Event, ...]:
    """Giving a role up is a yes to whoever asked for it; of several, to the first."""
    events: list[e.Event] = []
    served: set[str] = set()
    for asked in ceded:
        role, taker = asked.event.role, asked.event.taker
        if served & {role, taker} or separation(incident, role, taker):
            events.append(e.RoleAnswered(request=asked.event.request, answer="lapsed"))
            continue
        served |= {role, taker}
        events.append(e.RoleAnswered(request=asked.event.request, answer="accepted"))
        events += _give(incident, asked, f"{reason}; {taker} had asked for it")
    return tuple(events)


def _give(incident: Incident, asked: Request, reason: str) -> tuple[e.Event, ...]:
    event = asked.event
    if event.role == "commander":
        arrived: list[e.Event] = []
        if event.taker not in incident.responders:
            arrived = [e.ResponderArrived(person=event.taker, via="role")]
        return (*arrived, e.CommanderAppointed(person=event.taker, reason=reason))
    arrived = [] if event.taker in incident.responders else [*arrive(incident, event.taker, "role")]
    return (*arrived, e.RoleTaken(role=event.role, person=event.taker, reason=reason))


def _open(incident: Incident) -> None:
    if incident.closed is not None:
        raise NotPossible(f"incident {incident.id} is closed")


def _keep_apart(incident: Incident, role: e.Role, person: str) -> None:
    why_not = separation(incident, role, person)
    if why_not:
        raise NotPossible(why_not)
