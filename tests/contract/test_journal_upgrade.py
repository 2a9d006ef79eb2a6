"""A store of an earlier stopgap: brought up in one transaction, with all that is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.adapters.store import SCHEMA, audit_journal, open_store
from daemon.adapters.store.schema import revision_table
from daemon.core.changes.suspects import Change
from daemon.core.incident.events import (
    FORMAT,
    Draft,
    IncidentOpened,
    Noted,
    Recovered,
    chain,
    encode,
)
from daemon.core.incident.fold import fold
from daemon.core.incident.outcome_facts import outcome_facts
from daemon.core.ports.journal import HeadState, IncidentSearch
from daemon.core.recovery.guardrails import Freeze
from daemon.core.rules.rule import incident_key
from daemon.core.values.outcome import Permanent
from tests.contract.test_journal import (
    HOUR,
    LIMITS,
    MINUTE,
    NOW,
    SHOP,
    TARGET,
    claim,
    opened,
    refused,
    release,
)
from tests.core.build import confirmed, entries, finished, started

# As a stopgap of schema 1 made them, column for column.
SCHEMA_1 = """
CREATE TABLE meta (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE events (
    incident TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, "by" TEXT NOT NULL,
    kind TEXT NOT NULL, format INTEGER NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (incident, seq)
);
CREATE TABLE heads (
    incident TEXT NOT NULL, "key" TEXT NOT NULL, seq INTEGER NOT NULL, phase TEXT NOT NULL,
    title TEXT NOT NULL, severity TEXT NOT NULL, opened_at TEXT NOT NULL, closed_at TEXT,
    wake_at TEXT, PRIMARY KEY (incident)
);
CREATE UNIQUE INDEX one_open_incident_per_key ON heads ("key") WHERE closed_at IS NULL;
CREATE INDEX heads_by_age ON heads (opened_at);
CREATE TABLE actions (
    number INTEGER NOT NULL, incident TEXT NOT NULL, step INTEGER NOT NULL, target TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT, PRIMARY KEY (number)
);
CREATE UNIQUE INDEX one_running_action_per_target ON actions (target) WHERE finished_at IS NULL;
CREATE INDEX actions_by_start ON actions (started_at);
CREATE INDEX actions_by_end ON actions (target, finished_at);
CREATE TABLE freezes (
    scope TEXT NOT NULL, reason TEXT NOT NULL, "by" TEXT NOT NULL, at TEXT NOT NULL, until TEXT,
    thawed_by TEXT, thawed_at TEXT, PRIMARY KEY (scope)
);
CREATE TABLE changes (
    subject TEXT NOT NULL, item TEXT NOT NULL, previous TEXT NOT NULL, at TEXT NOT NULL,
    seen_by TEXT NOT NULL, PRIMARY KEY (subject, item, at)
);
CREATE TABLE marks (
    subject TEXT NOT NULL, item TEXT NOT NULL, mark TEXT NOT NULL, at TEXT NOT NULL,
    incident TEXT NOT NULL, PRIMARY KEY (subject, item)
);
CREATE TABLE inbox (
    arrival INTEGER NOT NULL, identity TEXT NOT NULL, received_at TEXT NOT NULL,
    body BLOB NOT NULL, processed BOOLEAN NOT NULL, PRIMARY KEY (arrival), UNIQUE (identity)
);
CREATE INDEX deliveries_waiting ON inbox (arrival) WHERE processed IS 0;
CREATE TABLE alert_ends (alert TEXT NOT NULL, ends_at TEXT NOT NULL, PRIMARY KEY (alert));
INSERT INTO meta VALUES ('schema', '1'), ('key', 'signs the links');
"""
AS_SCHEMA_10 = f"""
DROP TABLE {revision_table.name};
DROP TABLE news;
DROP TABLE duties;
ALTER TABLE heads DROP COLUMN format;
"""
"""Takes away what schema 11 added."""
AS_SCHEMA_9 = f"""{AS_SCHEMA_10}
DROP TABLE replicas;
DROP INDEX open_heads_by_owner;
ALTER TABLE heads DROP COLUMN owner;
ALTER TABLE inbox DROP COLUMN owner;
"""
"""Takes away what schema 10 added."""
AS_SCHEMA_8 = f"""{AS_SCHEMA_9}
DROP TABLE oncall_overrides;
DROP TABLE oncall_swaps;
"""
"""Takes away what schema 9 added."""
AS_SCHEMA_7 = f"""{AS_SCHEMA_8}
DROP TABLE maintenance_windows;
DROP INDEX heads_with_routes;
ALTER TABLE heads DROP COLUMN routes;
"""
"""Takes away what schema 8 added."""
AS_SCHEMA_6 = (
    AS_SCHEMA_7
    + """
DROP INDEX heads_pending;
ALTER TABLE heads DROP COLUMN outcome;
ALTER TABLE heads DROP COLUMN pending;
"""
)
"""Takes away what schema 7 added."""
AS_SCHEMA_5 = AS_SCHEMA_6 + (
    "DROP INDEX heads_by_onset;"
    + "".join(
        f"ALTER TABLE heads DROP COLUMN {column};"
        for column in ("verdict", "onset_from", "onset_until", "suspect", "recovered_at")
    )
    + "ALTER TABLE actions DROP COLUMN by_person;"
)
"""Takes away what schema 6 added."""
NEWER = rf"newer stopgap \(schema {SCHEMA + 1}, this one knows {SCHEMA}\); install"
AT = "2026-03-01T14:03:20.123456+00:00"
ENDED = "2026-03-01T14:04:20.123456+00:00"
BODY = encode(Noted(text="hello"))
DIGEST = chain("", "inc-1", 1, AT, "anna", "Noted", FORMAT, BODY)
ROWS: dict[str, list[tuple[object, ...]]] = {
    "events": [("inc-1", 1, AT, "anna", "Noted", FORMAT, BODY, DIGEST)],
    "heads": [("inc-1", "a key", 1, "recovering", "shop", "sev2", AT, None, AT)],
    "actions": [
        (1, "inc-0", 1, TARGET, AT, ENDED),
        (2, "inc-1", 1, "release:search", AT, None),
    ],
    "freezes": [
        ("global", "sale", "anna", AT, None, "ben", AT),
        ("team:a", "x", "b", AT, *[None] * 3),
    ],
    "changes": [(TARGET, "v3", "v2", AT, "files")],
    "marks": [(TARGET, "v2", "healthy", AT, "inc-1")],
    "inbox": [(1, "one", AT, b"{}", 0), (2, "two", AT, b"", 1)],
    "alert_ends": [("an alert", AT)],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of schema 1 in which something happened."""
    path = tmp_path / "stopgap.db"
    with closing(sqlite3.connect(path)) as shell, shell:
        shell.executescript("PRAGMA journal_mode = WAL;" + SCHEMA_1)
        for table, rows in ROWS.items():
            marks = ", ".join("?" * len(rows[0]))
            shell.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
    return path


def shape(path: Path) -> dict[str, list[Any]]:
    """The tables and indexes of a file, with their columns in order."""
    with closing(sqlite3.connect(path)) as shell:
        names = shell.execute("SELECT name, type FROM sqlite_master ORDER BY name").fetchall()
        about = {"table": "table_info", "index": "index_xinfo"}
        return {
            name: shell.execute(f"PRAGMA {about[kind]}({name})").fetchall() for name, kind in names
        }


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as shell:
        return list(shell.iterdump())


async def test_what_was_in_it_is_in_it(path: Path) -> None:
    for _ in range(2):  # the second time it is of today already
        async with open_store(path) as store:
            journal = store.journal
            [key] = store.keys.current.keys
            assert (key.secret, key.nameless) == ("signs the links", True)
            assert (await audit_journal(journal)).breaks == []
            (entry,) = await journal.read("inc-1")
            assert (entry.event, entry.by, entry.at) == (Noted(text="hello"), "anna", NOW)
            (head,) = await journal.open_heads()
            assert (head.incident, head.phase, head.wake_at) == ("inc-1", "recovering", NOW)
            change = Change(subject=TARGET, item="v3", previous="v2", at=NOW, seen_by="files")
            assert await journal.changes(TARGET) == [change]
            assert await journal.marks(TARGET) == {"v2": "healthy"}
            frozen = Freeze(scope="team:a", reason="x", by="b", at=NOW)
            assert await journal.freezes(NOW) == [frozen]
            assert await store.inbox.pending(9) == [("one", b"{}")]
            assert await store.inbox.ended(["an alert"]) == {"an alert": NOW}


async def test_old_incidents_are_found_by_what_they_are_about(path: Path) -> None:
    key = incident_key("errors", {"service": "cart"})
    first = IncidentOpened(
        key=key, rule="errors", group_labels={"service": "cart"}, title="it fails", team="shop"
    )
    body, kind = encode(first), "IncidentOpened"
    row = ("inc-2", 1, AT, "stopgap", kind, FORMAT, body)
    digest = chain("", *row)
    with closing(sqlite3.connect(path)) as shell, shell:
        shell.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, digest))
        head = ("inc-2", key, 1, "defining", "it fails", "", AT, None, None)
        shell.execute("INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", head)
    async with open_store(path) as store:
        assert (await audit_journal(store.journal)).breaks == []
        for search in (
            IncidentSearch(rule="errors"),
            IncidentSearch(team="shop"),
            IncidentSearch(service="cart"),
        ):
            assert [h.incident for h in await store.journal.heads(9, search)] == ["inc-2"]
        assert (await store.journal.heads(9, IncidentSearch(rule="")))[0].service == "a key"


