"""A store with many whole nights, made quickly: one night is recorded, the others are copies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon.adapters.store import open_store
from daemon.core.values.seal import Keyring
from tests.journal_scenes import Night

_AT_ONCE = 500
_NAME = "inc-000001"


async def fill(path: Path, incidents: int, keyring: Keyring) -> None:
    """Make a store of so many closed incidents, each with its own entries and digests."""
    async with open_store(path, keyring=keyring) as store:
        await Night(store.journal, _NAME, _NAME).whole()
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("PRAGMA synchronous = OFF")
        tables = ("events", "heads", "actions", "marks", "ledger")
        night = {name: shell.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608
        number, digest = night["ledger"][-1][0], night["ledger"][-1][6]
        first = 2
        while first <= incidents:
            some = range(first, min(first + _AT_ONCE, incidents + 1))
            rows: dict[str, list[Any]] = {name: [] for name in tables}
            for each in some:
                name = f"inc-{each:06}"
                digests = list(_entries(night["events"], name, keyring, rows["events"]))
                for table in ("heads", "marks"):
                    rows[table] += [_renamed(row, name) for row in night[table]]
                rows["actions"] += [(None, *_renamed(row, name)[1:]) for row in night["actions"]]
                for _, at, kind, _, seq, body, _ in night["ledger"]:
                    number += 1
                    body = digests[seq - 1] if kind == "entries" else body.replace(_NAME, name)
                    columns = (number, at, kind, name, seq, body)
                    line = (number, kind, at, name, seq, body)
                    digest = keyring.current.digest(digest, *line)
                    rows["ledger"].append((*columns, digest))
            for table, added in rows.items():
                marks = ", ".join("?" * len(added[0]))
                shell.executemany(f"INSERT INTO {table} VALUES ({marks})", added)  # noqa: S608
            shell.commit()
            first += _AT_ONCE


def _entries(night: list[Any], name: str, keyring: Keyring, rows: list[Any]) -> Iterator[str]:
    digest = ""
    for row in night:
        columns = _renamed(row, name)[:-1]
        digest = keyring.current.digest(digest, *columns)
        rows.append((*columns, digest))
        yield digest


def _renamed(row: Any, name: str) -> tuple[Any, ...]:
    return tuple(v.replace(_NAME, name) if isinstance(v, str) else v for v in row)
