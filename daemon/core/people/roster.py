"""Who is called: people, teams, schedules, escalation policies; and who is kept informed.

Contact addresses and tokens are secrets, so the file names where they are (`env:NAME`,
`file:PATH`) instead of holding them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, PrivateAttr

from daemon.core.people.access import Access, PasswordHash, reaches
from daemon.core.people.audiences import Audience, SeverityName
from daemon.core.people.contact_methods import ChannelSpec, Contact, Identities, Reference
from daemon.core.people.oncall_changes import OncallOverride
from daemon.core.people.schedules import Schedule, Shift, on_call, shifts
from daemon.core.people.vendors import NamePattern, Vendor
from daemon.core.values.units import Duration, Frozen, parse_duration, unset

LAST_RESORT_WAIT = timedelta(minutes=5)
"""How long everybody has who is called because nobody is on call."""


def _some_time(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("nobody can answer in no time; write it like 5m, 1s at the least")
    return value


Patience = Annotated[Duration, AfterValidator(_some_time)]
"""How long somebody has. Without any, one would be called after the other at once, for ever."""


def alike(identity: str) -> str:
    """An identity for comparing: mail addresses are the same in capitals, nothing else is."""
    return identity.lower() if "@" in identity and identity.isascii() else identity


class Person(Frozen):
    """Somebody. `contact` is in order of preference; `token` identifies them to the API.

    `access`: how much they may do. `password`: the hash of what they log in to the pages with.
    `known_as`: who they are in the pager, the chat and the identity provider.
    """

    name: str
    access: Access = "responder"
    token: Reference | None = None
    password: PasswordHash | None = None
    contact: tuple[Contact, ...] = Field(min_length=1)
    known_as: Identities = unset(Identities)

    def is_told_quietly_by(self, method: str) -> bool:
        """Whether that way of theirs, such as `email-2`, can tell them something without ringing;
        pagers that keep state are told by their alert's end instead."""
        ways = {f"{way.method}-{n}": way for n, way in enumerate(self.contact, 1)}
        return method in ways and ways[method].tells_quietly


class Team(Frozen):
    """Who owns what the team's rules watch, who leads it, and how it is called.

    `lead`, then `stability_owner`, is the dedicated commander. `experts` know the domain; they
    are asked for the diagnosis before the owners are. `expert_in`: the services and targets of
    which this team knows most; it is suggested to be called in when these are involved.
    """

    owners: tuple[str, ...] = ()
    lead: str | None = None
    stability_owner: str | None = None
    experts: tuple[str, ...] = ()
    expert_in: tuple[NamePattern, ...] = ()
    policy: str

    @property
    def commanders(self) -> tuple[str, ...]:
        """The dedicated commanders, the first to ask first."""
        return tuple(dict.fromkeys(filter(None, (self.lead, self.stability_owner))))


class Tier(Frozen):
    """Those called together, and how long they have before the next tier is called.

    `notify` names people, schedules (for whoever is on call) and teams (for their owners).
    """

    notify: tuple[str, ...] = Field(min_length=1)
    wait: Patience = parse_duration("5m")


class Policy(Frozen):
    """Tiers in order, and `repeat` more rounds of them; left out, without end.

    `acknowledgements`: calling goes on until so many people have come; the first commands.
    """

    tiers: tuple[Tier, ...] = Field(min_length=1)
    repeat: int | None = Field(default=None, ge=0)
    acknowledgements: int = Field(default=1, ge=1, le=20)


class Timing(Frozen):
    """How long people have. All have good defaults."""

    answer: Patience = parse_duration("3m")
    vacancy: Duration = parse_duration("2m")
    silence: Patience = parse_duration("20m")
    overdue: Patience = parse_duration("3m")
    stale_ack: Patience = parse_duration("10m")
    staffed_from: SeverityName = "sev2"


class Called(Frozen):
    """A tier at one moment: its people, perhaps nobody, and how long they have."""

    people: tuple[str, ...]
    wait: Duration


