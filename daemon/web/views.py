"""What the API says of an incident, as plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from daemon.core.events import Entry
from daemon.core.incident import Incident
from daemon.core.ports import Head
from daemon.core.review import durations
from daemon.core.timeline import describe


def head_view(head: Head) -> dict[str, Any]:
    """A row of the list."""
    return {
        "id": head.incident,
        "status": "open" if head.closed_at is None else "closed",
        "phase": head.phase,
        "severity": head.severity,
        "title": head.title,
        "opened_at": head.opened_at.isoformat(),
        "closed_at": _moment(head.closed_at),
        "wake_at": _moment(head.wake_at),
    }


def incident_view(incident: Incident) -> dict[str, Any]:
    """One incident as it stands."""
    problem = incident.confirmed or incident.problem
    return {
        "id": incident.id,
        "status": "open" if incident.closed is None else "closed",
        "phase": incident.phase,
        "severity": incident.severity,
        "title": incident.title,
        "statement": problem.text if problem else "",
        "rule": incident.rule,
        "labels": incident.group_labels,
        "team": incident.opened.team,
        "opened_at": incident.opened_at.isoformat(),
        "acknowledged_at": _moment(incident.acknowledged_at),
        "recovered_at": _moment(incident.recovered_at),
        "closed_at": _moment(incident.closed_at),
        "commander": incident.commander,
        "responders": list(incident.responders),
        "paused_by": incident.paused_by,
        "problem": problem.model_dump(mode="json") if problem else None,
        "suspect": incident.suspicion.text if incident.suspicion else "",
        "alerts": [
            {"name": a.name, "status": a.status, "labels": a.labels}
            for a in incident.alerts.values()
        ],
        "incomplete": incident.incomplete,
        "steps": [_step(incident, number) for number in sorted(incident.steps)],
        "durations": durations(incident).shown(),
        "review": incident.review,
        "seq": incident.seq,
    }


def timeline_view(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The journal, each entry with its line for people."""
    return [
        {
            "seq": entry.seq,
            "at": entry.at.isoformat(),
            "kind": entry.event.kind,
            "by": entry.by,
            "text": describe(entry.event),
            "event": entry.event.model_dump(mode="json"),
        }
        for entry in entries
    ]


def _step(incident: Incident, number: int) -> dict[str, Any]:
    step = incident.steps[number]
    return {
        "step": number,
        "status": step.status,
        "action": step.action,
        "target": step.target,
        "summary": step.summary,
        "authority": step.authority,
        "refusal": step.refusal,
        "waits_for": step.asked if step.status == "waiting" else "",
        "approved_by": step.approved_by,
        "outcome": step.outcome.model_dump(mode="json") if step.outcome else None,
        "verdict": step.verdict,
        "verdict_text": step.verdict_text,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
