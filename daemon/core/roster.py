"""Who is called: people, teams, and escalation policies.

Contact addresses and tokens are secrets, so the file names where they are (`env:NAME`,
`file:PATH`) instead of holding them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.core.document import Document, Mistake
from daemon.core.units import Duration, Frozen, parse_duration

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


def _reference(value: object) -> str:
    # The message must not repeat the value: it may be the secret itself.
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        raise ValueError("say where the secret is, env:NAME or file:PATH; never write it here")
    return value


Reference = Annotated[
    str,
    BeforeValidator(_reference),
    WithJsonSchema({"type": "string", "pattern": f"^({_REFERENCE.pattern})$"}),
]
"""Where a secret is: `env:NAME` or `file:PATH`."""


class Contact(Frozen):
    """One way to reach a person; exactly one of the three.

    `webhook`: the URL that takes a POST of the page; with `secret`, it is signed with
    HMAC-SHA256. `apprise`: an apprise URL (mail, chat). `console`: the daemon's own output.
    """

    webhook: Reference | None = None
    secret: Reference | None = None
    apprise: Reference | None = None
    console: bool = False

    @model_validator(mode="after")
    def _one(self) -> Contact:
        if sum([self.webhook is not None, self.apprise is not None, self.console]) != 1:
            raise ValueError("give exactly one of `webhook`, `apprise`, `console`")
        if self.secret is not None and self.webhook is None:
            raise ValueError("`secret` signs a `webhook`; there is none here")
        return self

    @property
    def method(self) -> str:
        """The name of this way: webhook, apprise or console."""
        if self.webhook is not None:
            return "webhook"
        return "apprise" if self.apprise is not None else "console"


class Person(Frozen):
    """Somebody. `contact` is in order of preference; `token` identifies them to the API."""

    name: str
    token: Reference | None = None
    contact: tuple[Contact, ...] = Field(min_length=1)


class Team(Frozen):
    """Who owns what the team's rules watch, who leads it, and how it is called."""

    owners: tuple[str, ...] = ()
    lead: str | None = None
    policy: str


class Tier(Frozen):
    """People called together, and how long they have before the next tier is called."""

    notify: tuple[str, ...] = Field(min_length=1)
    wait: Duration = parse_duration("5m")


class Policy(Frozen):
    """Tiers in order, and `repeat` more rounds of them; left out, without end."""

    tiers: tuple[Tier, ...] = Field(min_length=1)
    repeat: int | None = Field(default=None, ge=0)


class Roster(Frozen):
    """The whole file."""

    people: dict[str, Person]
    teams: dict[str, Team] = Field(default_factory=dict)
    policies: dict[str, Policy]
    default_policy: str

    def policy_for(self, team: str) -> Policy:
        """The policy of a team; the default one for an unknown team."""
        name = self.teams[team].policy if team in self.teams else self.default_policy
        return self.policies[name]

    def called(self, tier: Tier) -> tuple[str, ...]:
        """The people of a tier, each once: `notify` names people, or teams for their owners."""
        found: dict[str, None] = {}
        for name in tier.notify:
            members = (name,) if name in self.people else self.teams[name].owners
            found.update(dict.fromkeys(members))
        return tuple(found)


def check_roster(roster: Roster, document: Document) -> list[Mistake]:
    """Names that lead nowhere, and tiers that would call nobody."""
    mistakes = []

    def known(place: tuple[str | int, ...], name: str, where: Mapping[str, object]) -> None:
        if name not in where:
            text = f"no {name!r}; known: {', '.join(sorted(where)) or 'none'}"
            mistakes.append(document.mistake(place, text))

    known(("default_policy",), roster.default_policy, roster.policies)
    for name, team in roster.teams.items():
        known(("teams", name, "policy"), team.policy, roster.policies)
        for index, owner in enumerate(team.owners):
            known(("teams", name, "owners", index), owner, roster.people)
        if team.lead is not None:
            known(("teams", name, "lead"), team.lead, roster.people)
    for name, policy in roster.policies.items():
        for index, tier in enumerate(policy.tiers):
            place = ("policies", name, "tiers", index, "notify")
            for target in tier.notify:
                known(place, target, {**roster.people, **roster.teams})
                if target in roster.teams and not roster.teams[target].owners:
                    text = f"team {target!r} has no owners, so this would call nobody"
                    mistakes.append(document.mistake(place, text))
    return mistakes
