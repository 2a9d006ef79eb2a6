"""From schema 7 to 8: the tables of on-call overrides and swaps. Written out: `schema` tells how
they look today only."""

from __future__ import annotations

ONCALL_TABLES = (
    """CREATE TABLE oncall_overrides (
        id TEXT NOT NULL, schedule TEXT NOT NULL, person TEXT NOT NULL, replaces TEXT NOT NULL,
        start TEXT NOT NULL, until TEXT NOT NULL, reason TEXT NOT NULL, "by" TEXT NOT NULL,
        at TEXT NOT NULL, swap TEXT NOT NULL, removed_by TEXT, removed_at TEXT,
        PRIMARY KEY (id)
    )""",
    "CREATE INDEX oncall_overrides_by_end ON oncall_overrides (until)",
    """CREATE TABLE oncall_swaps (
        id TEXT NOT NULL, schedule TEXT NOT NULL, asker TEXT NOT NULL, asked TEXT NOT NULL,
        start TEXT NOT NULL, until TEXT NOT NULL, return_start TEXT, return_until TEXT,
        reason TEXT NOT NULL, at TEXT NOT NULL, answer TEXT NOT NULL, answered_at TEXT,
        PRIMARY KEY (id)
    )""",
)
