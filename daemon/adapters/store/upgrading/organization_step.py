"""From schema 7 to 8: whose alerts come to an incident, and the maintenance windows."""

from __future__ import annotations

STEPS = (
    "ALTER TABLE heads ADD COLUMN routes TEXT DEFAULT '' NOT NULL",
    "CREATE INDEX heads_with_routes ON heads (incident) WHERE length(routes) > 0",
    """CREATE TABLE maintenance_windows (
        id TEXT NOT NULL, scope TEXT NOT NULL, reason TEXT NOT NULL, "by" TEXT NOT NULL,
        announced_at TEXT NOT NULL, begins_at TEXT NOT NULL, ends_at TEXT NOT NULL,
        public_text TEXT DEFAULT '' NOT NULL,
        ended_by TEXT, ended_at TEXT, PRIMARY KEY (id)
    )""",
)
