"""The step that brings the register of replicas, and says whose an incident and a delivery is."""

from __future__ import annotations

REPLICA_TABLES = (
    """CREATE TABLE replicas (
        name TEXT NOT NULL, instance TEXT NOT NULL, version TEXT NOT NULL,
        format INTEGER NOT NULL, rules TEXT NOT NULL, started_at TEXT NOT NULL,
        renewed_at TEXT NOT NULL, lease_until TEXT, ahead FLOAT NOT NULL, PRIMARY KEY (name)
    )""",
    "ALTER TABLE heads ADD COLUMN owner TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE inbox ADD COLUMN owner TEXT DEFAULT '' NOT NULL",
    "CREATE INDEX open_heads_by_owner ON heads (owner) WHERE closed_at IS NULL",
)
