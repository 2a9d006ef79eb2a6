"""The steps from schema 1 to 9, which SQLite alone has gone: stores on PostgreSQL begin with 9."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, update

from daemon.adapters.store.schema import meta
from daemon.adapters.store.upgrading import begin_ledger, organization_step
from daemon.adapters.store.upgrading.oncall_tables import ONCALL_TABLES
from daemon.adapters.store.upgrading.tell_outcomes import tell_outcomes
from daemon.core.recovery.guardrails import service_of


def _name_heads(connection: Connection) -> None:
    """Fill in what incidents are looked for by, from their keys and first entries."""
    rows = connection.exec_driver_sql(
        "SELECT h.incident, h.key, e.body FROM heads h "
        "JOIN events e ON e.incident = h.incident AND e.seq = 1"
    ).all()
    for incident, key, body in rows:
        opened = json.loads(body)
        connection.exec_driver_sql(
            "UPDATE heads SET rule = ?, team = ?, service = ? WHERE incident = ?",
            (opened.get("rule", ""), opened.get("team", ""), service_of(key), incident),
        )


_STEPS: Mapping[int, tuple[str | Callable[[Connection], None], ...]] = {
    1: (
        "ALTER TABLE actions ADD COLUMN rule TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE actions ADD COLUMN team TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE actions ADD COLUMN domain TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE changes ADD COLUMN text TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE changes ADD COLUMN target TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE changes ADD COLUMN labels TEXT DEFAULT '{}' NOT NULL",
        "CREATE INDEX changes_by_time ON changes (at)",
    ),
    2: (
        "ALTER TABLE heads ADD COLUMN rule TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE heads ADD COLUMN team TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE heads ADD COLUMN service TEXT DEFAULT '' NOT NULL",
        _name_heads,
        "CREATE INDEX heads_by_rule ON heads (rule, opened_at)",
    ),
    3: (
        """CREATE TABLE sessions (
            id TEXT NOT NULL, person TEXT NOT NULL, proof TEXT NOT NULL, started_at TEXT NOT NULL,
            ends_at TEXT NOT NULL, client TEXT NOT NULL, granted TEXT, guest BOOLEAN NOT NULL,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX sessions_by_end ON sessions (ends_at)",
        """CREATE TABLE tokens (
            id TEXT NOT NULL, digest TEXT NOT NULL, person TEXT NOT NULL, name TEXT NOT NULL,
            scopes TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT, used_on TEXT,
            revoked_at TEXT, revoked_by TEXT, PRIMARY KEY (id), UNIQUE (digest)
        )""",
        "CREATE INDEX tokens_by_person ON tokens (person)",
    ),
    4: (begin_ledger.TABLE, begin_ledger.begin_ledger),
    # Open incidents fill these in with their next entry.
    5: (
        "ALTER TABLE heads ADD COLUMN verdict TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE heads ADD COLUMN onset_from TEXT",
        "ALTER TABLE heads ADD COLUMN onset_until TEXT",
        "ALTER TABLE heads ADD COLUMN suspect TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE heads ADD COLUMN recovered_at TEXT",
        "CREATE INDEX heads_by_onset ON heads (onset_from)",
        "ALTER TABLE actions ADD COLUMN by_person BOOLEAN DEFAULT '0' NOT NULL",
    ),
    6: (
        "ALTER TABLE heads ADD COLUMN outcome TEXT",
        "ALTER TABLE heads ADD COLUMN pending INTEGER DEFAULT '0' NOT NULL",
        "CREATE INDEX heads_pending ON heads (opened_at) WHERE pending > 0",
        tell_outcomes,
    ),
    7: organization_step.STEPS,
    8: ONCALL_TABLES,
}
"""From that schema to the next. Written out: `schema` tells how the tables look today only."""


LAST = 9
"""The schema that alembic goes on from."""


def upgrade_before_alembic(connection: Connection, found: int) -> None:
    """Bring tables of schema `found` up to LAST."""
    for version in range(found, LAST):
        for step in _STEPS[version]:
            if callable(step):
                step(connection)
            else:
                connection.exec_driver_sql(step)
    connection.execute(update(meta).where(meta.c.name == "schema").values(value=str(LAST)))
