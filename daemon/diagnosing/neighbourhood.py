"""What else began about the onset, and what was like it before: alerts, changes, incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daemon.core.diagnosis.alike import most_alike
from daemon.core.diagnosis.periods import Periods
from daemon.core.incident.dossier import DiagnosisFinding, FindingKind
from daemon.core.incident.state import Incident
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import Series
from daemon.core.ports.journal import Head, IncidentSearch
from daemon.core.recovery.guardrails import group_of, service_of
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.values.drill_key import drill_of
from daemon.core.values.units import clock_time, format_duration, printable
from daemon.measuring.queries import Survey
from daemon.repository import IncidentRepository, UnknownIncident

_ABOUT = timedelta(minutes=5)
"""What began within so much of the onset is told."""
CHANGED_WITHIN = timedelta(hours=1)
"""Changes elsewhere are told that were made so long before the onset."""
_MOST = 5
"""So many of each kind are told."""
_READ = 20
"""So many earlier incidents are read to compare them."""


@dataclass(frozen=True)
class Neighbourhood:
    """Where is looked: the journal, and who depends on whom."""

    repository: IncidentRepository
    dependencies: RuleDependencies
    incident: Incident
    span: Periods

    async def alerts(self, survey: Survey) -> list[DiagnosisFinding]:
        """Other alerts that became active about the onset. Raises Unmeasurable."""
        begin = (self.span.onset_from - _ABOUT).timestamp()
        end = (self.span.onset_until + _ABOUT).timestamp()
        query = f"topk(100, (ALERTS_FOR_STATE >= {begin:.0f}) <= {end:.0f})"
        answer = await survey.ask(query)
        if answer.warnings:
            raise Unmeasurable("query_error", "partial_answer", answer.warnings[0])
        others = [
            series
            for series in answer.series
            if series.samples and begin <= series.samples[-1][1] <= end and not self._own(series)
        ]
        others.sort(key=lambda series: abs(series.samples[-1][1] - self._onset.timestamp()))
        return [self._alert(series, query) for series in others[:_MOST]]

    async def changes(self) -> list[DiagnosisFinding]:
        """What other systems reported as changed elsewhere, shortly before; upstream first."""
        if self.incident.drill is not None:
            return []  # what is reported is real, and cannot be why in a drill
        since, until = self.span.onset_from - CHANGED_WITHIN, self.span.onset_until
        reported = await self.repository.journal.reported(since)
        upstream = self.dependencies.upstream(self.incident.rule)
        ranked = sorted(
            (
                (not any(u.match and u.covers("", change.labels) for u in upstream), change)
                for change in reported
                if change.at <= until and not self.incident.touched_by(change.labels)
            ),
            key=lambda found: (found[0], self._onset - found[1].at),
        )
        return [
            _told(
                "change",
                f"changed elsewhere{'' if apart else ', where this service depends on it'}: "
                f"{change.target or change.subject}: {change.previous or '?'} → {change.item} at "
                f"{clock_time(change.at)}, {self._when(change.at)}",
                subject=change.item,
            )
            for apart, change in ranked[:_MOST]
        ]

    async def concurrent(self) -> list[DiagnosisFinding]:
        """Other incidents that began about the onset; what this one depends on first."""
        search = IncidentSearch(
            since=self.span.onset_from - timedelta(minutes=30),
            until=self.span.onset_until + timedelta(minutes=30),
            drills="only" if self.incident.drill is not None else "without",
        )
        heads = await self.repository.journal.heads(100, search)
        run = drill_of(self.incident.key)
        beside = [head for head in heads if drill_of(head.key) == run]
        found = [head for head in beside if head.incident != self.incident.id and self._with(head)]
        ranked = sorted(
            ((not self._upstream(head), head) for head in found),
            key=lambda one: (one[0], abs(_begun(one[1]) - self._onset)),
        )
        return [
            _told(
                "concurrent",
                f"incident {head.incident} began {self._when(_begun(head))}: {head.title}"
                + ("" if apart else "; this service depends on it"),
                # Only what it depends on may be why.
                subject="" if apart else f"the trouble of {head.service or head.rule}",
                incident=head.incident,
            )
            for apart, head in ranked[:_MOST]
        ]

    async def alike(self) -> list[DiagnosisFinding]:
        """Earlier incidents alike."""
        journal, incident = self.repository.journal, self.incident
        before = incident.opened_at
        searches = [IncidentSearch(rule=incident.rule, until=before)]
        service = service_of(incident.key)
        if service:
            searches.append(IncidentSearch(service=service, until=before))
        heads: dict[str, Head] = {}
        for search in searches:
            heads |= {head.incident: head for head in await journal.heads(_READ, search)}
        others = []
        for name in heads:
            try:
                others.append(await self.repository.load(name))
            except UnknownIncident:
                continue  # it was archived meanwhile
        return [
            _told("alike", one.text, subject=one.incident.id, incident=one.incident.id)
            for one in most_alike(incident, others)
        ]

    @property
    def _onset(self) -> datetime:
        problem, span = self.incident.confirmed, self.span
        onset = problem.onset if problem else None
        # After a relapse the span is that of the relapse.
        known = onset is not None and span.onset_from <= onset <= span.onset_until
        return onset if known and onset is not None else span.onset_until

    def _own(self, series: Series) -> bool:
        names = {alert.name for alert in self.incident.alerts.values()}
        return series.labels.get("alertname") in names and self.incident.concerned_by(
            {n: v for n, v in series.labels.items() if n in self.incident.group_labels}
        )

    def _alert(self, series: Series, query: str) -> DiagnosisFinding:
        begun = datetime.fromtimestamp(series.samples[-1][1], UTC)
        name = series.labels.get("alertname", "?")
        hidden = {"alertname", "__name__", "severity"}
        labels = ", ".join(f"{n}={v}" for n, v in sorted(series.labels.items()) if n not in hidden)
        text = f"alert {name} ({labels}) became active {self._when(begun)}"
        return _told("alert", text, subject=name, query=query)

    def _with(self, head: Head) -> bool:
        return abs(_begun(head) - self._onset) <= _ABOUT

    def _upstream(self, head: Head) -> bool:
        return bool(head.rule) and self.dependencies.depends(
            self.incident.rule, head.rule, group_of(head.key)
        )

    def _when(self, at: datetime) -> str:
        apart = at - self._onset
        if abs(apart) < timedelta(seconds=1):
            return "at the onset"
        how = format_duration(timedelta(seconds=round(abs(apart).total_seconds())))
        return f"{how} {'after' if apart > timedelta(0) else 'before'} the onset"


def _begun(head: Head) -> datetime:
    if head.onset_from is None or head.onset_until is None:
        return head.opened_at
    return head.onset_from + (head.onset_until - head.onset_from) / 2


def _told(
    kind: FindingKind, text: str, *, subject: str, query: str = "", incident: str = ""
) -> DiagnosisFinding:
    return DiagnosisFinding(
        kind=kind,
        text=printable(text)[:500],
        subject=printable(subject)[:300],
        query=query,
        incident=incident,
    )


def suspect_findings(incident: Incident) -> Sequence[DiagnosisFinding]:
    """The changes as they were weighed; the likeliest is the subject, if there is one."""
    suspicion = incident.suspicion
    if suspicion is None:
        return []
    change = suspicion.change
    found = [
        _told("suspect", f"what changed: {suspicion.text}", subject=change.item if change else "")
    ]
    return [
        *found,
        *(
            _told(
                "suspect",
                f"{one.change.item} ({one.change.subject}): weight {one.score:.2g}; "
                + "; ".join([*one.reasons, *filter(None, [one.acquitted])]),
                subject="",
            )
            for one in suspicion.candidates[:_MOST]
            if one.change != change
        ),
    ]
