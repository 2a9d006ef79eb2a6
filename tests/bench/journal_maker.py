"""A store with many whole nights, made quickly: some nights are recorded, the others are copies.

Usage: python journal_maker.py FILE CLOSED OPEN. What makes it is the code that PYTHONPATH names,
so that each build of the daemon gets a store of its own kind. The closed incidents are spread over
a year. Of the open ones, `WAITING` wait for somebody, whose next page was due minutes ago; the
others have recovered and are watched for a relapse.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.adapters.store import open_store
from daemon.core.incident import events as e
from daemon.core.values.seal import Keyring
from tests.core.build import ACKNOWLEDGED, make_problem
from tests.journal_scenes import BEGIN, Night

_AT_ONCE = 500
_TABLES = ("events", "heads", "actions", "marks", "ledger")
_NIGHTS = 100
"""So many nights of a year are recorded."""
WAITING = 10

Scene = tuple[datetime, Callable[[Night], Awaitable[None]]]
"""When it begins, and what is played."""


def _whole(night: Night) -> Awaitable[None]:
    return night.whole()


async def _attended(night: Night) -> None:
    await night.open()
    await night.add(e.ProblemDefined(problem=make_problem()))
    await night.add(*ACKNOWLEDGED, by="ada (cli)")
    await night.add(e.Recovered(step=0, text="79 % → 99 %"))


def _unattended(night: Night) -> Awaitable[None]:
    return night.open()


async def fill(path: Path, incidents: int, keyring: Keyring) -> None:
    """Make a store of so many closed incidents, each with its own entries and digests."""
    await _fill(path, [((BEGIN, _whole), incidents)], keyring)


async def fill_of_today(path: Path, closed: int, opened: int, keyring: Keyring) -> None:
    """Make the store that is described above."""
    now = datetime.now(UTC)
    nights = [
        (now - timedelta(days=2 + 363 * n / _NIGHTS), _whole) for n in reversed(range(_NIGHTS))
    ]
    scenes: list[tuple[Scene, int]] = [(night, closed // _NIGHTS) for night in nights]
    days = 10
    scenes += [
        ((now - timedelta(hours=4 * n), _attended), (opened - WAITING) // days)
        for n in range(days, 0, -1)
    ]
    scenes.append(((now - timedelta(minutes=25), _unattended), WAITING))
    await _fill(path, scenes, keyring)


async def _fill(path: Path, scenes: Sequence[tuple[Scene, int]], keyring: Keyring) -> None:
    """Play each scene so often: once in earnest, then as copies."""
    async with open_store(path, keyring=keyring) as store:
        for number, ((at, play), _) in enumerate(scenes, 1):
            await play(Night(store.journal, _name(number), _name(number), at))
    with closing(sqlite3.connect(path)) as shell:
        shell.execute("PRAGMA synchronous = OFF")
        number = len(scenes)
        for scene, (_, times) in enumerate(scenes, 1):
            names = [_name(number + n) for n in range(1, times)]
            number += len(names)
            for first in range(0, len(names), _AT_ONCE):
                _copy(shell, _name(scene), names[first : first + _AT_ONCE], keyring)


def _name(number: int) -> str:
    return f"inc-{number:06}"


def _copy(shell: sqlite3.Connection, scene: str, names: Sequence[str], keyring: Keyring) -> None:
    rows: dict[str, list[Any]] = {name: [] for name in _TABLES}
    night = {
        name: shell.execute(f"SELECT * FROM {name} WHERE incident = ?", (scene,)).fetchall()  # noqa: S608
        for name in _TABLES
    }
    last = "SELECT number, digest FROM ledger ORDER BY number DESC LIMIT 1"
    number, digest = shell.execute(last).fetchone()
    for name in names:
        digests = list(_entries(night["events"], scene, name, keyring, rows["events"]))
        for table in ("heads", "marks"):
            rows[table] += [_renamed(row, scene, name) for row in night[table]]
        rows["actions"] += [(None, *_renamed(row, scene, name)[1:]) for row in night["actions"]]
        for _, at, kind, _, seq, body, _ in night["ledger"]:
            number += 1
            body = digests[seq - 1] if kind == "entries" else body.replace(scene, name)
            columns = (number, at, kind, name, seq, body)
            line = (number, kind, at, name, seq, body)
            digest = keyring.current.digest(digest, *line)
            rows["ledger"].append((*columns, digest))
    for table, added in rows.items():
        if added:
            marks = ", ".join("?" * len(added[0]))
            shell.executemany(f"INSERT INTO {table} VALUES ({marks})", added)  # noqa: S608
    shell.commit()


def _entries(
    night: list[Any], scene: str, name: str, keyring: Keyring, rows: list[Any]
) -> Iterator[str]:
    digest = ""
    for row in night:
        columns = _renamed(row, scene, name)[:-1]
        digest = keyring.current.digest(digest, *columns)
        rows.append((*columns, digest))
        yield digest


def _renamed(row: Any, scene: str, name: str) -> tuple[Any, ...]:
    return tuple(v.replace(scene, name) if isinstance(v, str) else v for v in row)


if __name__ == "__main__":
    made = fill_of_today(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Keyring())
    asyncio.run(made)
