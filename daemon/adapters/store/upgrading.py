"""Bring the tables of an earlier stopgap up to those of `schema`, inside one transaction."""

from __future__ import annotations

from sqlalchemy import Connection, update

from daemon.adapters.store.schema import SCHEMA, meta

_STEPS = {
    1: (
        "ALTER TABLE actions ADD COLUMN rule TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE actions ADD COLUMN team TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE actions ADD COLUMN domain TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE changes ADD COLUMN text TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE changes ADD COLUMN target TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE changes ADD COLUMN labels TEXT DEFAULT '{}' NOT NULL",
        "CREATE INDEX changes_by_time ON changes (at)",
    ),
}
"""From that schema to the next. Written out: `schema` tells how the tables look today only."""


def upgrade(connection: Connection, found: int) -> None:
    """Bring tables of schema `found` up to today's; nothing is changed if they are of today."""
    if found == SCHEMA:
        return
    for version in range(found, SCHEMA):
        for statement in _STEPS[version]:
            connection.exec_driver_sql(statement)
    connection.execute(update(meta).where(meta.c.name == "schema").values(value=str(SCHEMA)))
