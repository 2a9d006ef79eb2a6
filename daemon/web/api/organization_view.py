"""How people have organized an incident, as the API and the pages tell it."""

from __future__ import annotations

from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Severity
from daemon.core.values.units import Frozen
from daemon.web.api.stamp import Stamp


class LinkedIncident(Frozen):
    """Another incident, and why it is linked: who said so, and what for."""

    incident: str
    title: str
    person: str
    reason: str


class SaidSeverity(Frozen):
    """What a person says of the severity, beside what is measured; the higher of the two counts."""

    severity: Severity
    measured: Severity
    person: str
    reason: str


class HeldCalls(Frozen):
    """Calls and actions wait for the end of a maintenance window."""

    window: str
    until: Stamp
    by: str
    reason: str


class OrganizationView(Frozen):
    """What people have made of an incident.

    `declared_by` opened it by hand, in the words of `declared_as`; empty if an alert did.
    `severity_said`: null while nobody has. `merged_into`: what it is a part of, or is about to be;
    `absorbed`: what became part of it. `split_from`: what it was a part of, `split_off` what was a
    part of it. `held`: null while its calls are not held by maintenance.
    """

    declared_by: str
    declared_as: str
    severity_said: SaidSeverity | None
    related: tuple[LinkedIncident, ...]
    merged_into: str
    absorbed: tuple[LinkedIncident, ...]
    split_from: LinkedIncident | None
    split_off: tuple[LinkedIncident, ...]
    held: HeldCalls | None


def organization_view(incident: Incident) -> OrganizationView:
    """It as it stands."""
    known = incident.organization
    said, held, source = known.severity, known.held, known.split_from
    return OrganizationView(
        declared_by=known.declared.person if known.declared else "",
        declared_as=known.declared.title if known.declared else "",
        severity_said=None
        if said is None or not said.severity
        else SaidSeverity(
            severity=said.severity,
            measured=known.severity_measured,
            person=said.person,
            reason=said.reason,
        ),
        related=tuple(
            LinkedIncident(incident=r.other, title=r.title, person=r.person, reason=r.reason)
            for r in known.related.values()
        ),
        merged_into=known.merged_into or (known.merging.into if known.merging else ""),
        absorbed=tuple(
            LinkedIncident(incident=a.other, title=a.title, person=a.person, reason=a.reason)
            for a in known.absorbed.values()
        ),
        split_from=None
        if source is None
        else LinkedIncident(
            incident=source.other, title=source.title, person=source.person, reason=source.reason
        ),
        split_off=tuple(
            LinkedIncident(incident=s.incident, title=s.title, person=s.person, reason=s.reason)
            for s in known.split_off.values()
        ),
        held=None
        if held is None
        else HeldCalls(window=held.window, until=held.until, by=held.by, reason=held.reason),
    )
