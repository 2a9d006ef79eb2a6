"""What the API says of an incident, worked out from it as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from daemon.core.incident.alert_words import alert_links, alert_words
from daemon.core.incident.events import Entry, suppression
from daemon.core.incident.observation import would
from daemon.core.incident.outcome_facts import outcome_facts, outcome_words
from daemon.core.incident.state import Incident
from daemon.core.incident.updates import UpdateState
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.people.roster import Roster
from daemon.core.ports.journal import Head
from daemon.core.recovery.commands import allowed_commands
from daemon.core.recovery.plan import plan_of
from daemon.core.reporting import now_and_next
from daemon.core.reporting.review.durations import durations
from daemon.core.reporting.step_briefing import NO_RISKS, brief
from daemon.core.reporting.timeline import timeline_lines
from daemon.core.response import milestones
from daemon.core.response.external_help import HelpSuggestion
from daemon.core.response.role_requests import suggestions
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.drill_key import drill_of
from daemon.core.values.units import format_duration
from daemon.web.api.calls_view import calls_view
from daemon.web.api.collaboration_view import collaboration_view
from daemon.web.api.organization_view import organization_view
from daemon.web.api.schemas import (
    AlertLinkView,
    AlertView,
    AlertWordsView,
    CauseView,
    ChannelView,
    ClockView,
    DiagnosisView,
    DryRunView,
    EngagedView,
    FindingView,
    HeardView,
    HelpView,
    HypothesisView,
    ImpactView,
    IncidentRow,
    IncidentView,
    RequestView,
    StandardView,
    StepView,
    Suggested,
    TimelineEntry,
    TimelineLineView,
    UpdateView,
)

DAEMONS = "stopgap"
"""Who holds fast recovery until a person takes it."""


def head_view(head: Head, rule: Rule | None) -> IncidentRow:
    """A row of the list; `rule`: the one in force."""
    return IncidentRow(
        id=head.incident,
        status="open" if head.closed_at is None else "closed",
        drill=drill_of(head.key),
        mode=rule.mode if rule is not None else "",
        outcome=outcome_words(head.outcome, closed=head.closed_at is not None),
        **head.model_dump(
            include={"phase", "severity", "title", "rule", "team", "service"}
            | {"opened_at", "closed_at", "wake_at"}
        ),
    )


def incident_view(
    incident: Incident,
    rule: Rule | None,
    roster: Roster,
    now: datetime,
    document: str,
    veterans: Sequence[str],
    risks: Mapping[str, str] = NO_RISKS,
    helpers: Sequence[HelpSuggestion] = (),
) -> IncidentView:
    """One incident as it stands. `rule` is the one in force; `document` is the link to its
    standard document; `risks`: what each action declares."""
    problem = incident.confirmed or incident.problem
    plan = plan_of(incident, rule) if rule is not None else {}
    return IncidentView(
        id=incident.id,
        status="open" if incident.closed is None else "closed",
        phase=incident.phase,
        stage=incident.stage,
        severity=incident.severity,
        title=incident.title,
        outcome=outcome_words(outcome_facts(incident), closed=incident.closed is not None),
        drill=drill_of(incident.key),
        statement=problem.text if problem else "",
        doing=now_and_next.doing(incident),
        coming=now_and_next.coming(incident, rule, now),
        rule=incident.rule,
        mode=rule.mode if rule is not None else "",
        labels=incident.group_labels,
        team=incident.opened.team,
        opened_at=incident.opened_at,
        acknowledged_at=incident.acknowledged_at,
        recovered_at=incident.recovered_at,
        closed_at=incident.closed_at,
        commander=incident.commander,
        responders=incident.responders,
        paused_by=incident.paused_by,
        **_crew(incident, roster, now, veterans),
        **collaboration_view(incident, roster, rule, helpers),
        calls=calls_view(incident, roster),
        clock=tuple(_reading(reading) for reading in milestones.read_clock(incident, roster, now)),
        missed=dict(incident.missed),
        updates=updates_view(incident, roster),
        sentiment=tuple(
            HeardView(source=sentiment.source, text=sentiment.text, value=sentiment.value)
            for sentiment in incident.sentiment
        ),
        problem=problem,
        suspect=incident.suspicion.text if incident.suspicion else "",
        suspicion=incident.suspicion,
        diagnosis=diagnosis_view(incident),
        # Unchecked, for they were checked when they came, and there may be ten thousand.
        alerts=tuple(
            AlertView.model_construct(name=a.name, status=a.status, labels=a.labels)
            for a in incident.alerts.values()
        ),
        alert_words=tuple(
            AlertWordsView(alert=one.alert, summary=one.summary, description=one.description)
            for one in alert_words(incident)
        ),
        alert_links=tuple(
            AlertLinkView(name=link.name, url=link.url) for link in alert_links(incident)
        ),
        suppressed=suppression(incident.suppressed),
        storm=incident.storm.storm if incident.storm else "",
        silence=incident.silence.link if incident.silence else "",
        steps=tuple(_step(incident, rule, n, plan.get(n), risks) for n in sorted(incident.steps)),
        durations=durations(incident).shown(),
        defects=len(incident.defects),
        impact=_impact(incident),
        cause=_cause(incident),
        follow_ups=tuple(incident.learning.follow_ups.values()),
        standards=tuple(
            StandardView.model_validate(one.model_dump(exclude={"kind"}))
            for one in incident.learning.standards
        ),
        organization=organization_view(incident),
        document=document,
        review=incident.review,
        seq=incident.seq,
    )


def updates_view(incident: Incident, roster: Roster) -> tuple[UpdateView, ...]:
    """The updates in the order of their drafting."""
    return tuple(
        UpdateView(
            update=name,
            audience=update.audience,
            stage=update.draft.stage,
            because=update.draft.because,
            text=update.text,
            revision=update.draft.revision,
            version=update.version,
            sent=update.released_at,
            by=update.released_by,
            person=update.person,
            channels=_channels(update, roster),
        )
        for name, update in incident.updates.by_name.items()
    )


def diagnosis_view(incident: Incident) -> DiagnosisView:
    """What is known of the cause."""
    known = incident.causes
    dossier = known.dossier
    findings = (*(dossier.findings if dossier else ()), *known.findings)
    return DiagnosisView(
        ordered_by=known.ordered_by,
        gathered=known.dossier_at,
        findings=tuple(
            FindingView(**found.model_dump(include=set(FindingView.model_fields)))
            for found in findings
        ),
        limits=dossier.limits if dossier else (),
        hypotheses=tuple(
            HypothesisView(
                hypothesis=one.name,
                text=one.text,
                state=one.state,
                made_by=one.made_by,
                owner=one.owner,
                evidence=one.evidence,
            )
            for one in known.hypotheses.values()
        ),
        needed=tuple(
            HelpView(team=team, person=asked.person, reason=asked.reason)
            for team, asked in known.needed.items()
            if team not in incident.people.engaged
        ),
    )


def timeline_view(entries: Iterable[Entry]) -> tuple[TimelineEntry, ...]:
    """The journal, each entry with its line for people."""
    return tuple(
        TimelineEntry(
            seq=entry.seq,
            at=entry.at,
            kind=entry.event.kind,
            by=entry.by,
            text=entry.event.describe(),
            event=entry.event,
        )
        for entry in entries
    )


def timeline_lines_view(entries: Sequence[Entry]) -> tuple[TimelineLineView, ...]:
    """The timeline as people read it, the oldest first."""
    return tuple(
        TimelineLineView(at=line.at, by=line.by, text=line.text, seqs=line.seqs)
        for line in reversed(timeline_lines(entries))
    )


def _crew(
    incident: Incident, roster: Roster, now: datetime, veterans: Sequence[str]
) -> dict[str, Any]:
    """Who has which role, who is asked, who could be; and the teams that were called in."""
    people = incident.people
    held = {role: people.holder(role) for role in ROLE_NAMES}
    vacant = [role for role, person in held.items() if not person and incident.closed is None]
    return {
        "roles": {**held, "fast_recovery": held["fast_recovery"] or DAEMONS},
        "requests": tuple(
            RequestView(
                request=request.event.request,
                role=request.event.role,
                how=request.event.how,
                taker=request.event.taker,
                asked=request.event.asked,
                by=request.event.by,
                until=request.event.until,
                why=request.event.why,
            )
            for request in people.open_requests()
        ),
        "suggestions": {
            role: tuple(
                Suggested(person=found.person, why=found.why)
                for found in suggestions(incident, role, roster, veterans, now)
            )
            for role in vacant
        },
        "engaged": tuple(
            EngagedView(team=team, answered_by=engaged.answered_by)
            for team, engaged in people.engaged.items()
        ),
    }


def _impact(incident: Incident) -> ImpactView | None:
    tally = incident.impact
    if tally.began is None:
        return None
    return ImpactView(
        failed_requests=tally.failed,
        lasted=tally.lasted.total_seconds(),
        assumed=tally.assumed.total_seconds(),
        unmeasured=tally.unmeasured.total_seconds(),
        worst_level=tally.worst_level,
        worst_loss=tally.worst_loss,
        worst_at=tally.worst_at,
        ended=tally.ended,
    )


def _cause(incident: Incident) -> CauseView | None:
    cause, at = incident.learning.cause, incident.learning.cause_at
    if cause is None or at is None:
        return None
    return CauseView(
        text=cause.text, category=cause.category, change=cause.change, person=cause.person, at=at
    )


def _reading(reading: milestones.MilestoneReading) -> ClockView:
    took = reading.took
    return ClockView(
        item=reading.item,
        text=reading.text,
        state=reading.state,
        due_at=reading.due_at,
        took=None if took is None else format_duration(_whole_seconds(took)),
    )


def _channels(update: UpdateState, roster: Roster) -> tuple[ChannelView, ...]:
    return tuple(
        ChannelView(
            channel=name,
            version=update.delivery(name).version,
            state=update.state_in(name),
            reference=update.delivery(name).reference,
            failures=update.delivery(name).failures,
        )
        for name in update.channels(roster.channels_of(update.audience))
    )


def _step(
    incident: Incident,
    rule: Rule | None,
    number: int,
    spec: StepSpec | None,
    risks: Mapping[str, str],
) -> StepView:
    """`spec`: what the rule says of it; before it starts there is nothing else."""
    step = incident.steps[number]
    briefing = brief(step, spec, risks)
    return StepView(
        step=number,
        status=step.status,
        action=step.action or (spec.action if spec else ""),
        target=step.target,
        summary=step.summary,
        authority=step.authority,
        refusal=step.refusal,
        waits_for=step.ask_reason if step.awaits_approval else "",
        asked_because=briefing.why,
        label=briefing.label,
        dry_run=None
        if briefing.tried_at is None
        else DryRunView(
            at=briefing.tried_at, passed=not briefing.trouble, trouble=briefing.trouble
        ),
        risk=briefing.risk,
        approved_by=step.approved_by,
        proposed_by=step.proposed_by,
        observed=None if step.observed is None else step.observed or "would start",
        would="" if step.observation is None else would(step.observation),
        outcome=step.outcome,
        verdict=step.verdict,
        verdict_text=step.verdict_text,
        allowed=allowed_commands(incident, rule, number),
    )


def _whole_seconds(value: timedelta) -> timedelta:
    return timedelta(seconds=round(value.total_seconds()))
