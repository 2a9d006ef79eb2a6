"""Evidence that grows: while nothing was started, the changes are weighed again, and a step that
was passed over for want of evidence comes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from daemon.core.changes.scoring import LONG_ROLLOUT
from daemon.core.changes.suspects import Change, Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.onset_facts import onset_facts
from daemon.core.incident.reasons import EVIDENCE_REASONS
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.reassessment import onset_moved
from daemon.core.recovery.guardrails import Limits
from daemon.core.values.units import clock_time, printable

ONSET_PATIENCE = timedelta(minutes=2)
"""For so long after the confirmation a step waits for an onset that a change may explain."""


MOST_TOLD = 50
"""So many changes that were told late are written down of an incident."""


def trouble_began(incident: Incident) -> datetime:
    """The onset where it is known, or the first moment at which it was seen; else the confirmation,
    or the first alert."""
    known = incident.confirmed
    began = (known.onset or known.begun_by) if known is not None else None
    return began or incident.confirmed_at or incident.opened_at


def of_unknown_age(incident: Incident) -> datetime | None:
    """At which moment the trouble was there already, if nobody can tell since when: it is taken to
    be too old for anything to start by itself. None if that can be told."""
    known = incident.confirmed
    return known.begun_by if known is not None and known.onset is None else None


def may_grow(incident: Incident, limits: Limits, now: datetime) -> bool:
    """Whether what is measured and told from now on may still change what is started.

    It ends with the first step that acts, with what a person approves, starts or proposes, with a
    recovery, and once the trouble is too old for an automatic start. An attempt that was taken
    back before it changed anything does not end it: the step waits as before.
    """
    if incident.confirmed is None or incident.closed is not None:
        return False
    if incident.recovered_at is not None or incident.relapses or of_unknown_age(incident):
        return False
    begun = any(
        step.status == "running" or step.acted or step.approved_by or step.proposed is not None
        for step in incident.steps.values()
    )
    return not begun and now - trouble_began(incident) <= limits.onset_age


def awaits_onset(incident: Incident, target: str, limits: Limits, now: datetime) -> str:
    """Why a step on this target waits for the onset to show; empty if it does not.

    With thin traffic a problem is confirmed before its onset can be told, and only an onset says
    whether one of the changes came first.
    """
    confirmed, suspicion = incident.confirmed, incident.suspicion
    if confirmed is None or confirmed.onset is not None or suspicion is None:
        return ""
    ends = (incident.confirmed_at or confirmed.at) + ONSET_PATIENCE
    if now >= ends or suspicion.verdict != "none" or suspicion.shared:
        return ""
    fitting = [c.change.item for c in suspicion.candidates if c.change.aim == target]
    if not fitting or not may_grow(incident, limits, now):
        return ""
    return (
        f"waiting until {clock_time(ends)} for the onset to show: "
        f"{', '.join(fitting)} may explain it"
    )


def passed_over(incident: Incident, limits: Limits, now: datetime) -> tuple[int, ...]:
    """The steps that were passed over for want of evidence, if there is a suspect by now.

    What a person skipped or vetoed is not among them, and in a pause nothing comes back.
    """
    suspicion = incident.suspicion
    fits = suspicion is not None and suspicion.verdict in {"suspect", "doubtful"}
    if not fits or incident.paused_by:
        return ()
    if not may_grow(incident, limits, now):
        return ()
    return tuple(
        number
        for number, step in sorted(incident.steps.items())
        if step.status == "skipped" and step.refusal in EVIDENCE_REASONS
    )


def reassessed(
    incident: Incident, adopted: Problem | None, suspicion: Suspicion
) -> e.ProblemReassessed | None:
    """What is new since the problem was weighed last; None if nothing is.

    `adopted`: the later measurement, if the changes were weighed against that. News is another
    verdict, suspect or doubt, a change that was not weighed before, or an onset that moved by
    more than it was uncertain. That numbers move a little is none.
    """
    known = incident.confirmed
    if known is None:
        return None
    moved = adopted is not None and onset_moved(known, adopted)
    if not moved and not _news(incident.suspicion, suspicion):
        return None
    return e.ProblemReassessed(problem=adopted, suspicion=suspicion)


def unweighed_change(incident: Incident) -> str:
    """Which change was told since the changes were weighed, and may have come before the onset:
    it may be to blame as well. Empty if there is none."""
    onset = onset_facts(incident).onset_until
    for told in incident.told[incident.told_weighed :]:
        change = told.change
        if onset is None or change.at <= onset:
            return (
                f"{printable(change.subject)} → {printable(change.item)} at "
                f"{clock_time(change.at)}, told at {clock_time(told.told_at)}"
            )
    return ""


def takes_change(incident: Incident, change: Change) -> bool:
    """Whether a change that is told now is written down: once, and not if it was long before."""
    if incident.closed is not None or len(incident.told) >= MOST_TOLD:
        return False
    known = any(_identity(told.change) == _identity(change) for told in incident.told)
    return not known and change.at >= incident.opened_at - LONG_ROLLOUT


def _news(known: Suspicion | None, later: Suspicion) -> bool:
    if known is None:
        return True
    seen = {_identity(one.change) for one in known.candidates}
    added = any(_identity(one.change) not in seen for one in later.candidates)
    return added or _essence(known) != _essence(later)


def _essence(suspicion: Suspicion) -> tuple[dict[str, Any], object]:
    """All of it that decides; sentences and weights change with every measurement."""
    told = {"text", "candidates", "change", "doubt_text"}
    change = suspicion.change
    return suspicion.model_dump(exclude=told), None if change is None else _identity(change)


def _identity(change: Change) -> tuple[str, str, datetime]:
    return change.subject, change.item, change.at
