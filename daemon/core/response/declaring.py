"""Incidents that people declare by hand: how one begins, with a rule that measures it or without.

With a rule it is the incident of that rule and group: an alert that comes later joins it. Without
one nothing is measured, and nothing is done by itself but calling people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.core.incident import events as e
from daemon.core.measurement.problem import Severity
from daemon.core.people.roster import Roster
from daemon.core.response.command import InvalidCommand
from daemon.core.rules.rule import Rule, incident_key
from daemon.core.values.units import printable

DECLARED_TITLE_LENGTH = 200
"""Characters of the title of a declared incident."""


@dataclass(frozen=True)
class Declaration:
    """What a person says is wrong. `respond`: they respond to it themselves, and so command it.

    `request` is what the same click or call would send again (an idempotency key); empty if nothing
    tells.
    """

    title: str
    person: str
    via: str
    rule: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    team: str = ""
    severity: Severity = ""
    respond: bool = False
    request: str = ""

    @property
    def token(self) -> str:
        """What tells this request of this person from others; empty if nothing does."""
        if not self.request:
            return ""
        return hashlib.sha256(f"{self.person}\0{self.request}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DeclaredOpening:
    """How a declared incident begins: its key, and its first events."""

    key: str
    events: tuple[e.Event, ...]


def declared_opening(
    declaration: Declaration, rules: Mapping[str, Rule], roster: Roster, identity: str
) -> DeclaredOpening:
    """How it begins, as the incident `identity`. Raises InvalidCommand, in a sentence that names
    what is to be given instead."""
    title = printable(declaration.title).strip()
    if not title:
        raise InvalidCommand("what is wrong? Give a title, for whoever is woken by it")
    if len(title) > DECLARED_TITLE_LENGTH:
        raise InvalidCommand(
            f"the title has {len(title)} characters; {DECLARED_TITLE_LENGTH} at most"
        )
    if declaration.team and declaration.team not in roster.teams:
        known = ", ".join(sorted(roster.teams)) or "none"
        raise InvalidCommand(f"no team {declaration.team!r}; the roster has {known}")
    rule = _rule(declaration, rules)
    labels = _labels(declaration, rule)
    if rule is not None:
        key = incident_key(rule.rule, labels)
    else:
        # One of its own: what two people call alike need not be the same.
        key = incident_key("", {**labels, "declared": declaration.token or identity})
    opened = e.IncidentOpened(
        key=key,
        rule=rule.rule if rule else "",
        group_labels=labels,
        title=title,
        team=declaration.team or (rule.team if rule else ""),
    )
    declared = e.IncidentDeclared(
        person=declaration.person, title=title, via=declaration.via, request=declaration.token
    )
    return DeclaredOpening(key, (opened, declared, *_more(declaration)))


def _more(declaration: Declaration) -> list[e.Event]:
    person = declaration.person
    events: list[e.Event] = []
    if declaration.severity:
        events.append(e.SeveritySet(severity=declaration.severity, person=person))
    if declaration.respond:
        events.append(e.ResponderArrived(person=person, via=declaration.via))
        events.append(e.CommanderAppointed(person=person, reason="declared it"))
    return events


def _rule(declaration: Declaration, rules: Mapping[str, Rule]) -> Rule | None:
    if not declaration.rule:
        return None
    rule = rules.get(declaration.rule)
    if rule is None:
        known = ", ".join(sorted(rules)) or "none"
        raise InvalidCommand(f"no rule {declaration.rule!r} is in force; there are: {known}")
    return rule


def _labels(declaration: Declaration, rule: Rule | None) -> dict[str, str]:
    """The group's labels: with a rule, those of its `group_by`, all of them and no others."""
    given = {name: value.strip() for name, value in declaration.labels.items()}
    if rule is None:
        return given
    missing = [name for name in rule.group_by if not given.get(name)]
    if missing:
        raise InvalidCommand(
            f"the rule {rule.rule} measures by {', '.join(rule.group_by)}; say which "
            f"{missing[0]}: a label {missing[0]}=VALUE is missing"
        )
    more = sorted(given.keys() - set(rule.group_by))
    if more:
        by = ", ".join(rule.group_by) or "nothing: it has one group"
        raise InvalidCommand(f"the rule {rule.rule} does not measure by {more[0]!r}, but by {by}")
    return {name: given[name] for name in rule.group_by}