async def test_old_actions_still_guard(path: Path) -> None:
    async with open_store(path) as store:
        journal = store.journal
        await opened(journal, "inc-2")
        guard = await journal.guard("release:search", "inc-2", SHOP, LIMITS, NOW)
        assert guard.locked_by == "inc-1"
        assert guard.started == {"rule": 0, "team": 0, "domain": 0, "global": 2}
        assert (await refused(journal, "inc-2", NOW + 2 * MINUTE)).reason == "cooldown"
        await claim(journal, "inc-2", NOW + 2 * MINUTE, lifted=True)
        await release(journal, "inc-2", NOW + 2 * MINUTE)
        await claim(journal, "inc-2", NOW + 3 * MINUTE, "release:other")
        await release(journal, "inc-2", NOW + 3 * MINUTE)
        guard = await journal.guard("release:search", "inc-2", SHOP, LIMITS, NOW + HOUR)
        assert guard.started == dict.fromkeys(("rule", "team", "domain", "global"), 1)
        assert (await audit_journal(journal)).breaks == []


async def test_it_looks_like_one_made_today(path: Path, tmp_path: Path) -> None:
    today = tmp_path / "today.db"
    for each in (path, today):
        async with open_store(each):
            pass
    assert shape(path) == shape(today)
    with closing(sqlite3.connect(path)) as shell:
        assert shell.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_schema_3_gains_sessions_and_tokens(path: Path) -> None:
    async with open_store(path):
        pass
    today, before = shape(path), content(path)
    with closing(sqlite3.connect(path)) as shell, shell:
        # Schema 4 added these two tables and nothing else; schema 5 the ledger; schema 6 what
        # heads tell of the onset, and who started an action; schema 7 what came of incidents,
        # schema 8 whose alerts come to them, and the maintenance windows.
        shell.executescript("DROP TABLE sessions; DROP TABLE tokens; DROP TABLE ledger;")
        shell.executescript(AS_SCHEMA_5)
        shell.execute("UPDATE meta SET value = '3' WHERE name = 'schema'")
    async with open_store(path) as store:
        assert await store.credentials.sessions(NOW) == []
        assert await store.credentials.tokens() == []
    assert shape(path) == today
    assert len(content(path)) == len(before)


