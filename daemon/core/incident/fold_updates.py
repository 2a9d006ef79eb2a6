"""The fold of the updates: drafts, what was sent, and where it has arrived."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.updates import ChannelDelivery, IncidentUpdates, UpdateState
from daemon.core.values.replace import replace


def apply_update(incident: Incident, at: datetime, event: e.UpdateEvent) -> Incident:
    """The incident after one more event of its updates."""
    updates = incident.updates
    match event:
        case e.UpdatesSnoozed():
            return replace(incident, updates=_snoozed(updates, at, event))
        case e.UpdateDrafted():
            state = _drafted(updates.by_name.get(event.update), at, event)
        case e.UpdateAssigned():
            state = _assigned(updates.by_name[event.update], at, event)
        case e.UpdateReleased():
            state = replace(
                updates.by_name[event.update],
                text=event.text,
                version=1,
                released_at=at,
                released_by=event.person,
            )
        case e.UpdateEdited():
            state = _edited(updates.by_name[event.update], event)
        case e.UpdatePublished():
            delivery = ChannelDelivery(event.version, event.reference)
            state = _with_delivery(updates.by_name[event.update], event.channel, delivery)
        case e.UpdateFailed():
            state = _failed(updates.by_name[event.update], at, event)
        case e.UpdateKept():
            before = updates.by_name[event.update]
            delivery = replace(before.delivery(event.channel), kept=event.version)
            state = _with_delivery(before, event.channel, delivery)
        case _:
            assert_never(event)
    by_name = {**updates.by_name, event.update: state}
    return replace(incident, updates=replace(updates, by_name=by_name))


def _drafted(before: UpdateState | None, at: datetime, event: e.UpdateDrafted) -> UpdateState:
    if before is None:
        return UpdateState(event, at, event.text)
    another = event.because != before.draft.because
    return replace(_unassigned(before) if another else before, draft=event, text=event.text)


def _assigned(state: UpdateState, at: datetime, event: e.UpdateAssigned) -> UpdateState:
    return replace(
        state,
        person=event.person,
        assigned_at=at,
        assigned=(*state.assigned, event.person),
        assignments=state.assignments + 1,
    )


def _edited(state: UpdateState, event: e.UpdateEdited) -> UpdateState:
    """Another text is tried anew, also where the one before could not be brought."""
    untried = {
        channel: replace(has, failures=0, failed_at=None)
        for channel, has in state.deliveries.items()
    }
    return replace(state, text=event.text, version=event.version, deliveries=untried)


def _failed(state: UpdateState, at: datetime, event: e.UpdateFailed) -> UpdateState:
    before = state.delivery(event.channel)
    delivery = replace(
        before,
        failures=before.failures + 1,
        failed_at=at,
        given_up=event.version if event.last else before.given_up,
    )
    return _with_delivery(state, event.channel, delivery)


def _with_delivery(state: UpdateState, channel: str, delivery: ChannelDelivery) -> UpdateState:
    return replace(state, deliveries={**state.deliveries, channel: delivery})


def _snoozed(updates: IncidentUpdates, at: datetime, event: e.UpdatesSnoozed) -> IncidentUpdates:
    """Whoever was asked before may be asked again when it is over."""
    by_name = {
        name: _unassigned(state) if state.audience == event.audience and not state.sent else state
        for name, state in updates.by_name.items()
    }
    return replace(
        updates,
        by_name=by_name,
        snoozed={**updates.snoozed, event.audience: event.until},
        snoozed_at={**updates.snoozed_at, event.audience: at},
    )


def _unassigned(state: UpdateState) -> UpdateState:
    """Nobody was asked to send it."""
    return replace(state, person="", assigned_at=None, assigned=())
