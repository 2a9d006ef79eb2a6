"""What can be wrong with a roster beyond its form: names that lead nowhere, or mean two things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from daemon.core.people.roster import Policy, Roster, alike
from daemon.core.people.schedules import check_schedule, named_in
from daemon.core.values.yaml_document import FileMistake, YamlDocument

Wrong = tuple[tuple[str | int, ...], str]
"""(place in the file, what is wrong there)."""


def check_roster(roster: Roster, document: YamlDocument) -> list[FileMistake]:
    """Everything that is wrong, with its place."""
    wrong = [
        *_unknown(("default_policy",), [roster.default_policy], roster.policies),
        *_names(roster),
        *_ambiguous(roster),
        *_teams(roster),
        *_policies(roster),
        *_onlookers(roster),
        *_audiences(roster),
        *_schedules(roster),
        *_identities(roster),
        *_vendors(roster),
    ]
    return [document.mistake(place, text) for place, text in wrong]


def _unknown(
    place: tuple[str | int, ...], names: Sequence[str | None], known: Mapping[str, object]
) -> Iterator[Wrong]:
    for index, name in enumerate(names):
        if name is not None and name not in known:
            where = (*place, index) if len(names) > 1 else place
            yield where, f"no {name!r}; known: {', '.join(sorted(known)) or 'none'}"


def _names(roster: Roster) -> Iterator[Wrong]:
    """Names become parts of ids and addresses."""
    for kind in ("people", "teams", "schedules", "audiences", "channels", "vendors"):
        for name in getattr(roster, kind):
            if not re.fullmatch(r"\w[\w.-]{0,62}", name):
                yield (kind, name), f"{name!r} is no name; use letters, digits and . _ -"


def _ambiguous(roster: Roster) -> Iterator[Wrong]:
    kinds = ("people", "teams", "schedules")
    for later, kind in enumerate(kinds):
        for earlier in kinds[:later]:
            for name in sorted(getattr(roster, kind).keys() & getattr(roster, earlier).keys()):
                text = f"{name!r} is in `{earlier}` too; give this one another name"
                yield (kind, name), text


def _teams(roster: Roster) -> Iterator[Wrong]:
    for name, team in roster.teams.items():
        place = ("teams", name)
        yield from _unknown((*place, "policy"), [team.policy], roster.policies)
        yield from _unknown((*place, "lead"), [team.lead], roster.people)
        yield from _unknown((*place, "stability_owner"), [team.stability_owner], roster.people)
        yield from _unknown((*place, "owners"), team.owners, roster.people)
        yield from _unknown((*place, "experts"), team.experts, roster.people)


def _policies(roster: Roster) -> Iterator[Wrong]:
    callable_ = {**roster.people, **roster.teams, **roster.schedules}
    for name, policy in roster.policies.items():
        for index, tier in enumerate(policy.tiers):
            place = ("policies", name, "tiers", index, "notify")
            yield from _unknown(place, tier.notify, callable_)
            for target in tier.notify:
                if target in roster.teams and not roster.teams[target].owners:
                    yield place, f"team {target!r} has no owners, so this would call nobody"
        most = _most_who_can_come(roster, policy)
        if most is not None and policy.acknowledgements > most:
            yield (
                ("policies", name, "acknowledgements"),
                f"{policy.acknowledgements} people are to come, and its tiers name {most}; name "
                "more, or ask for fewer: it would call for ever",
            )
    for severity, names in roster.ladder.items():
        rung = ("ladder", severity)
        yield from _unknown(rung, names, callable_)
        for target in names:
            if target in roster.teams and not roster.teams[target].owners:
                yield rung, f"team {target!r} has no owners, so this would call nobody"


def _most_who_can_come(roster: Roster, policy: Policy) -> int | None:
    """How many people the policy can ever call; None where a calendar may name anybody."""
    people: set[str] = set()
    for target in (name for tier in policy.tiers for name in tier.notify):
        if target in roster.schedules:
            schedule = roster.schedules[target]
            if schedule.calendar is not None:
                return None
            people |= {person for _, person in named_in(schedule)}
        elif target in roster.teams:
            people |= set(roster.teams[target].owners)
        else:
            people.add(target)
    return len(people)


def _onlookers(roster: Roster) -> Iterator[Wrong]:
    """People who are called, or who should command, and may only look: nobody would answer."""
    named: list[tuple[tuple[str | int, ...], str | None]] = []
    for name, team in roster.teams.items():
        named += [
            (("teams", name, role), getattr(team, role)) for role in ("lead", "stability_owner")
        ]
        named += [(("teams", name, "owners"), person) for person in team.owners]
        named += [(("teams", name, "experts"), person) for person in team.experts]
    for name, policy in roster.policies.items():
        for index, tier in enumerate(policy.tiers):
            named += [(("policies", name, "tiers", index, "notify"), p) for p in tier.notify]
    for severity, names in roster.ladder.items():
        named += [(("ladder", severity), person) for person in names]
    for name, schedule in roster.schedules.items():
        named += [(("schedules", name, *place), person) for place, person in named_in(schedule)]
    for where, who in named:
        if who in roster.people and roster.bars(who):
            yield where, f"{roster.bars(who)}; or name somebody else here"


def _audiences(roster: Roster) -> Iterator[Wrong]:
    for name, audience in roster.audiences.items():
        yield from _unknown(("audiences", name, "channels"), audience.channels, roster.channels)


def _vendors(roster: Roster) -> Iterator[Wrong]:
    for name, vendor in roster.vendors.items():
        if not vendor.ways:
            text = "nobody could open a ticket with them; give a `url`, an `email` or a `phone`"
            yield ("vendors", name), text


def _schedules(roster: Roster) -> Iterator[Wrong]:
    for name, schedule in roster.schedules.items():
        for place, text in check_schedule(name, schedule, roster.people):
            yield ("schedules", name, *place), text


def _identities(roster: Roster) -> Iterator[Wrong]:
    """The same identity elsewhere for two people: an acknowledgement could be either's."""
    seen: dict[tuple[str, str], str] = {}
    for name, person in roster.people.items():
        for source in ("pagerduty", "slack", "grafana_oncall", "opsgenie"):
            identity = getattr(person.known_as, source)
            if identity is None:
                continue
            other = seen.setdefault((source, identity.casefold()), name)
            if other != name:
                yield ("people", name, "known_as", source), f"{other!r} is known by that already"
    owners: dict[str, str] = {}
    for name, person in roster.people.items():
        other = owners.setdefault(alike(person.known_as.oidc or name), name)
        if other != name:
            yield ("people", name, "known_as", "oidc"), f"{other!r} is known by that already"
    named = {name.casefold(): name for name in roster.people}
    for name, person in roster.people.items():
        for alias in person.known_as.calendar:
            other = named.setdefault(alias.casefold(), name)
            if other != name:
                yield ("people", name, "known_as", "calendar"), f"{alias!r} is {other!r} already"
