"""Freezes in the store: part of no incident, so the ledger tells of each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, select, update

from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.ledger import Ledger, Line, packed
from daemon.adapters.store.schema import freezes_table
from daemon.adapters.store.statements import insert
from daemon.core.recovery.guardrails import Freeze


def stands(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """The condition of a freeze that is neither thawed nor over.

    When it began is not asked: a decision made just before a freeze and carried out just after
    it must be stopped too.
    """
    return freezes_table.c.thawed_at.is_(None) & (
        freezes_table.c.until.is_(None) | (freezes_table.c.until > now)
    )


_IN_FORCE = (
    select(*(freezes_table.c[name] for name in Freeze.model_fields))
    .where(stands(bindparam("now")))
    .order_by(freezes_table.c.at.desc(), freezes_table.c.scope)
)


def in_force(now: datetime, connection: Connection) -> list[Freeze]:
    """The freezes that stand, of all scopes, the newest first."""
    return [Freeze(**row) for row in connection.execute(_IN_FORCE, {"now": now}).mappings()]


def add_freeze(ledger: Ledger, freeze: Freeze, connection: Connection) -> None:
    """Keep a freeze in the place of an earlier one of its scope."""
    row = {**dict(freeze), "thawed_by": None, "thawed_at": None}
    added = insert(connection, freezes_table).values(row)
    changed = {name: added.excluded[name] for name in row if name != "scope"}
    connection.execute(
        added.on_conflict_do_update(index_elements=[freezes_table.c.scope], set_=changed)
    )
    until = None if freeze.until is None else to_stamp(freeze.until)
    body = {"scope": freeze.scope, "reason": freeze.reason, "by": freeze.by, "until": until}
    ledger.write(connection, Line("frozen", to_stamp(freeze.at), body=packed(body)))


def lift_freeze(ledger: Ledger, scope: str, by: str, at: datetime, connection: Connection) -> bool:
    """Lift a freeze; False if there was none, or it was over already."""
    thawed = (
        update(freezes_table)
        .where(freezes_table.c.scope == scope, stands(at))
        .values(thawed_by=by, thawed_at=at)
    )
    if connection.execute(thawed).rowcount != 1:
        return False
    ledger.write(connection, Line("thawed", to_stamp(at), body=packed({"scope": scope, "by": by})))
    return True
