"""Open an incident that a person declares, once; or lead them to the one that is open already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from daemon.core.alertmanager import Labels
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.ports.journal import IncidentSearch, KeyTaken
from daemon.core.recovery.guardrails import group_of
from daemon.core.response.declaring import Declaration, declared_opening
from daemon.core.rules.rule import Rule
from daemon.core.values.formats import printable
from daemon.intake.dispatch import random_letters
from daemon.repository import IncidentRepository

_log = structlog.get_logger()


@dataclass(frozen=True)
class Declared:
    """What came of it: the incident, and whether it is the one that this very request opened (now,
    or when it came before). If not, that rule and group had it open already."""

    incident: Incident
    opened: bool


async def declare(
    repository: IncidentRepository,
    declaration: Declaration,
    rules: Mapping[str, Rule],
    roster: Roster,
) -> Declared:
    """Open it, unless this request was served before or the rule has it open for that group.

    Raises InvalidCommand, Temporary.
    """
    identity = f"{repository.clock():%m%d-%H%M}-{random_letters(6)}"
    opening = declared_opening(declaration, rules, roster, identity)
    before = await _served(repository, declaration, opening.key)
    if before is not None:
        return Declared(before, opened=True)
    holder = await _holder(repository, opening.key)
    if holder is None:
        try:
            await repository.open(identity, opening.key, opening.events)
        except KeyTaken as taken:
            holder = taken.incident
        else:
            _log.info("incident declared", incident=identity, by=declaration.person)
            return Declared(await repository.load(identity), opened=True)
    there = await repository.load(holder)
    return Declared(there, opened=_is_of(there, declaration))


async def _holder(repository: IncidentRepository, key: str) -> str | None:
    """The open incident of the key, or the one that its alerts go to since a merge."""
    found = (await repository.journal.find_open([key])).get(key)
    if found is not None:
        return found
    routes = await repository.journal.routes()
    whole = (name for name, some in routes for route in some if route.key == key and route.whole)
    return next(whole, None)


async def _served(
    repository: IncidentRepository, declaration: Declaration, key: str
) -> Incident | None:
    """The incident that this very request has opened before, open or not."""
    if not declaration.token:
        return None
    for head in await repository.journal.heads(1, IncidentSearch(key=key, drills="with")):
        incident = await repository.load(head.incident)
        if _is_of(incident, declaration):
            return incident
    return None


def _is_of(incident: Incident, declaration: Declaration) -> bool:
    declared = incident.organization.declared
    return declared is not None and bool(declared.request) and declared.request == declaration.token


_MOST_GROUPS = 200
"""So many groups of a rule are offered, of its newest incidents and of its series."""


async def known_groups(
    repository: IncidentRepository, rule: Rule, watched: Sequence[Labels]
) -> list[Labels]:
    """The groups that incidents of a rule had, the newest first, then those of the label values
    that its series have (`watched`), as far as these make a whole group. Raises Temporary."""
    search = IncidentSearch(rule=rule.rule, drills="without")
    heads = await repository.journal.heads(_MOST_GROUPS, search)
    found = [group_of(head.key) for head in heads]
    found += [{n: labels.get(n, "") for n in rule.group_by} for labels in watched]
    whole = [labels for labels in found if labels.keys() == set(rule.group_by)]
    named = {tuple(labels.items()): labels for labels in whole if all(labels.values())}
    return list(named.values())[:_MOST_GROUPS]


def already_open(incident: Incident, labels: Labels) -> str:
    """What the person is told whose incident is open already."""
    of = " ".join(labels.values()) or "its only group"
    commander = incident.commander or "nobody yet"
    return (
        f"{incident.id} is open already for {incident.rule} of {of} "
        f"({printable(incident.title)}; Commander: {commander}); nothing new was opened. "
        f"Join it: stopgap ack {incident.id}"
    )
