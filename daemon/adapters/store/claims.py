"""The right to act: freezes, locks, cooldowns and the budget, as the store knows them.

All of it is asked inside the transaction that appends, so between the answer and the act there
is no gap in which somebody else could freeze, lock or spend.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, select, update

from daemon.adapters.store.schema import action_runs, actions, freezes
from daemon.core.ports import Claim, ClaimRefused, Freeze, Guard
from daemon.core.units import clock_time, format_duration


def stands(now: datetime) -> ColumnElement[bool]:
    """The condition of a freeze that is neither thawed nor over.

    When it began is not asked: a decision made just before a freeze and carried out just after
    it must be stopped too.
    """
    return freezes.c.thawed_at.is_(None) & (freezes.c.until.is_(None) | (freezes.c.until > now))


def freeze_in_force(connection: Connection, now: datetime) -> Freeze | None:
    """The newest freeze that stands."""
    found = (
        connection.execute(
            select(*(freezes.c[name] for name in Freeze.model_fields))
            .where(stands(now))
            .order_by(freezes.c.at.desc(), freezes.c.scope)
            .limit(1)
        )
    ).mappings()
    row = found.one_or_none()
    return None if row is None else Freeze(**row)


def guard(
    connection: Connection, target: str, incident: str, now: datetime, window: timedelta
) -> Guard:
    """What stands in the way of an action on `target`; the budget counts all targets."""
    last = _last_finished(connection, target, incident)
    return Guard(
        freeze=freeze_in_force(connection, now),
        locked_by=_holder(connection, target),
        last_finished=None if last is None else last[1],
        started_in_window=_started_since(connection, now - window),
    )


def take(connection: Connection, incident: str, claim: Claim, now: datetime) -> None:
    """Take the target's lock for the incident's step. Raises ClaimRefused with the numbers."""
    _refuse_if_stopped(connection, claim.target, now)
    if not claim.limits.lifted:
        _refuse_if_spent(connection, incident, claim, now)
    connection.execute(
        actions.insert().values(
            incident=incident, step=claim.step, target=claim.target, started_at=now
        )
    )


def give_back(connection: Connection, incident: str, now: datetime) -> None:
    """End the action that the incident runs; nothing happens if it runs none."""
    connection.execute(
        update(actions).where(actions.c.incident == incident, action_runs).values(finished_at=now)
    )


def _refuse_if_stopped(connection: Connection, target: str, now: datetime) -> None:
    freeze = freeze_in_force(connection, now)
    if freeze is not None:
        until = f" until {clock_time(freeze.until)}" if freeze.until else ""
        raise ClaimRefused(
            "frozen",
            f"automation is frozen by {freeze.by} since {clock_time(freeze.at)}{until}: "
            f"{freeze.reason}",
        )
    holder = _holder(connection, target)
    if holder:
        raise ClaimRefused("target_locked", f"{target} is being recovered by {holder}")


def _refuse_if_spent(connection: Connection, incident: str, claim: Claim, now: datetime) -> None:
    limits = claim.limits
    last = _last_finished(connection, claim.target, incident)
    if last is not None and now - last[1] < limits.cooldown:
        ago = timedelta(seconds=round((now - last[1]).total_seconds()))
        raise ClaimRefused(
            "cooldown",
            f"{claim.target} was recovered {format_duration(ago)} ago by {last[0]}; "
            f"the cooldown is {format_duration(limits.cooldown)}",
        )
    started = _started_since(connection, now - limits.budget_window)
    if started >= limits.budget:
        window = format_duration(limits.budget_window)
        raise ClaimRefused(
            "budget_spent",
            f"actions started in the last {window}: {started}; the budget is {limits.budget}",
        )


def _holder(connection: Connection, target: str) -> str:
    """The incident whose action runs on the target, or an empty string."""
    found: str | None = connection.scalar(
        select(actions.c.incident).where(actions.c.target == target, action_runs)
    )
    return found or ""


def _last_finished(
    connection: Connection, target: str, incident: str
) -> tuple[str, datetime] | None:
    """Which other incident last acted on the target, and when it finished."""
    row = (
        connection.execute(
            select(actions.c.incident, actions.c.finished_at)
            .where(
                actions.c.target == target,
                actions.c.incident != incident,
                actions.c.finished_at.is_not(None),
            )
            .order_by(actions.c.finished_at.desc())
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else (row.incident, row.finished_at)


def _started_since(connection: Connection, start: datetime) -> int:
    """How many actions were started after `start`, on any target and whatever became of them."""
    count: int = (
        connection.execute(
            select(func.count()).select_from(actions).where(actions.c.started_at > start)
        )
    ).scalar_one()
    return count
