"""What people do about roles: take one or ask somebody to, answer a request, give one up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.responders import Request
from daemon.core.incident.state import Incident
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.people.roster import Roster
from daemon.core.response.command import Command, CommandSituation, InvalidCommand, NotPossible
from daemon.core.response.roles import (
    arrive,
    grant_role,
    hand_over,
    holder_text,
    request,
    separation,
    takeover_requests,
)


@dataclass(frozen=True)
class FillRole(Command):
    """Take a role oneself, or ask somebody of the roster to. `person` None: oneself.

    A vacant role is taken at once; its holder is asked to give it up. Somebody else is asked by
    the holder, who hands it over, or by the Commander.
    """

    role: e.Role
    person: str | None = None

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        now, patience = situation.now, situation.roster.timing.answer
        if self.person is None or self.person == situation.person:
            return _take(incident, self.role, situation.person, now, patience)
        _require_able(situation.roster, self.person)
        return _assign(incident, self.role, self.person, situation.person, now, patience)


def _require_able(roster: Roster, person: str) -> None:
    if person not in roster.people:
        known = ", ".join(sorted(roster.people))
        raise InvalidCommand(f"{person!r} is not in the roster; it has {known}")
    barred = roster.bars(person)
    if barred:
        raise NotPossible(barred)


def _take(
    incident: Incident, role: e.Role, person: str, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    holder = incident.people.holder(role)
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


def _assign(
    incident: Incident, role: e.Role, person: str, by: str, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    holder = incident.people.holder(role)
    if by not in (holder, incident.commander):
        who = incident.commander or "nobody; acknowledge the incident first"
        raise NotPossible(f"only its holder or the Commander gives this role; that is {who}")
    if holder == person:
        return ()
    _keep_apart(incident, role, person)
    how: e.RequestKind = "offer" if by == holder else "ask"
    why = f"{by} asks you to be {ROLE_NAMES[role]}"
    return request(incident, role, how, person, person, by, why, now, patience)


@dataclass(frozen=True)
class AnswerRequest(Command):
    """Say yes or no to a request for a role; only whoever is asked may."""

    request: str
    accept: bool

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        name = self.request
        role_request = incident.people.requests.get(name)
        if role_request is None:
            raise NotPossible(f"there is no request {name!r}")
        if role_request.event.asked != situation.person:
            raise NotPossible(
                f"this is asked of {role_request.event.asked}, not of {situation.person}"
            )
        if not role_request.open:
            raise NotPossible(f"this request is {role_request.answer} already")
        if not self.accept:
            return (e.RoleAnswered(request=name, answer="declined"),)
        _keep_apart(incident, role_request.event.role, role_request.event.taker)
        granted = _granted(incident, role_request, situation.now, situation.roster.timing.answer)
        return (e.RoleAnswered(request=name, answer="accepted"), *granted)


@dataclass(frozen=True)
class LeaveRole(Command):
    """Give up a role, to whoever had asked to take it over. Without a Commander people are
    called again."""

    role: e.Role

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        role, person = self.role, situation.person
        if incident.people.holder(role) != person:
            holder = holder_text(incident, role)
            raise NotPossible(f"you are not {ROLE_NAMES[role]}; that is {holder}")
        left = f"{person} stepped down"
        passed_on = hand_over(incident, takeover_requests(incident, (role,), person), left)
        if role == "commander":
            return (e.CommandVacated(person=person, reason=left), *passed_on)
        return (e.RoleLeft(role=role, person=person, reason=left), *passed_on)


def _granted(
    incident: Incident, role_request: Request, now: datetime, patience: timedelta
) -> tuple[e.Event, ...]:
    """The answer was yes. Whoever holds the role by now must have agreed as well."""
    event = role_request.event
    holder = incident.people.holder(event.role)
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
    return grant_role(incident, role_request, event.why)


def _agreed(incident: Incident, event: e.RoleRequested, holder: str) -> bool:
    """Whether the holder has agreed to give the role up, or the Commander has decided it."""
    if event.how == "takeover":
        return event.asked == holder
    no_plan = incident.people.no_plan
    if event.role == "commander" and no_plan is not None and no_plan.person == holder:
        return True
    return bool(event.by) and event.by in (holder, incident.commander)


def _keep_apart(incident: Incident, role: e.Role, person: str) -> None:
    why_not = separation(incident, role, person)
    if why_not:
        raise NotPossible(why_not)
