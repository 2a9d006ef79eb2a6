"""Questions to the journal as a whole: which incidents, what was opened and what was heard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from heapq import nlargest
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    and_,
    func,
    or_,
    select,
    type_coerce,
)

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.schema import events, head_is_open, head_is_pending, heads, is_drill
from daemon.adapters.store.statements import portions
from daemon.core.incident.events import AlertsReceived, decode
from daemon.core.ports.journal import (
    RECOVERED_BY_PEOPLE,
    AlertSighting,
    IncidentSearch,
    OpeningOutcome,
    RuleOpenings,
)
from daemon.core.values.drill_key import id_prefix

_LOOKED_AT = 20_000
"""So many of the newest deliveries are looked through for the alerts that were heard."""


def found(search: IncidentSearch, limit: int) -> Select[Any]:
    """The newest heads that fit, the newest first."""
    newest = select(heads).order_by(heads.c.opened_at.desc(), heads.c.incident.desc())
    return newest.where(*_conditions(search)).limit(limit)


def outcomes(search: IncidentSearch, limit: int, connection: Connection) -> list[OpeningOutcome]:
    """What figures need of the newest incidents that fit, the newest first."""
    columns = (heads.c[name] for name in OpeningOutcome._fields)
    newest = found(search, limit).with_only_columns(*columns)
    return [OpeningOutcome(*row) for row in connection.execute(newest)]


def _conditions(search: IncidentSearch) -> Iterator[ColumnElement[bool]]:
    if search.drills != "with":
        yield is_drill if search.drills == "only" else ~is_drill
    if search.status:
        yield head_is_open if search.status == "open" else heads.c.closed_at.is_not(None)
    if search.pending:
        yield head_is_pending
    if search.rule is not None:
        yield heads.c.rule == search.rule
    for name in ("key", "severity", "team", "service"):
        if getattr(search, name):
            yield heads.c[name] == getattr(search, name)
    if search.text:
        columns = ("title", "incident", "rule", "team", "service")
        yield or_(*(heads.c[name].icontains(search.text, autoescape=True) for name in columns))
    if search.by_people:
        facts = type_coerce(heads.c.outcome, Text)  # compact JSON, as pydantic writes it
        told = (f'"recovered_by":"{by}"' for by in RECOVERED_BY_PEOPLE)
        yield or_(*(facts.contains(one, autoescape=True) for one in told))
    if search.since is not None:
        yield heads.c.opened_at >= search.since
    if search.until is not None:
        yield heads.c.opened_at < search.until
    if search.after is not None:
        at, incident = search.after.opened_at, search.after.incident
        same = and_(heads.c.opened_at == at, heads.c.incident < incident)
        yield heads.c.opened_at <= at  # by which the index finds the place; an OR alone scans
        yield or_(heads.c.opened_at < at, same)


def openings(connection: Connection) -> dict[str, RuleOpenings]:
    """What each rule has opened.

    Counted by the index alone; whether an incident is a drill stands in its row, so drills are
    counted apart, by their ids: a hundred thousand rows would be read otherwise.
    """
    last = func.max(heads.c.opened_at, type_=heads.c.opened_at.type)
    ruled = select(heads.c.rule, func.count(), last).where(heads.c.rule != "")
    counted = ruled.group_by(heads.c.rule)
    every = {rule: (count, at) for rule, count, at in connection.execute(counted)}
    begin, end = id_prefix(), id_prefix()[:-1] + chr(ord(id_prefix()[-1]) + 1)
    of_drills = counted.where(heads.c.incident >= begin, heads.c.incident < end)
    drills = {rule: count for rule, count, _ in connection.execute(of_drills)}
    told: dict[str, RuleOpenings] = {}
    for rule, (count, at) in every.items():
        real = count - drills.get(rule, 0)
        if real and rule in drills:
            newest = select(heads.c.opened_at).where(heads.c.rule == rule, ~is_drill)
            at = connection.scalar(newest.order_by(heads.c.opened_at.desc()).limit(1))
        if real:
            told[rule] = RuleOpenings(count=real, last_at=at)
    return told


def alert_sightings(since: datetime, connection: Connection) -> list[AlertSighting]:
    """The alerts there was news of, once for each incident, the newest first."""
    # Entries are found by their incident, so first the incidents of that time are: in one statement
    # SQLite reads through all entries that there are.
    of_that_time = or_(head_is_open, heads.c.closed_at >= since)
    found = select(heads.c.incident, heads.c.rule).where(of_that_time, ~is_drill)
    rules: dict[str, str] = {row.incident: row.rule for row in connection.execute(found)}
    told = select(events.c.incident, events.c.at, events.c.body).where(
        events.c.kind == AlertsReceived.__name__, events.c.at >= to_stamp(since)
    )
    rows: list[Row[Any]] = []
    for some in portions(list(rules)):
        rows += connection.execute(told.where(events.c.incident.in_(some)))
        rows = nlargest(_LOOKED_AT, rows, key=lambda row: row.at)
    newest: dict[tuple[str, str], AlertSighting] = {}
    for row in rows:
        event, incident = decode(row.body), row.incident
        alerts = event.alerts if isinstance(event, AlertsReceived) else ()
        for name in dict.fromkeys(alert.name for alert in alerts):
            if (name, incident) not in newest:
                at = datetime.fromisoformat(row.at)
                newest[name, incident] = AlertSighting(name, rules[incident], incident, at)
    return list(newest.values())
