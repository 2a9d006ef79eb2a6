"""An incident is the fold of its events: `apply_event` is the state after one more of them.

Each family of events has its own fold in a file of its own; mypy says which event one forgot.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.fold_amendments import apply_amendment
from daemon.core.incident.fold_call_answers import apply_call_answer
from daemon.core.incident.fold_collaboration import apply_collaboration
from daemon.core.incident.fold_diagnosis import apply_diagnosis
from daemon.core.incident.fold_drills import apply_drill
from daemon.core.incident.fold_lifecycle import apply_lifecycle
from daemon.core.incident.fold_misjudgements import misjudged
from daemon.core.incident.fold_organization import apply_maintenance, apply_organization
from daemon.core.incident.fold_pages import apply_page
from daemon.core.incident.fold_responders import apply_responder, sign_of_life
from daemon.core.incident.fold_silences import apply_silence
from daemon.core.incident.fold_steps import apply_step
from daemon.core.incident.fold_storm import apply_storm
from daemon.core.incident.fold_updates import apply_update
from daemon.core.incident.last_word import last_word_after
from daemon.core.incident.learning import added_afterwards, learned
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace

ReachingEvent = (
    e.PageEvent
    | e.AmendmentEvent
    | e.ResponderEvent
    | e.CallAnswerEvent
    | e.UpdateEvent
    | e.LastWordEvent
    | e.CollaborationEvent
    | e.StormEvent
    | e.SilenceEvent
)


def fold(entries: Iterable[e.Entry]) -> Incident:
    """Read a journal into an Incident. Raises ValueError if it does not begin with an opening."""
    return fold_onto(None, entries)


def fold_onto(incident: Incident | None, entries: Iterable[e.Entry]) -> Incident:
    """The same for an incident of which the entries before these were read already; None where
    these are all of it."""
    seq = incident.seq if incident is not None else 0
    for entry in entries:
        if incident is None:
            if not isinstance(entry.event, e.IncidentOpened):
                raise ValueError(f"the journal of {entry.incident} does not begin with an opening")
            incident = Incident(entry.incident, entry.at, entry.event)
        else:
            incident = apply_event(incident, entry.at, entry.event, entry.by)
        seq = entry.seq
        if entry.format > incident.format:
            incident = replace(incident, format=entry.format)
    if incident is None:
        raise ValueError("an empty journal is no incident")
    return replace(incident, seq=seq)


def apply_event(incident: Incident, at: datetime, event: e.Event, by: str = e.DAEMON) -> Incident:
    """The incident after one more event by that actor."""
    incident = sign_of_life(incident, at, event, by)
    if incident.closed is not None:
        incident = replace(incident, learning=added_afterwards(incident.learning, event))
    if isinstance(event, e.WrittenByNewer):
        return replace(incident, beyond=(*incident.beyond, event.of))
    if isinstance(event, e.LifecycleEvent):
        return apply_lifecycle(incident, at, event)
    if isinstance(event, e.StepEvent):
        found = misjudged(incident, event)
        return apply_step(replace(incident, misjudgements=found), at, event)
    if isinstance(event, e.LearningEvent):
        return replace(incident, learning=learned(incident.learning, at, event))
    if isinstance(event, e.DiagnosisEvent):
        return apply_diagnosis(incident, at, event)
    if isinstance(event, e.DrillEvent):
        return apply_drill(incident, at, event)
    if isinstance(event, e.OrganizationEvent):
        return apply_organization(incident, at, event)
    if isinstance(event, e.MaintenanceEvent):
        return apply_maintenance(incident, at, event)
    return _apply_reaching(incident, at, event)


def _apply_reaching(incident: Incident, at: datetime, event: ReachingEvent) -> Incident:
    """The same for what tells of people, and of what reaches them."""
    if isinstance(event, e.PageEvent):
        return apply_page(incident, at, event)
    if isinstance(event, e.AmendmentEvent):
        return apply_amendment(incident, at, event)
    if isinstance(event, e.ResponderEvent):
        return apply_responder(incident, at, event)
    if isinstance(event, e.CallAnswerEvent):
        return apply_call_answer(incident, at, event)
    if isinstance(event, e.UpdateEvent):
        return apply_update(incident, at, event)
    if isinstance(event, e.LastWordEvent):
        return replace(incident, last_word=last_word_after(incident.last_word, at, event))
    if isinstance(event, e.CollaborationEvent):
        return apply_collaboration(incident, at, event)
    if isinstance(event, e.StormEvent):
        return apply_storm(incident, at, event)
    if isinstance(event, e.SilenceEvent):
        return apply_silence(incident, at, event)
    assert_never(event)
