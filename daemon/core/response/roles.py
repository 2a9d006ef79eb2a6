"""The four roles: appoint, hand over, take over, vacate.

The first person to respond commands. Rank changes nothing by itself: command moves by a request
that both sides have agreed to, or that one side has left unanswered. What people do about roles is
in `role_commands`, what the daemon does by itself in `role_requests`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.response.paging import direct_page
from daemon.core.values.units import clock_time

APART: frozenset[e.Role] = frozenset({"fast_recovery", "diagnosis"})
"""The roles that leave no head for communicating."""


def arrive(incident: Incident, person: str, via: str) -> tuple[e.Event, ...]:
    """What an acknowledgement by this person adds: nothing, if it changes nothing."""
    events: list[e.Event] = []
    if person not in incident.responders:
        events.append(e.ResponderArrived(person=person, via=via))
    if not incident.commander:
        first = not incident.responders
        reason = "the first responder" if first else "answered while nobody commanded"
        events.append(e.CommanderAppointed(person=person, reason=reason))
    for team, engagement in incident.people.engaged.items():
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
    roles = incident.people.roles_of(person)
    ceded = takeover_requests(incident, roles, person)
    events: list[e.Event] = [
        e.RoleLeft(role=role, person=person, reason=left) for role in roles if role != "commander"
    ]
    events += [
        e.RoleAnswered(request=role_request.event.request, answer="lapsed")
        for role_request in incident.people.open_requests()
        if person in (role_request.event.asked, role_request.event.taker)
        and role_request not in ceded
    ]
    events.append(e.ResponderLeft(person=person, via=via))
    if incident.commander == person:
        events.append(e.CommandVacated(person=person, reason=left))
    return (*events, *hand_over(incident, ceded, left))


def request(
    incident: Incident,
    role: e.Role,
    how: e.RequestKind,
    taker: str,
    asked_person: str,
    by: str,
    why: str,
    now: datetime,
    patience: timedelta,
) -> tuple[e.Event, ...]:
    """Put the question, once, and call the person who must answer it."""
    for other in incident.people.open_requests(role):
        if (other.event.taker, other.event.asked) == (taker, asked_person):
            return ()
    name = (
        f"{role}.{len([r for r in incident.people.requests.values() if r.event.role == role]) + 1}"
    )
    until = now + patience
    summary = briefing(incident)
    asking = e.RoleRequested(
        request=name,
        role=role,
        how=how,
        taker=taker,
        asked=asked_person,
        by=by,
        until=until,
        why=why,
        briefing=summary,
    )
    text = f"{why}: answer by {clock_time(until)}\n{summary}"
    return (asking, *direct_page(incident, asked_person, "role_request", text, name))


def lapse(incident: Incident, role_request: Request) -> tuple[e.Event, ...]:
    """Nobody answered in time: a takeover goes through, everything else is off."""
    name = role_request.event.request
    lapsed = e.RoleAnswered(request=name, answer="lapsed")
    still_theirs = incident.people.holder(role_request.event.role) == role_request.event.asked
    if role_request.event.how != "takeover" or not still_theirs:
        return (lapsed,)
    if separation(incident, role_request.event.role, role_request.event.taker):
        return (lapsed,)
    return (
        lapsed,
        *grant_role(incident, role_request, f"{role_request.event.asked} did not answer"),
    )


def separation(incident: Incident, role: e.Role, person: str) -> str:
    """Why this person cannot hold this role beside the ones they have; empty if they can.

    The Communicator is neither Fast-Recovery nor Problem Diagnosis Owner.
    """
    held = set(incident.people.roles_of(person)) - {role}
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
    return incident.people.holder(role) or ("stopgap" if role == "fast_recovery" else "nobody")


def briefing(incident: Incident) -> str:
    """What somebody who takes a role must know: statement, what was tried, who is in, what is
    due; one line each."""
    lines = [f"Problem: {incident.title}"]
    if incident.severity and incident.recovered_at is None:
        lines[0] += f" ({incident.severity})"
    tried = [
        f"{step.number}. {step.action}: {step.so_far}"
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
        if step.awaits_approval
    ]
    due += [
        f"an update to {update.audience} waits to be sent"
        for update in incident.updates.by_name.values()
        if not update.sent
    ]
    due += [
        f"{ROLE_NAMES[r.event.role]}: {r.event.asked} is asked"
        for r in incident.people.open_requests()
    ]
    if incident.diagnosis is not None and not incident.people.holder("diagnosis"):
        due.append("the diagnosis has no owner")
    return due


def takeover_requests(incident: Incident, roles: Sequence[e.Role], person: str) -> list[Request]:
    """The requests to take these roles over from this person, who gives them up now."""
    return [
        role_request
        for role_request in incident.people.open_requests()
        if role_request.event.how == "takeover"
        and role_request.event.asked == person
        and role_request.event.role in roles
    ]


def hand_over(incident: Incident, ceded: Sequence[Request], reason: str) -> tuple[e.Event, ...]:
    """Giving a role up is a yes to whoever asked for it; of several, to the first."""
    events: list[e.Event] = []
    served: set[str] = set()
    for role_request in ceded:
        role, taker = role_request.event.role, role_request.event.taker
        if served & {role, taker} or separation(incident, role, taker):
            events.append(e.RoleAnswered(request=role_request.event.request, answer="lapsed"))
            continue
        served |= {role, taker}
        events.append(e.RoleAnswered(request=role_request.event.request, answer="accepted"))
        events += grant_role(incident, role_request, f"{reason}; {taker} had asked for it")
    return tuple(events)


def grant_role(incident: Incident, role_request: Request, reason: str) -> tuple[e.Event, ...]:
    """The role goes to whoever the request is for, who comes if they are not here yet."""
    event = role_request.event
    if event.role == "commander":
        arrived: list[e.Event] = []
        if event.taker not in incident.responders:
            arrived = [e.ResponderArrived(person=event.taker, via="role")]
        return (*arrived, e.CommanderAppointed(person=event.taker, reason=reason))
    arrived = [] if event.taker in incident.responders else [*arrive(incident, event.taker, "role")]
    return (*arrived, e.RoleTaken(role=event.role, person=event.taker, reason=reason))