class Roster(Frozen):
    """The whole file."""

    people: dict[str, Person]
    teams: dict[str, Team] = Field(default_factory=dict)
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    policies: dict[str, Policy]
    default_policy: str
    ladder: dict[SeverityName, tuple[str, ...]] = Field(default_factory=dict)
    timing: Timing = unset(Timing)
    channels: dict[str, ChannelSpec] = Field(default_factory=dict)
    audiences: dict[str, Audience] = Field(default_factory=dict)
    vendors: dict[str, Vendor] = Field(default_factory=dict)
    _calendars: Mapping[str, Sequence[Shift]] = PrivateAttr(default_factory=dict)
    _changes: Sequence[OncallOverride] = PrivateAttr(default=())

    def knowing(
        self,
        calendars: Mapping[str, Sequence[Shift]],
        changes: Sequence[OncallOverride] = (),
    ) -> Roster:
        """The same roster with the shifts that on-call calendars hold, by schedule, and with the
        overrides that were set, in that order. Both may change under it."""
        roster = self.model_copy()
        roster._calendars = calendars  # noqa: SLF001 - a copy of our own
        roster._changes = changes  # noqa: SLF001
        return roster

    def changes_of(self, schedule: str) -> list[OncallOverride]:
        """The overrides that were set for that schedule. One for somebody who has left, or may not
        respond, is none: whoever would be on call without it is called."""
        return [o for o in self._changes if o.schedule == schedule and not self.bars(o.person)]

    def shifts(self, schedule: str, start: datetime, end: datetime) -> list[Shift]:
        """The shifts of that schedule one after another, with everything that changes them."""
        held = [
            replace(shift, people=tuple(name for name in shift.people if name in self.people))
            for shift in self.calendar(schedule)
        ]
        return shifts(self.schedules[schedule], start, end, held, self.changes_of(schedule))

    def calendar(self, schedule: str) -> Sequence[Shift]:
        """The shifts that the schedule's on-call calendar holds."""
        return self._calendars.get(schedule, ())

    def channels_of(self, audience: str) -> tuple[str, ...]:
        """The channels by which an audience is told; none for an unknown one."""
        known = self.audiences.get(audience)
        return known.channels if known else ()

    def known_by(self, identity: str) -> str | None:
        """Whom the identity provider or a trusted proxy means by that; nobody, if unsure."""
        for name, person in self.people.items():
            if alike(identity) == alike(person.known_as.oidc or name):
                return name
        return None

    def bars(self, name: str) -> str:
        """Why somebody may not respond, command or hold a role; empty if they may."""
        person = self.people.get(name)
        if person is None:
            return f"{name} is not in the roster"
        if reaches(person.access, "responder"):
            return ""
        mend = f"`people.{name}.access: responder` in the roster lets them act"
        return f"{name} has the access `{person.access}` and may only look; {mend}"

    def policy_for(self, team: str) -> Policy:
        """The policy of a team; the default one for an unknown team."""
        name = self.teams[team].policy if team in self.teams else self.default_policy
        return self.policies.get(name) or self.policies[self.default_policy]

    def on_call(self, schedule: str, at: datetime) -> tuple[str, ...]:
        """Who is on call by that schedule; nobody in a gap."""
        held, changes = self.calendar(schedule), self.changes_of(schedule)
        found = on_call(self.schedules[schedule], at, held, changes)
        return tuple(name for name in found if name in self.people)

    def named(self, names: Sequence[str], at: datetime) -> tuple[str, ...]:
        """The people whom these names mean at that moment, each once."""
        found: dict[str, None] = {}
        for name in names:
            if name in self.people:
                members: tuple[str, ...] = (name,)
            elif name in self.schedules:
                members = self.on_call(name, at)
            else:
                members = self.teams[name].owners
            found.update(dict.fromkeys(members))
        return tuple(found)

    def tiers(self, team: str, at: datetime) -> list[Called]:
        """The tiers of a team's policy as they are at that moment.

        When nobody at all is on call there is one more: the default policy's people, else the
        team's leads and owners, else everybody. Calling too many is better than calling nobody.
        """
        policy = self.policy_for(team)
        tiers = [Called(people=self.named(t.notify, at), wait=t.wait) for t in policy.tiers]
        if not any(tier.people for tier in tiers):
            tiers.append(Called(people=self._last_resort(team, at), wait=LAST_RESORT_WAIT))
        return tiers

    def everybody_responsible(self, team: str, at: datetime) -> tuple[str, ...]:
        """The default policy's people and the team's leads; everybody, if that is nobody."""
        leads = self.teams[team].commanders if team in self.teams else ()
        return tuple(dict.fromkeys((*self._last_resort(team, at), *leads)))

    def _last_resort(self, team: str, at: datetime) -> tuple[str, ...]:
        default = self.policies[self.default_policy]
        people = self.named([name for tier in default.tiers for name in tier.notify], at)
        if not people and team in self.teams:
            known = self.teams[team]
            people = tuple(dict.fromkeys((*known.commanders, *known.owners)))
        able = tuple(name for name in self.people if not self.bars(name))
        return people or able or tuple(self.people)
