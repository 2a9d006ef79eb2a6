"""The ledger: one chain over all incidents, a row for whatever changes the journal.

A chain for each incident shows an edited entry, but not an incident that is gone, nor that the
newest entries are. The ledger does: each append writes a row in its own transaction, with the
digest of the incident's last entry. Freezes, locks and marks are no incident's entries; their
rows here are what the audit rebuilds their tables from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, select

from daemon.adapters.store.hinting import hint_at_news
from daemon.adapters.store.schema import ledger
from daemon.core.values.anchor import Anchor
from daemon.core.values.outcome import Permanent
from daemon.core.values.seal import Keyring, Seal, key_of

LedgerKind = Literal[
    "entries",  # an incident has grown to entry `seq`, whose digest is the body
    "claimed",  # its step `seq` took the lock of a target; the body says of which, and for whom
    "released",  # it gave the lock back; the body says whether it had `acted`
    "marked",  # what a measurement said of items: [[subject, item, mark], …]
    "frozen",  # a freeze, as the body has it
    "thawed",  # the freeze of a scope was lifted
    "overridden",  # somebody is on call instead of others, as the body has it
    "override-removed",  # that was taken back; the body says which, and by whom
    "swap-asked",  # somebody asks another to take a shift of theirs
    "swap-answered",  # what became of that
    "maintenance",  # a maintenance window was announced, as the body has it
    "maintenance-ended",  # and ended before its time, or called off
    "assisted",  # an assistant used a tool; the body says which, in whose name, and what it asked
    "expired",  # rows of a table were taken out by age (`retention`); the body names all of them
    "archived",  # an incident's `seq` entries were moved to a file; the body names it, and the
    # rows that told of them, which are:
    "blank",  # emptied but for the digest, which the next row is chained to
    "key",  # from here on digests are made with the key that the body names
    "begun",  # all before it was there already when the ledger was begun
]


class Line(NamedTuple):
    """A row about to be written; `at` as `schema.stamp` has it."""

    kind: LedgerKind
    at: str
    incident: str = ""
    seq: int = 0
    body: str = ""


def packed(body: Any) -> str:
    """A body as it is stored: compact JSON with sorted keys."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as [[first, last], …] in their order, neighbours together."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number <= found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


class LastRow(NamedTuple):
    """What the next row is made from."""

    number: int
    digest: str
    at: str
    kind: str
    body: str


def last_row() -> Select[Any]:
    """Asks for the last row, if there is one, as `LastRow` has it."""
    columns = (ledger.c[name] for name in LastRow._fields)
    return select(*columns).order_by(ledger.c.number.desc()).limit(1)


_LAST_ROW = last_row()
_WRITING = ledger.insert()


def find_last(connection: Connection) -> LastRow | None:
    """The last row; None if there is none."""
    row = connection.execute(_LAST_ROW).one_or_none()
    return None if row is None else LastRow(*row)


class Ledger:
    """Writes rows, each in the transaction of what it tells of; there is one writer."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring

    @property
    def seal(self) -> Seal:
        """What new digests are made with."""
        return self.keyring.current

    def write(self, connection: Connection, *lines: Line) -> None:
        """Add these rows at the end."""
        if lines:
            self._add(connection, find_last(connection), lines)

    def write_after(
        self, connection: Connection, last: LastRow | None, lines: Sequence[Line]
    ) -> None:
        """Likewise, if the last row is known: nothing is asked."""
        if lines:
            self._add(connection, last, lines)

    def take_key(self, place: object, connection: Connection) -> None:
        """Note that a key was set, changed or given up, if it was. Raises Permanent if the key
        that the last row was made with is not known here."""
        last = find_last(connection)
        if last is None:
            return  # the first row tells
        known = _key_after(last)
        if self.keyring.find(known) is None:
            raise Permanent(
                f"the journal in {place} is kept with the audit key {known}, which is not set: "
                "name it by `audit.key`, or by `audit.former_keys` if it is not to be used again"
            )
        self._add(connection, last, ())

    def _add(self, connection: Connection, last: LastRow | None, lines: Sequence[Line]) -> None:
        number, digest = (0, "") if last is None else (last.number, last.digest)
        sealed = [(line, self.seal) for line in lines]
        known = "" if last is None else _key_after(last)
        if known != self.seal.id:
            at = lines[0].at if lines or last is None else last.at
            sealed.insert(0, (Line("key", at, body=self.seal.id), self._handing_over(known)))
        rows = []
        for line, seal in sealed:
            number += 1
            digest = seal.digest(digest, number, *line)
            rows.append({"number": number, "digest": digest, **line._asdict()})
        if rows:
            connection.execute(_WRITING, rows)
            hint_at_news(connection)

    def _handing_over(self, known: str) -> Seal:
        """A new key vouches for all before it; where there is none, the old one says so."""
        former = self.keyring.find(known)
        return self.seal if self.seal.id or former is None else former


def last_anchor(connection: Connection) -> Anchor | None:
    """The last row as an anchor; None if there is none."""
    last = find_last(connection)
    if last is None:
        return None
    return Anchor(number=last.number, at=datetime.fromisoformat(last.at), digest=last.digest)


def _key_after(row: LastRow) -> str:
    """The key that was in use when that row had been written."""
    return row.body if row.kind == "key" else key_of(row.digest)
