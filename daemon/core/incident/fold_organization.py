"""The fold of what people organize, and of the maintenance that holds calls."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.organization import Organization, worse
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_organization(incident: Incident, at: datetime, event: e.OrganizationEvent) -> Incident:
    """The incident after one more of these events."""
    known = incident.organization
    match event:
        case e.SeveritySet():
            return _severity_set(incident, at, event)
        case e.TeamReassigned():
            opened = incident.opened.model_copy(update={"team": event.team})
            # The other policy is gone through from its first tier.
            known_people = incident.people
            people = replace(
                known_people,
                campaign=known_people.campaign + 1,
                reassigned_at=at,
                past_jumps=len(known_people.jumps),
            )
            return replace(incident, opened=opened, people=people)
        case e.CounterpartWritten():
            return _written(incident, at, event)
        case e.IncidentAbsorbed():
            return _as_severe_as(
                replace(incident, organization=_organized(known, event)), at, event
            )
        case _:
            return replace(incident, organization=_organized(known, event))


def apply_maintenance(incident: Incident, at: datetime, event: e.MaintenanceEvent) -> Incident:
    """The incident after its calls were held, or not any longer."""
    known = incident.organization
    match event:
        case e.PagesHeld():
            known = replace(known, held=event)
        case e.PagesReleased():
            known = replace(known, held=None, released_at=at)
        case _:
            assert_never(event)
    return replace(incident, organization=known)


def _organized(
    known: Organization,
    event: e.IncidentDeclared
    | e.IncidentRelated
    | e.MergeStarted
    | e.MergeAbandoned
    | e.IncidentAbsorbed
    | e.SplitStarted
    | e.SplitFrom,
) -> Organization:
    match event:
        case e.IncidentDeclared():
            return replace(known, declared=event)
        case e.IncidentRelated():
            unwritten: tuple[tuple[e.Counterpart, str], ...] = known.unwritten
            if not event.mirrored:
                unwritten = (*unwritten, ("relation", event.other))
            related = {**known.related, event.other: event}
            return replace(known, related=related, unwritten=unwritten)
        case e.MergeStarted():
            return replace(known, merging=event)
        case e.MergeAbandoned():
            return replace(known, merging=None)
        case e.IncidentAbsorbed():
            absorbed = {**known.absorbed, event.other: event}
            return replace(known, absorbed=absorbed, routes=(*known.routes, *event.routes))
        case e.SplitStarted():
            unwritten = (*known.unwritten, ("split", event.incident))
            split_off = {**known.split_off, event.incident: event}
            return replace(known, split_off=split_off, unwritten=unwritten)
        case e.SplitFrom():
            return replace(known, split_from=event, routes=(*known.routes, *event.routes))
        case _:
            assert_never(event)


def _written(incident: Incident, at: datetime, event: e.CounterpartWritten) -> Incident:
    """The other journal has it. What was split off is this incident's no more."""
    known = incident.organization
    done = (event.what, event.other)
    left = tuple(one for one in known.unwritten if one != done)
    incident = replace(incident, organization=replace(known, unwritten=left))
    split = known.split_off.get(event.other) if event.what == "split" else None
    if split is None:
        return incident
    alerts = {name: a for name, a in incident.alerts.items() if name not in split.alerts}
    return replace(incident, alerts=alerts, alerts_changed_at=at)


def _as_severe_as(incident: Incident, at: datetime, event: e.IncidentAbsorbed) -> Incident:
    """It is no less severe than what became part of it."""
    known = incident.organization
    if known.severity is not None:
        measured = worse(known.severity_measured, event.severity)
        incident = replace(incident, organization=replace(known, severity_measured=measured))
    if worse(incident.severity, event.severity) == incident.severity:
        return incident
    return replace(incident, severity=event.severity, severity_rose_at=at)


def _severity_set(incident: Incident, at: datetime, event: e.SeveritySet) -> Incident:
    """The higher of what is measured and what a person says counts."""
    known = incident.organization
    measured = known.severity_measured if known.severity is not None else incident.severity
    severity = worse(measured, event.severity)
    rises = bool(severity) and worse(incident.severity, severity) != incident.severity
    return replace(
        incident,
        severity=severity,
        severity_rose_at=at if rises else incident.severity_rose_at,
        organization=replace(known, severity=event, severity_measured=measured),
    )
