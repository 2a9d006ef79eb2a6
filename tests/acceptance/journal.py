"""The store of a daemon, read from outside with nothing but SQL, so that no code under test can
hide anything."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple


class Told(NamedTuple):
    """One entry of the journal."""

    incident: str
    seq: int
    at: str
    kind: str
    event: dict[str, Any]


class JournalFile:
    """`stopgap.db` of a daemon that runs or has ended in order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, kind: str = "", incident: str = "") -> list[Told]:
        """The entries of that kind and incident, or all, in order."""
        query = "SELECT incident, seq, at, kind, body FROM events ORDER BY incident, seq"
        rows = (Told(*row[:4], json.loads(row[4])) for row in self._rows(query))
        return [r for r in rows if kind in {"", r.kind} and incident in {"", r.incident}]

    def count(self, kind: str) -> int:
        """How many entries of that kind there are; cheap, for looking again and again."""
        query = f"SELECT count(*) FROM events WHERE kind = '{kind}'"  # noqa: S608 - our own words
        return int(next(self._rows(query))[0])

    def incidents(self) -> dict[str, str]:
        """Incident id → its title."""
        return dict(self._rows("SELECT incident, title FROM heads ORDER BY opened_at"))

    def alerts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(incident, alert) as often as an alert was journaled."""
        for entry in self.entries("AlertsReceived"):
            for alert in entry.event["alerts"]:
                yield entry.incident, alert

    def unprocessed(self) -> int:
        """How many deliveries still wait in the inbox."""
        return int(next(self._rows("SELECT count(*) FROM inbox WHERE NOT processed"))[0])

    def deliveries(self) -> int:
        """How many deliveries the inbox has stored."""
        return int(next(self._rows("SELECT count(*) FROM inbox"))[0])

    def _rows(self, query: str) -> Iterator[Any]:
        with closing(sqlite3.connect(self.path, timeout=5)) as connection:
            yield from connection.execute(query).fetchall()