async def test_schema_6_is_told_what_came_of_its_incidents(tmp_path: Path) -> None:
    """From their journals; of what cannot be read it stays unknown, and the figures say so."""
    path = tmp_path / "stopgap.db"
    story = entries(confirmed(), started(), finished(), Recovered(step=1, text="held"))
    drafts = [Draft(at=entry.at, event=entry.event) for entry in story]
    state = HeadState.of(fold(story), None)
    async with open_store(path) as store:
        for incident in ("readable", "unreadable"):
            await store.journal.open(incident, incident, drafts, state)
        (told, _) = await store.journal.heads(9)
        assert told.outcome == outcome_facts(fold(story))
    today = shape(path)
    with closing(sqlite3.connect(path)) as shell, shell:
        shell.executescript(AS_SCHEMA_6)
        shell.execute("UPDATE events SET body = '{}' WHERE incident = 'unreadable' AND seq = 2")
        shell.execute("UPDATE meta SET value = '6' WHERE name = 'schema'")
    async with open_store(path) as store:
        found = {head.incident: head for head in await store.journal.heads(9)}
    assert found["readable"].outcome == told.outcome
    assert found["readable"].outcome is not None
    assert found["readable"].outcome.recovered_by == "daemon"
    assert found["unreadable"].outcome is None
    assert {head.pending for head in found.values()} == {0}
    assert shape(path) == today


async def test_half_of_it_is_none_of_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("CREATE INDEX changes_by_time ON changes (item)")  # the last step will fail
    before = content(path)
    with pytest.raises(Permanent, match="index changes_by_time already exists"):
        async with open_store(path):
            pass
    assert content(path) == before
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("DROP INDEX changes_by_time")
    async with open_store(path) as store:
        assert [h.incident for h in await store.journal.heads(9)] == ["inc-1"]


async def test_reading_alone_changes_nothing_and_says_what_does(path: Path) -> None:
    before = content(path)
    with pytest.raises(Permanent) as caught:
        async with open_store(path, readonly=True):
            pass
    assert str(caught.value) == (
        f"{path} was written by an older stopgap (schema 1, this one reads {SCHEMA}); "
        "start this version's daemon on it once, which brings it up and loses nothing"
    )
    assert content(path) == before
    async with open_store(path), open_store(path, readonly=True) as reader:
        assert (await audit_journal(reader.journal)).breaks == []


@pytest.mark.parametrize("readonly", [False, True])
async def test_a_newer_one_is_refused_and_left_alone(path: Path, readonly: bool) -> None:
    with closing(sqlite3.connect(path)) as shell, shell:
        shell.execute("UPDATE meta SET value = ? WHERE name = 'schema'", [str(SCHEMA + 1)])
    before = content(path)
    with pytest.raises(Permanent, match=NEWER):
        async with open_store(path, readonly=readonly):
            pass
    assert content(path) == before
