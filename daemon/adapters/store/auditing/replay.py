"""Go through the ledger from its first row: is its chain whole, and what must stand in the
store after all of it?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from daemon.adapters.store.auditing.findings import EVIDENCE, Break, unknown_key
from daemon.core.values.anchor import Anchor
from daemon.core.values.seal import Keyring, key_of

ROWS = "SELECT number, kind, at, incident, seq, body, digest FROM ledger "
ROWS += "WHERE number > ? ORDER BY number"
_RESTART = "if `audit.key` was set only now, restart the daemon and look again; else "


class End(NamedTuple):
    """Where an incident stands by the ledger: its last entry, that one's digest, the row."""

    seq: int
    digest: str
    number: int


class Archived(NamedTuple):
    """An incident that was moved to a file."""

    incident: str
    entries: int
    digest: str
    file: str


class Replay:
    """The ledger so far."""

    def __init__(self, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> None:
        self.breaks: list[Break] = []
        self.ends: dict[str, End] = {}
        self.archived: list[Archived] = []
        self.freezes: dict[tuple[str], dict[str, Any]] = {}
        self.marks: dict[tuple[str, str], dict[str, Any]] = {}
        self.actions: list[dict[str, Any]] = []
        self._running: dict[str, list[dict[str, Any]]] = {}
        self.keyring = keyring
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.number, []).append(anchor)
        self.number, self._digest, self._key, self._keyed_from = 0, "", "", 0
        self._seal = keyring.find(self._key)
        self.unknown: set[str] = set()

    def run(self, rows: Iterable[Sequence[Any]]) -> None:
        """Go through more rows, in the order of their numbers."""
        for row in rows:
            number, kind, at, incident, seq, body, digest = row
            self._chained(number, kind, body, digest, row[:6])
            if kind == "entries":
                self.ends[incident] = End(seq, body, number)
            elif kind not in {"key", "begun"}:
                try:
                    self._apply(kind, at, incident, seq, json.loads(body))
                except (ValueError, TypeError, KeyError):
                    self._broken(f"row {number} is not what was written")
            self.number, self._digest = number, digest
            if self._anchors and number in self._anchors:
                self._compare(self._anchors.pop(number), at, digest)

    def _chained(
        self, number: int, kind: str, body: str, digest: str, columns: Sequence[Any]
    ) -> None:
        sealed = self._seal is not None and self._seal.digest(self._digest, *columns)
        if digest == sealed and number == self.number + 1 and kind != "key":
            return  # as nearly all are
        key, expected = key_of(digest), self._key
        if kind == "key":
            expected, self._key, self._keyed_from = body or self._key, body, number
            self._seal = self.keyring.find(body)
        if key != expected:
            how, since = _named(key), f"{_named(expected)} is in use since row {self._keyed_from}"
            self._broken(f"row {number} is made with {how}, though {since}: it was replaced")
        seal = self.keyring.find(key)
        if number != self.number + 1:
            first, last = self.number + 1, number - 1
            gone = f"row {first}" if first == last else f"rows {first}…{last}"
            self._broken(f"{gone} missing before row {number}")
        elif seal is None:
            if key not in self.unknown:
                self.unknown.add(key)
                self.breaks.append(unknown_key(key))
        elif digest != seal.digest(self._digest, *columns):
            self._broken(f"row {number} is not what was written")

    def _apply(self, kind: str, at: str, incident: str, seq: int, body: Any) -> None:
        match kind:
            case "claimed":
                action = {"incident": incident, "step": seq, "started_at": at, "finished_at": None}
                action |= body
                self.actions.append(action)
                self._running.setdefault(incident, []).append(action)
            case "released":
                for action in self._running.pop(incident, ()):
                    action["finished_at"] = at if body["acted"] else action["started_at"]
            case "marked":
                for subject, item, mark in body:
                    known = self.marks.get((subject, item))
                    if known is None or known["at"] <= at:
                        self.marks[subject, item] = {"mark": mark, "at": at, "incident": incident}
            case "frozen":
                thawed = {"thawed_by": None, "thawed_at": None}
                scope = body.pop("scope")
                self.freezes[(scope,)] = {**body, "at": at, **thawed}
            case "thawed":
                self.freezes[(body["scope"],)] |= {"thawed_by": body["by"], "thawed_at": at}
            case "archived":
                self.ends.pop(incident, None)
                self.archived.append(Archived(incident, seq, body["digest"], body["file"]))

    def _compare(self, anchors: Sequence[Anchor], at: str, digest: str) -> None:
        for anchor in anchors:
            if (anchor.digest, anchor.at) != (digest, datetime.fromisoformat(at)):
                self._broken(
                    f"row {anchor.number} is another one than your anchor has: the journal was "
                    "rewritten up to there, or the anchor is of another store"
                )

    def finish(self) -> None:
        """There are no more rows."""
        for number in sorted(self._anchors):
            at = self._anchors[number][0].at
            self._broken(
                f"it ends with row {self.number}, but your anchor of {at:%Y-%m-%d %H:%M:%S} UTC "
                f"has row {number}: the newest part of the journal is gone"
            )
        current = self.keyring.current.id
        if self.number and current and self._key != current:
            text = f"no row is made with the key of `audit.key` ({current})"
            self.breaks.append(Break("ledger", text, f"{_RESTART}{EVIDENCE}"))

    def _broken(self, text: str) -> None:
        self.breaks.append(Break("ledger", text))


def _named(key: str) -> str:
    return f"the audit key {key}" if key else "no key"
