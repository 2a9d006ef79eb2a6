"""What people do about incidents as wholes: say how severe one is, relate it, merge it into
another, split some of its alerts off, give it to another team.

What another journal must have of it is written there by `intake.counterparts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

from daemon.core.alertmanager import Labels, overtaken
from daemon.core.incident import events as e
from daemon.core.incident.alert_routes import AlertRoute
from daemon.core.incident.fold import apply_event
from daemon.core.incident.organization import worse
from daemon.core.incident.state import Incident
from daemon.core.incident.untold import told_of_trouble
from daemon.core.measurement.problem import Severity
from daemon.core.response.command import (
    Command,
    CommandSituation,
    InvalidCommand,
    NotPossible,
    optional_text,
)
from daemon.core.response.commands import engagement
from daemon.core.response.paging import direct_page, headline
from daemon.core.response.roles import arrive
from daemon.core.rules.rule import incident_key
from daemon.core.values.id_letters import derived_letters
from daemon.core.values.units import printable

_NAMED = 5
"""So many alerts are named to whoever chose none of them."""


def severity_named(given: str) -> Severity:
    """A severity as people write it; empty for none. Raises InvalidCommand."""
    known: Mapping[str, Severity] = {name: name for name in get_args(Severity)}
    if given not in known:
        names = ", ".join(filter(None, known))
        raise InvalidCommand(f"{given!r} is no severity; there are {names}")
    return known[given]


@dataclass(frozen=True)
class SetSeverity(Command):
    """Say how severe it is. That stands beside what is measured, and the higher of the two decides
    who is called; empty leaves it to the measured one. To say less than before takes a reason."""

    severity: Severity
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        said = incident.organization.severity
        before: Severity = said.severity if said is not None else ""
        if self.severity == before:
            return ()
        reason = optional_text(self.reason)
        lower = before or incident.severity
        if lower and worse(lower, self.severity) == lower and not reason:
            raise NotPossible(f"it is {lower} so far; say why it is less: give a reason")
        return (e.SeveritySet(severity=self.severity, person=situation.person, reason=reason),)


@dataclass(frozen=True)
class Relate(Command):
    """Say that it has to do with another incident; each goes on by itself."""

    other: str
    reason: str = ""

    @property
    def mentions(self) -> tuple[str, ...]:
        """The other one."""
        return (self.other,)

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        other = _other(incident, self.other, situation, "related to")
        if self.other in incident.organization.related:
            return ()
        return (
            e.IncidentRelated(
                other=other.id,
                title=other.opened.title,
                person=situation.person,
                reason=optional_text(self.reason),
            ),
        )


@dataclass(frozen=True)
class Merge(Command):
    """Make it a part of another open incident: it is closed, its alerts and people go there."""

    into: str
    reason: str = ""

    @property
    def mentions(self) -> tuple[str, ...]:
        """What it is merged into."""
        return (self.into,)

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        other = _other(incident, self.into, situation, "merged into")
        merging = incident.organization.merging
        if merging is not None:
            if merging.into == self.into:
                return ()
            raise NotPossible(f"it is being merged into {merging.into} already")
        at_work = incident.running or incident.verifying
        if at_work is not None:
            state = "is running" if incident.running else "has acted, and its effect is measured"
            raise NotPossible(
                f"step {at_work.number} ({at_work.action} on {at_work.target}) {state}; "
                "merge it when that has ended, or merge the other one into this"
            )
        trouble = unfit_to_absorb(other)
        if trouble:
            raise NotPossible(trouble)
        return (
            e.MergeStarted(
                into=other.id,
                title=other.opened.title,
                person=situation.person,
                reason=optional_text(self.reason),
            ),
        )


@dataclass(frozen=True)
class SplitAlerts(Command):
    """Make some of its alerts an incident of their own, which the person responds to.

    `alerts` are fingerprints; with `labels` all alerts that have these go, and so do later ones.
    No rule measures what was split off.
    """

    alerts: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        chosen = self._chosen(incident)
        if not chosen - _leaving(incident):
            return ()  # they go already
        if len(chosen) == len(incident.alerts):
            raise NotPossible("these are all of its alerts; choose some, so that something is left")
        first = incident.alerts[min(chosen)]
        told = " ".join(self.labels.values()) or " ".join(incident.group_labels.values())
        title = printable(self.title.strip() or f"{first.name} {told}").strip()[:200]
        alerts = tuple(sorted(chosen))
        letters = derived_letters(f"{incident.id} {' '.join(alerts)}", 6)
        return (
            e.SplitStarted(
                incident=f"{situation.now:%m%d-%H%M}-{letters}",
                title=title,
                alerts=alerts,
                labels=dict(self.labels),
                person=situation.person,
                reason=optional_text(self.reason),
            ),
        )

    def _chosen(self, incident: Incident) -> frozenset[str]:
        """The identities of the alerts that are meant. Raises NotPossible."""
        if incident.drill is not None:
            raise NotPossible("a drill is played as its script has it; it cannot be split")
        if not self.alerts and not self.labels:
            raise InvalidCommand("which alerts? Give fingerprints, or labels that they have")
        known = {name: f"{name} ({alert.name})" for name, alert in incident.alerts.items()}
        some = ", ".join(list(known.values())[:_NAMED]) or "none"
        unknown = [name for name in self.alerts if name not in known]
        if unknown:
            raise NotPossible(f"it has no alert {unknown[0]!r}; it has {some}")
        labelled = {
            name
            for name, alert in incident.alerts.items()
            if self.labels and self.labels.items() <= alert.labels.items()
        }
        chosen = frozenset(self.alerts) | labelled
        if not chosen:
            raise NotPossible(f"none of its alerts has these labels; it has {some}")
        return chosen


@dataclass(frozen=True)
class Reassign(Command):
    """Give it to another team, whose policy is called; whoever is there stays, and is told."""

    team: str
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        teams, person = situation.roster.teams, situation.person
        if self.team not in teams:
            known = ", ".join(sorted(teams)) or "none"
            raise InvalidCommand(f"no team {self.team!r}; the roster has {known}")
        former, reason = incident.opened.team, optional_text(self.reason)
        if self.team == former:
            return ()
        given = e.TeamReassigned(team=self.team, former=former, person=person, reason=reason)
        events: list[e.Event] = [given]
        if incident.commander:  # nobody is called by the policy, so the team is called in
            why = reason or f"it is yours from now on, says {person}"
            events += engagement(incident, self.team, why, situation)
        text = f"{given.describe()} · {headline(incident)}"
        told = [p for p in incident.responders if p != person]
        return (*events, *_told(incident, told, f"team-{self.team}", text))


# ── what the other journal must have ─────────────────────────────────────────────────────────


def unfit_to_absorb(incident: Incident) -> str:
    """Why nothing can be merged into this incident; empty if something can."""
    if incident.closed is not None:
        return f"{incident.id} is closed; an incident is merged into an open one"
    merging = incident.organization.merging
    if merging is not None:
        return f"{incident.id} is itself being merged into {merging.into}; merge it into that"
    return ""


def absorb(incident: Incident, merged: Incident, now: datetime) -> tuple[e.Event, ...]:
    """What `merged` brings into the incident that it becomes a part of: its alerts, those that will
    come, and its people. Nothing, if it has all of it."""
    started = merged.organization.merging
    if started is None or unfit_to_absorb(incident):
        return ()
    new = [
        alert
        for name, alert in merged.alerts.items()
        if incident.alerts.get(name) != alert and not overtaken(alert, incident.alerts.get(name))
    ]
    alerts = e.received(new, incomplete=incident.incomplete) if new else ()
    if merged.id in incident.organization.absorbed:
        return alerts
    held = incident.organization.held
    events: list[e.Event] = [
        e.IncidentAbsorbed(
            other=merged.id,
            title=merged.opened.title,
            person=started.person,
            routes=(AlertRoute(key=merged.key), *merged.organization.routes),
            alerts=len(merged.alerts),
            severity=merged.severity,
            told=told_of_trouble(merged),
            reason=started.reason,
        ),
        *alerts,
    ]
    if held is not None and merged.organization.held is None:
        text = f"{merged.id}, for which people are called, is part of it now"
        events.append(e.PagesReleased(window=held.window, reason="merged", text=text))
    # The Commander first: who commands there commands here, if nobody does.
    for person in dict.fromkeys(filter(None, (merged.commander, *merged.responders))):
        arrived = arrive(incident, person, "merge")
        for event in arrived:
            incident = apply_event(incident, now, event)
        events += arrived
    return tuple(events)


def close_merged(incident: Incident, into: Incident) -> tuple[e.Event, ...]:
    """The end of an incident that is a part of another now; its people are told where that is."""
    started = incident.organization.merging
    if incident.closed is not None or started is None:
        return ()
    text = f"merged into {into.id}: {printable(into.opened.title)}"
    commands = f"its Commander is {into.commander}" if into.commander else "nobody commands it yet"
    told = f"merged into {into.id}: {printable(into.title)}; {commands}. "
    told += "Everything about it happens there from now on"
    people = [p for p in incident.responders if p != started.person]
    pages = _told(incident, people, f"merge-{into.id}", told)
    return (*pages, e.IncidentClosed(reason="merged", text=text))


def split_off(incident: Incident, started: e.SplitStarted) -> tuple[e.Event, ...]:
    """How the incident begins that some alerts of this one become."""
    labels: Labels = {**incident.group_labels, **started.labels}
    title = incident.opened.title
    route = AlertRoute(key=incident.key, alerts=started.alerts, labels=started.labels)
    alerts = [incident.alerts[name] for name in started.alerts if name in incident.alerts]
    return (
        e.IncidentOpened(
            key=incident_key("", {**labels, "split": started.incident}),
            rule="",
            group_labels=labels,
            title=started.title,
            team=incident.opened.team,
        ),
        e.SplitFrom(
            other=incident.id,
            title=title,
            person=started.person,
            routes=(route,),
            reason=started.reason,
        ),
        *e.received(alerts, incomplete=False),
        e.ResponderArrived(person=started.person, via="split"),
        e.CommanderAppointed(person=started.person, reason="split it off"),
    )


def related_back(incident: Incident, other: Incident) -> tuple[e.Event, ...]:
    """That this incident was related to `other`, for the journal of this one."""
    relation = other.organization.related.get(incident.id)
    if relation is None or other.id in incident.organization.related:
        return ()
    return (
        e.IncidentRelated(
            other=other.id,
            title=other.opened.title,
            person=relation.person,
            reason=relation.reason,
            mirrored=True,
        ),
    )


def _other(incident: Incident, identity: str, situation: CommandSituation, doing: str) -> Incident:
    """The other incident that a command names. Raises NotPossible."""
    if identity == incident.id:
        raise InvalidCommand(f"an incident cannot be {doing} itself")
    other = situation.others.get(identity)
    if other is None:
        raise InvalidCommand(
            f"there is no incident {identity!r}; `stopgap incidents --open` lists the open ones"
        )
    if (other.drill and other.drill.run) != (incident.drill and incident.drill.run):
        raise NotPossible(f"one of {incident.id} and {other.id} is a drill; they stay apart")
    return other


def _leaving(incident: Incident) -> frozenset[str]:
    """The alerts that are being split off."""
    known = incident.organization
    going = [known.split_off[other].alerts for what, other in known.unwritten if what == "split"]
    return frozenset(name for alerts in going for name in alerts)


def _told(
    incident: Incident, people: Sequence[str], about: str, text: str
) -> tuple[e.PageQueued, ...]:
    """Word to those who are there already; nothing is asked of them."""
    number = incident.people.campaign
    pages = (direct_page(incident, p, "organized", text, about, occasion=number) for p in people)
    return tuple(page for each in pages for page in each)
