"""Earlier incidents alike: the same rule, service or suspect; what they were, and what helped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident.state import Incident
from daemon.core.values.units import printable

MOST_ALIKE = 3
"""So many are told."""


@dataclass(frozen=True)
class Alike:
    """An earlier incident. `score`: how much of it is the same; `same`: what that is, in words."""

    incident: Incident
    score: float
    same: tuple[str, ...]

    @property
    def text(self) -> str:
        """It in one sentence: when, what changed, what helped, how long it took."""
        one = self.incident
        begun = _begun(one)
        parts = [f"{begun:%d %B %Y}"]
        change = one.suspicion.change if one.suspicion else None
        if change is not None:
            parts.append(change.item)
        helped = one.steps.get(one.recovered_by)
        if helped is not None:
            parts.append(f"recovered by {helped.action.replace('_', ' ')}")
        elif one.recovered_at is not None:
            parts.append("recovered by itself or by hand")
        elif one.closed is not None:
            parts.append(f"closed ({one.closed.reason})")
        if one.recovered_at is not None:
            parts.append(f"{_minutes(one.recovered_at - begun)} in all")
        supported = [h.text for h in one.causes.hypotheses.values() if h.state == "supported"]
        if supported:
            parts.append(f"cause: {supported[-1]}")
        what = " and ".join(self.same)
        return printable(f"an incident alike ({what}): {', '.join(parts)}")[:500]


def most_alike(incident: Incident, others: Iterable[Incident]) -> list[Alike]:
    """The earlier ones that are most alike, the most first, of equals the newest."""
    found = [one for other in others if (one := _compared(incident, other)) is not None]
    found.sort(key=lambda one: (one.score, one.incident.opened_at), reverse=True)
    return found[:MOST_ALIKE]


def _compared(incident: Incident, other: Incident) -> Alike | None:
    if other.id == incident.id or other.confirmed is None or incident.confirmed is None:
        return None
    score = 0.0
    same: list[str] = []
    if other.rule == incident.rule:
        score, same = score + 2, [*same, "the same rule"]
    if other.group_labels == incident.group_labels:
        score, same = score + 2, [*same, "the same service"]
    names = {alert.name for alert in incident.alerts.values()}
    common = names & {alert.name for alert in other.alerts.values()}
    if common:
        score += len(common) / len(names)
    if other.confirmed.symptom == incident.confirmed.symptom and other.rule != incident.rule:
        score, same = score + 1, [*same, "the same symptom"]
    ours, theirs = (i.suspicion.change if i.suspicion else None for i in (incident, other))
    if ours is not None and theirs is not None and ours.subject == theirs.subject:
        score, same = score + 1, [*same, "the same suspect"]
    carriers = _carriers(incident) & _carriers(other)
    if carriers:
        score, same = score + 2, [*same, f"the same {min(carriers)}"]
    return Alike(other, score, tuple(same)) if score >= 2 and same else None


def _carriers(incident: Incident) -> set[str]:
    dossier = incident.causes.dossier
    if dossier is None:
        return set()
    return {f.subject for f in dossier.findings if f.kind == "contribution"}


def _begun(incident: Incident) -> datetime:
    onset = incident.confirmed.onset if incident.confirmed else None
    return onset or incident.opened_at


def _minutes(took: timedelta) -> str:
    minutes = max(1, round(took.total_seconds() / 60))
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
