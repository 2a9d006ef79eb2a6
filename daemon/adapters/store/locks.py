"""The right to act: what the store knows of freezes, locks and the actions that were started.

A claim asks for all of it inside the transaction that appends, so between the answer and the act
there is no gap in which somebody else could freeze, lock or spend. What it means is judged by
`daemon.core.recovery.guardrails`, here as in the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)

from daemon.adapters.store.freezes import in_force
from daemon.adapters.store.schema import (
    action_of_drill,
    action_runs,
    actions_table,
    head_is_open,
    heads,
    is_drill,
)
from daemon.core.ports.journal import Claim, ClaimRefused
from daemon.core.recovery.concurrent import MOST_CONCURRENT, SLACK, WIDEST, ConcurrentIncident
from daemon.core.recovery.guardrails import (
    GLOBAL,
    ActionScope,
    Guard,
    Level,
    Limits,
    group_of,
    hindered,
    is_storm,
    services_of,
)
from daemon.core.values.drill_key import id_prefix, key_prefix

_NAMED: Mapping[Level, ColumnElement[str]] = {
    "rule": actions_table.c.rule,
    "team": actions_table.c.team,
    "domain": actions_table.c.domain,
    "global": literal(GLOBAL),
}
"""What an action's row is called at each level, as `Scope.name` calls it."""


_OF_CONCURRENT = (
    *(heads.c[n] for n in ("incident", "key", "rule", "phase", "verdict", "suspect")),
    heads.c.onset_from.is_not(None).label("dated"),
    heads.c.opened_at,
    heads.c.recovered_at,
)


_HOLDER = select(actions_table.c.incident).where(
    actions_table.c.target == bindparam("target"), action_runs
)
_LAST_FINISHED = (
    select(actions_table.c.incident, actions_table.c.finished_at)
    .where(
        actions_table.c.target == bindparam("target"),
        actions_table.c.incident != bindparam("incident"),
        actions_table.c.finished_at > actions_table.c.started_at,
    )
    .order_by(actions_table.c.finished_at.desc())
    .limit(1)
)
_STARTING = actions_table.insert()
_ENDING = update(actions_table).where(actions_table.c.incident == bindparam("ends"), action_runs)
_ACTED = _ENDING.values(finished_at=bindparam("now", type_=actions_table.c.finished_at.type))
_REFUSED = _ENDING.values(finished_at=actions_table.c.started_at)
_OPENED_SINCE = select(heads.c.key).where(heads.c.opened_at > bindparam("since")).distinct()
# Not BETWEEN: PostgreSQL takes no collated parameter there.
_SHARED = and_(
    heads.c.onset_from >= bindparam("widest"),
    heads.c.onset_from <= bindparam("end"),
    heads.c.onset_until >= bindparam("begin"),
)
_UNDATED = and_(head_is_open, heads.c.onset_from.is_(None), heads.c.opened_at >= bindparam("begin"))
_CONCURRENT = (
    select(*_OF_CONCURRENT)
    .where(
        heads.c.incident != bindparam("incident"),
        heads.c.rule != "",
        or_(heads.c.suspect == "", heads.c.suspect != bindparam("suspect")),
        or_(_SHARED, _UNDATED),
    )
    .order_by(heads.c.onset_from.is_(None), heads.c.opened_at, heads.c.incident)
    .limit(MOST_CONCURRENT)
)


def guard(
    connection: Connection,
    target: str,
    incident: str,
    scope: ActionScope,
    limits: Limits,
    now: datetime,
) -> Guard:
    """What stands in the way of an action of that incident on `target`."""
    frozen = (f for f in in_force(now, connection) if f.scope in scope.freezes)
    last, finished = _last_finished(connection, target, incident)
    alerting = _alerting(connection, scope, limits, now)
    return Guard(
        freeze=next(frozen, None),
        locked_by=_holder(connection, target),
        last_finished=finished,
        last_incident=last,
        started=_started(connection, scope, limits, now),
        alerting=alerting,
        concurrent=() if is_storm(alerting, limits) else _concurrent(connection, incident, scope),
    )


def take_lock(connection: Connection, incident: str, claim: Claim, now: datetime) -> None:
    """Take the target's lock for the incident's step. Raises ClaimRefused with the numbers."""
    scope, limits = claim.scope, claim.limits
    known = guard(connection, claim.target, incident, scope, limits, now)
    known = replace(known, freeze=known.freeze or claim.closed)
    hindrance = hindered(known, limits, scope, now, lifted=claim.lifted)
    if hindrance is not None:
        raise ClaimRefused(hindrance.reason, hindrance.text)
    row = {
        "incident": incident,
        "step": claim.step,
        "target": claim.target,
        "started_at": now,
        "rule": scope.rule,
        "team": scope.team,
        "domain": scope.domain,
        "by_person": claim.lifted,
    }
    connection.execute(_STARTING, row)


