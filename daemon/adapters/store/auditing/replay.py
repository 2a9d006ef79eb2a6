"""Go through the ledger from its first row: is its chain whole, and what must stand in the
store after all of it?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from daemon.adapters.store.auditing.findings import EVIDENCE, Break, unknown_key
from daemon.core.values.anchor import Anchor
from daemon.core.values.seal import Keyring, Seal, key_of, quoted

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
    number: int

    @classmethod
    def of(cls, number: int, incident: str, seq: int, body: Mapping[str, Any]) -> Archived:
        """As the ledger's row has it."""
        return cls(incident, seq, body["digest"], body["file"], number)


class Replay:
    """The ledger so far."""

    def __init__(self, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> None:
        self.breaks: list[Break] = []
        self.ends: dict[str, End] = {}
        self.archived: list[Archived] = []
        self.freezes: dict[tuple[str], dict[str, Any]] = {}
        self.overrides: dict[tuple[str], dict[str, Any]] = {}
        self.swaps: dict[tuple[str], dict[str, Any]] = {}
        self.maintenance: dict[tuple[str], dict[str, Any]] = {}
        self.marks: dict[tuple[str, str], dict[str, Any]] = {}
        self.actions: list[dict[str, Any]] = []
        self._running: dict[str, list[dict[str, Any]]] = {}
        self.keyring = keyring
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.number, []).append(anchor)
        self.number, self._digest, self._key, self._keyed_from = 0, "", "", 0
        self._seal = keyring.find(self._key)
        self.vouched_from = 0
        """From this row on some key was always in use; 0 if none is."""
        self.unknown: set[str] = set()
        self._blanks: list[list[int]] = []
        self._emptied: list[list[int]] = []

    def run(self, rows: Iterable[Sequence[Any]]) -> None:
        """Go through more rows, in the order of their numbers."""
        for row in rows:
            number, kind, _, incident, seq, body, digest = row
            if kind != "entries" or number in self._anchors or not self._fits(number, row):
                self._look_at(row)
            else:  # as nearly all are
                self.number, self._digest = number, digest
            if kind == "entries":
                self.ends[incident] = End(seq, body, number)

    def _fits(self, number: int, row: Sequence[Any]) -> bool:
        right = self._seal is not None and row[6] == _digest(self._seal, self._digest, row)
        return right and number == self.number + 1

    def _look_at(self, row: Sequence[Any]) -> None:
        number, kind, at, incident, seq, body, digest = row
        if kind == "blank" and number == self.number + 1:
            self._blanked(number)
        else:
            self._chained(number, kind, body, digest, row)
        if kind not in {"entries", "blank", "key", "begun"}:
            try:
                self._apply(number, kind, at, incident, seq, json.loads(body))
            except (ValueError, TypeError, KeyError):
                self._broken(f"row {number} is not what was written")
        self.number, self._digest = number, digest
        if number in self._anchors:
            self._compare(self._anchors.pop(number), at, digest)

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
        for first, last in outside(self._blanks, self._emptied):
            which = f"row {first} is" if first == last else f"rows {first}…{last} are"
            self._broken(f"{which} empty, and no archived incident was there")

    def _blanked(self, number: int) -> None:
        if self._blanks and self._blanks[-1][1] == number - 1:
            self._blanks[-1][1] = number
        else:
            self._blanks.append([number, number])

    def _chained(self, number: int, kind: str, body: str, digest: str, row: Sequence[Any]) -> None:
        key, expected = key_of(digest), self._key
        if kind == "key":
            expected, self._key, self._keyed_from = body or self._key, body, number
            self._seal = self.keyring.find(body)
            self.vouched_from = (self.vouched_from or number) if body else 0
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
        elif digest != _digest(seal, self._digest, row):
            self._broken(f"row {number} is not what was written")

    def _apply(self, number: int, kind: str, at: str, incident: str, seq: int, body: Any) -> None:
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
            case "overridden" | "override-removed" | "swap-asked" | "swap-answered":
                self._apply_oncall(kind, at, body)
            case "maintenance":
                window = body.pop("id")
                ended = {"ended_by": None, "ended_at": None}
                self.maintenance[(window,)] = {**body, "announced_at": at, **ended}
            case "maintenance-ended":
                self.maintenance[(body["id"],)] |= {"ended_by": body["by"], "ended_at": at}
            case "expired":
                self._expire(body["table"], [tuple(key) for key in body["rows"]])
            case "archived":
                self.ends.pop(incident, None)
                self._emptied += body["rows"]
                self.archived.append(Archived.of(number, incident, seq, body))

    def _apply_oncall(self, kind: str, at: str, body: Any) -> None:
        match kind:
            case "overridden":
                removed = {"removed_by": None, "removed_at": None}
                self.overrides[(body.pop("id"),)] = {**body, "at": at, **removed}
            case "override-removed":
                gone = {"removed_by": body["by"], "removed_at": at}
                self.overrides[(body["id"],)] |= gone
            case "swap-asked":
                waiting = {"answer": "", "answered_at": None}
                self.swaps[(body.pop("id"),)] = {**body, "at": at, **waiting}
            case "swap-answered":
                answered = {"answer": body["answer"], "answered_at": at}
                self.swaps[(body["id"],)] |= answered

    def _expire(self, table: str, keys: Sequence[tuple[Any, ...]]) -> None:
        """Rows that went by age. Raises KeyError if one of them was not there."""
        if table == "actions":
            gone = set(keys)
            named = ("incident", "step", "target", "started_at")
            kept = [one for one in self.actions if tuple(one[n] for n in named) not in gone]
            if len(self.actions) - len(kept) < len(gone):
                raise KeyError(table)
            self.actions = kept
            return
        rows: dict[str, dict[Any, dict[str, Any]]] = {
            "freezes": self.freezes,
            "maintenance_windows": self.maintenance,
            "oncall_overrides": self.overrides,
            "oncall_swaps": self.swaps,
            "marks": self.marks,
        }
        for key in keys:
            del rows[table][key]

    def _compare(self, anchors: Sequence[Anchor], at: str, digest: str) -> None:
        for anchor in anchors:
            moved = at and anchor.at != datetime.fromisoformat(at)
            if anchor.digest != digest or moved:
                self._broken(
                    f"row {anchor.number} is another one than your anchor has: the journal was "
                    "rewritten up to there, or the anchor is of another store"
                )

    def _broken(self, text: str) -> None:
        self.breaks.append(Break("ledger", text))


def _digest(seal: Seal, previous: str, row: Sequence[Any]) -> str:
    """As `Seal.digest`, written out for these columns: this is most of the work."""
    number, kind, at, incident, seq, body, _ = row
    try:
        what = f"{number}, {quoted(kind)}, {quoted(at)}, {quoted(incident)}, {seq}"
        return seal.of(f"[{quoted(previous)}, {what}, {quoted(body)}]")
    except TypeError:
        return ""  # not even text: that was not written by a daemon


def _named(key: str) -> str:
    return f"the audit key {key}" if key else "no key"


def outside(found: Iterable[list[int]], allowed: Iterable[list[int]]) -> list[list[int]]:
    """The parts of the ranges `found` that are in none of `allowed`; `found` is in order."""
    left, permits = [], sorted(allowed)
    at = 0
    for first, last in found:
        while at < len(permits) and permits[at][1] < first:
            at += 1
        here = at
        while first <= last and here < len(permits) and permits[here][0] <= last:
            if permits[here][0] > first:
                left.append([first, permits[here][0] - 1])
            first = max(first, permits[here][1] + 1)
            here += 1
        if first <= last:
            left.append([first, last])
    return left
