"""The tables by which replicas share what is true: duties, counters of what is new, and the newest
format that an incident was written in."""

from __future__ import annotations

STEPS = (
    """CREATE TABLE news (
        topic TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (topic)
    )""",
    """CREATE TABLE duties (
        name TEXT NOT NULL, owner TEXT NOT NULL, lease_until TEXT NOT NULL, PRIMARY KEY (name)
    )""",
    "ALTER TABLE heads ADD COLUMN format INTEGER DEFAULT '1' NOT NULL",
)