def give_back(connection: Connection, incident: str, now: datetime, *, acted: bool) -> bool:
    """End the action that the incident runs; False, and nothing happens, if it runs none.

    What was refused before it changed anything took no time: it cools nothing down, though it
    counts in the budgets.
    """
    if acted:
        ended = connection.execute(_ACTED, {"ends": incident, "now": now})
    else:
        ended = connection.execute(_REFUSED, {"ends": incident})
    return ended.rowcount > 0


def _holder(connection: Connection, target: str) -> str:
    """The incident whose action runs on the target, or an empty string."""
    found: str | None = connection.scalar(_HOLDER, {"target": target})
    return found or ""


def _last_finished(
    connection: Connection, target: str, incident: str
) -> tuple[str, datetime | None]:
    """Which other incident last acted on the target, and when it finished."""
    named = {"target": target, "incident": incident}
    row = connection.execute(_LAST_FINISHED, named).one_or_none()
    return ("", None) if row is None else (row.incident, row.finished_at)


def _started(
    connection: Connection, scope: ActionScope, limits: Limits, now: datetime
) -> dict[Level, int]:
    """How many actions started by themselves at each level that counts: on any target, by any
    incident (also this one), and whatever became of them; in a drill those of its own run."""
    levels = tuple(level for level in limits.budgets if scope.name(level))
    if not levels:
        return {}
    started = _started_in_earnest(levels)
    if scope.drill:
        within = actions_table.c.incident.startswith(id_prefix(scope.drill), autoescape=True)
        started = _started_since(levels).where(within)
    named: dict[str, Any] = {level: scope.name(level) for level in levels}
    named["since"] = now - limits.budget_window
    counts = connection.execute(started, named).one()
    return dict(zip(levels, counts, strict=True))


@cache
def _started_since(levels: tuple[Level, ...]) -> Select[Any]:
    """How many at each of these levels, which are parameters of that name, as is `since`."""
    recent = actions_table.c.started_at > bindparam("since")
    by_itself = actions_table.c.by_person.is_(False)
    alike = [func.count().filter(_NAMED[level] == bindparam(level)) for level in levels]
    counted: Sequence[ColumnElement[Any]] = alike
    return select(*counted).select_from(actions_table).where(recent, by_itself)


@cache
def _started_in_earnest(levels: tuple[Level, ...]) -> Select[Any]:
    """The same without those of drills. To compose a statement costs more than to carry it out."""
    return _started_since(levels).where(~action_of_drill)


def _alerting(connection: Connection, scope: ActionScope, limits: Limits, now: datetime) -> int:
    """How many services, this one included, have an incident that opened a moment ago."""
    since = now - limits.storm_window
    keys = connection.execute(_beside(_OPENED_SINCE, scope), {"since": since}).scalars()
    return services_of(keys, scope.service)


def _beside(query: Select[Any], scope: ActionScope) -> Select[Any]:
    """Of its incidents those of the same drill; in earnest those of none."""
    if not scope.drill:
        return _in_earnest(query)
    return query.where(heads.c.key.startswith(key_prefix(scope.drill), autoescape=True))


@cache
def _in_earnest(query: Select[Any]) -> Select[Any]:
    return query.where(~is_drill)


def _concurrent(
    connection: Connection, incident: str, scope: ActionScope
) -> tuple[ConcurrentIncident, ...]:
    """The other incidents whose onset may be this one's, also closed ones; and of those without
    an onset the open ones that opened since. None that blames the same change."""
    cause = scope.cause
    if cause is None:
        return ()
    begin, end = cause.begin - SLACK, cause.end + SLACK
    named = {
        "incident": incident,
        "suspect": cause.suspect,
        "widest": begin - WIDEST,
        "begin": begin,
        "end": end,
    }
    found = connection.execute(_beside(_CONCURRENT, scope), named)
    return tuple(
        ConcurrentIncident(
            incident=row.incident,
            rule=row.rule,
            group_labels=group_of(row.key),
            phase=row.phase,
            verdict=row.verdict,
            onset_known=row.dated,
            suspect=row.suspect,
            opened_at=row.opened_at,
            recovered_at=row.recovered_at,
        )
        for row in found
    )
