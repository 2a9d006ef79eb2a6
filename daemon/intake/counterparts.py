"""What concerns two incidents, written into the journal of the other one.

It is begun in one journal (`response.organizing`), and each step here may be repeated: a crash in
between is healed by doing all of it again, which whoever conducts the incident does.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from daemon.core.alertmanager import Alert
from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import KeyTaken
from daemon.core.response.organizing import (
    absorb,
    close_merged,
    related_back,
    split_off,
    unfit_to_absorb,
)
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()


async def write_counterparts(repository: IncidentRepository, incident: str) -> None:
    """Write all that other journals must have of it. Raises UnknownIncident, Temporary."""
    current = await repository.load(incident)
    for what, other in current.organization.counterparts:
        await write_counterpart(repository, incident, what, other)


async def write_counterpart(
    repository: IncidentRepository, incident: str, what: e.Counterpart, other: str
) -> None:
    """Write one of these. Raises UnknownIncident, Temporary."""
    match what:
        case "merge":
            await _merge(repository, incident, other)
        case "split":
            await _split(repository, incident, other)
        case "relation":
            await _relate(repository, incident, other)


async def _merge(repository: IncidentRepository, incident: str, into: str) -> None:
    """Alerts, people and what will come go into the other one; then this one is closed, if nothing
    was added to it meanwhile."""
    while True:
        merged = await repository.load(incident)
        started = merged.organization.merging
        if started is None or started.into != into:
            return
        by = f"{PERSON_PREFIX}{started.person}"
        now = repository.clock()

        def taken(other: Incident, merged: Incident = merged) -> Sequence[e.Event]:
            return absorb(other, merged, now)  # noqa: B023 - called within this turn

        try:
            other = await repository.record(into, taken, by=by)
        except UnknownIncident:
            other = None
        if other is None or incident not in other.organization.absorbed:
            text = unfit_to_absorb(other) if other is not None else f"there is no {into} any more"
            await repository.record(incident, lambda i: _abandoned(i, into, text))  # noqa: B023
            return

        def ended(
            current: Incident, merged: Incident = merged, other: Incident = other
        ) -> Sequence[e.Event]:
            return close_merged(current, other) if current.alerts == merged.alerts else ()

        after = await repository.record(incident, ended, by=by)
        if after.closed is not None:
            _log.info("incident merged", incident=incident, into=into)
            return


def _abandoned(incident: Incident, into: str, text: str) -> tuple[e.Event, ...]:
    started = incident.organization.merging
    if started is None or started.into != into:
        return ()
    return (e.MergeAbandoned(into=into, text=text),)


async def _split(repository: IncidentRepository, incident: str, new: str) -> None:
    """The new incident opens with these alerts; then they are this one's no more, if nothing was
    heard of them meanwhile."""
    while True:
        source = await repository.load(incident)
        started = source.organization.split_off.get(new)
        if started is None or ("split", new) not in source.organization.unwritten:
            return
        beginning = split_off(source, started)
        opened = beginning[0]
        assert isinstance(opened, e.IncidentOpened)  # noqa: S101 - as every journal begins
        try:
            await repository.load(new)
        except UnknownIncident:
            try:
                await repository.open(new, opened.key, beginning)
            except KeyTaken:
                _log.info("the split was carried out at the same moment", incident=new)
        alerts = {name: source.alerts[name] for name in started.alerts if name in source.alerts}

        def told(current: Incident, alerts: dict[str, Alert] = alerts) -> Sequence[e.Event]:
            news = [a for name, a in alerts.items() if current.alerts.get(name) != a]
            return e.received(news, incomplete=current.incomplete) if news else ()

        await repository.record(new, told)

        def written(current: Incident, alerts: dict[str, Alert] = alerts) -> Sequence[e.Event]:
            same = all(current.alerts.get(name) == alert for name, alert in alerts.items())
            pending = ("split", new) in current.organization.unwritten
            return (e.CounterpartWritten(what="split", other=new),) if same and pending else ()

        after = await repository.record(incident, written)
        if ("split", new) not in after.organization.unwritten:
            return


async def _relate(repository: IncidentRepository, incident: str, other: str) -> None:
    source = await repository.load(incident)
    relation = source.organization.related.get(other)
    if relation is None:
        return
    by = f"{PERSON_PREFIX}{relation.person}"
    try:
        await repository.record(other, lambda current: related_back(current, source), by=by)
    except UnknownIncident:
        _log.warning("related to an incident that is not in the store", incident=other)

    def written(current: Incident) -> Sequence[e.Event]:
        if ("relation", other) not in current.organization.unwritten:
            return ()
        return (e.CounterpartWritten(what="relation", other=other),)

    await repository.record(incident, written)
