"""Who else could help with an incident: teams that know what is involved, and vendors.

Suggestions are worked out from the incident as it stands, and kept nowhere: nobody is called in by
them before a person does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.core.changes.change import Change
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.people.vendors import first_match
from daemon.core.response.help_packet import help_packet
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.label_names import service_in
from daemon.core.rules.rule import Rule
from daemon.core.values.units import clock_time, printable


@dataclass(frozen=True)
class HelpSuggestion:
    """A team that should perhaps be called in: `why`, what is to be asked of them (`ask`), and what
    they would be told (`packet`)."""

    team: str
    why: str
    ask: str
    packet: str


@dataclass(frozen=True)
class HelpSources:
    """What suggestions are worked out of: all rules in force, what they depend on, and the
    incidents that are open besides."""

    roster: Roster
    rules: Mapping[str, Rule]
    dependencies: RuleDependencies
    others: Iterable[Incident] = ()


@dataclass(frozen=True)
class _Found:
    team: str
    why: str
    ask: str


def help_suggestions(
    incident: Incident, sources: HelpSources, person: str, document: str
) -> tuple[HelpSuggestion, ...]:
    """The teams that could help and were not called in, the likeliest first, each once.

    `person` would ask for them; empty if nobody knows who. While nothing is wrong any more nobody
    is suggested.
    """
    if incident.closed is not None or incident.recovered_at is not None:
        return ()
    found: dict[str, _Found] = {}
    for one in (
        *_of_suspect(incident, sources),
        *_of_dependencies(incident, sources),
        *_of_experts(incident, sources),
    ):
        found.setdefault(one.team, one)
    known = (incident.opened.team, *incident.people.engaged)
    return tuple(
        HelpSuggestion(one.team, one.why, one.ask, help_packet(incident, person, one.ask, document))
        for one in found.values()
        if one.team in sources.roster.teams and one.team not in known
    )


def vendors_for(incident: Incident, roster: Roster, rule: Rule | None) -> dict[str, str]:
    """The vendors of the roster by name, with the name that points to them in this incident:
    those first; of the others it is empty."""
    names = tuple(_names(incident, rule))
    found = {name: first_match(vendor.matches, names) for name, vendor in roster.vendors.items()}
    return dict(sorted(found.items(), key=lambda one: not one[1]))


def _of_suspect(incident: Incident, sources: HelpSources) -> Iterator[_Found]:
    """The team that owns the change that is to blame, or may be."""
    suspicion = incident.suspicion
    if suspicion is None or suspicion.change is None:
        return
    change = suspicion.change
    item = printable(change.text or change.item)
    ask = f"look at {item}, live since {clock_time(change.at)}: could it be the cause? "
    ask += "If so, how is it undone safely?"
    for team, owned in _owners(change, sources):
        yield _Found(team, f"the suspect change {item} {owned}", ask)


def _owners(change: Change, sources: HelpSources) -> Iterator[tuple[str, str]]:
    """(team, what of theirs it is) by the labels of the change, then by its target."""
    if change.labels.get("team"):
        yield change.labels["team"], "is theirs, by its label team"
    label, service = service_in(change.labels)
    if service:
        for rule in sources.rules.values():
            if any((m.name, m.op, m.value) == (label, "=", service) for m in rule.match):
                yield rule.team, f"is one of their service {service}"
    names = tuple(filter(None, (service, change.aim)))
    for team, known in sources.roster.teams.items():
        name = first_match(known.expert_in, names)
        if name:
            yield team, f"is one of {printable(name)}, in which they are expert"


def _of_dependencies(incident: Incident, sources: HelpSources) -> Iterator[_Found]:
    """The teams of what the rule depends on: of incidents that are open there; and once fast
    recovery is over, of the rules that it names."""
    for other in sources.others:
        on = (other.opened.rule, other.group_labels)
        if other.id == incident.id or not sources.dependencies.depends(incident.rule, *on):
            continue
        if other.closed is None and other.recovered_at is None and other.drill == incident.drill:
            title = printable(other.title)
            why = (
                f"{incident.rule} depends on {other.opened.rule or 'it'}, which fails too: {title}"
            )
            ask = f"is {other.id} the cause of ours, and when will it be over?"
            yield _Found(other.opened.team, why, ask)
    if incident.diagnosis is None:
        return
    for upstream in sources.dependencies.upstream(incident.rule):
        named = sources.rules.get(upstream.rule)
        if named is not None:
            why = f"{incident.rule} depends on {named.rule}, and fast recovery is over"
            ask = f"does {named.rule} look as ever to you since {clock_time(_begun(incident))}?"
            yield _Found(named.team, why, ask)


def _of_experts(incident: Incident, sources: HelpSources) -> Iterator[_Found]:
    """The teams that are expert in what is involved."""
    names = tuple(_names(incident, sources.rules.get(incident.rule)))
    for team, known in sources.roster.teams.items():
        name = printable(first_match(known.expert_in, names))
        if name:
            ask = f"look at {name} since {clock_time(_begun(incident))}: what is not as ever?"
            yield _Found(team, f"{name} is involved, in which they are expert", ask)


def _names(incident: Incident, rule: Rule | None) -> Iterator[str]:
    """What the incident involves: its labels' values, the suspect, targets, dependencies, and what
    the diagnosis has found."""
    yield from incident.group_labels.values()
    for alert in incident.alerts.values():
        yield service_in(alert.labels)[1]
    change = incident.suspicion.change if incident.suspicion is not None else None
    if change is not None:
        yield from (change.aim, *change.labels.values())
    yield from (step.target for step in incident.steps.values())
    for upstream in rule.depends_on if rule is not None else ():
        yield from (upstream.rule, *(matcher.value for matcher in upstream.match))
    dossier = incident.causes.dossier
    for finding in dossier.findings if dossier is not None else ():
        yield finding.subject.partition("=")[2] or finding.subject


def _begun(incident: Incident) -> datetime:
    problem = incident.confirmed or incident.problem
    return problem.onset if problem is not None and problem.onset else incident.opened_at
