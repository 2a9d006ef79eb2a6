"""Begin the ledger of a store that was written without one, from what stands in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice

from sqlalchemy import Connection

from daemon.core.values.seal import UNKEYED

TABLE = """CREATE TABLE ledger (
    number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, incident TEXT NOT NULL,
    seq INTEGER NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (number)
)"""

_AT_ONCE = 5000
_Row = tuple[str, str, str, int, str]
"""kind, at, incident, seq, body: as the ledger of schema 5 has them."""

_ENDS = """SELECT e.incident, e.seq, e.at, e.digest FROM events e JOIN (
    SELECT incident, max(seq) AS seq FROM events GROUP BY incident
) AS last ON last.incident = e.incident AND last.seq = e.seq ORDER BY e.at, e.incident"""
_INSERT = """INSERT INTO ledger (number, kind, at, incident, seq, body, digest)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


def begin_ledger(connection: Connection) -> None:
    """Write down every incident, action, mark and freeze that is there, and that they were
    there before. What was edited until then is in it as it was found."""
    found = (_incidents, _actions, _marks, _freezes)
    rows = chain.from_iterable(read(connection) for read in found)
    number, digest, newest = 0, "", ""
    while some := list(islice(rows, _AT_ONCE)):
        sealed = []
        for row in some:
            number += 1
            digest = UNKEYED.digest(digest, number, *row)
            sealed.append((number, *row, digest))
            newest = max(newest, row[1])
        connection.exec_driver_sql(_INSERT, sealed)
    if number:
        last = (number + 1, "begun", newest, "", 0, "")
        connection.exec_driver_sql(_INSERT, (*last, UNKEYED.digest(digest, *last)))


def _incidents(connection: Connection) -> Iterator[_Row]:
    for incident, seq, at, digest in connection.exec_driver_sql(_ENDS):
        yield "entries", at, incident, seq, digest


def _actions(connection: Connection) -> Iterator[_Row]:
    rows = connection.exec_driver_sql(
        "SELECT incident, step, target, started_at, finished_at, rule, team, domain "
        "FROM actions ORDER BY number"
    )
    for incident, step, target, started, finished, rule, team, domain in rows:
        body = {"target": target, "rule": rule, "team": team, "domain": domain}
        yield "claimed", started, incident, step, _packed(body)
        if finished is not None:
            yield "released", finished, incident, 0, _packed({"acted": True})


def _marks(connection: Connection) -> Iterator[_Row]:
    rows = connection.exec_driver_sql(
        "SELECT subject, item, mark, at, incident FROM marks ORDER BY at, subject, item"
    )
    for subject, item, mark, at, incident in rows:
        yield "marked", at, incident, 0, _packed([[subject, item, mark]])


def _freezes(connection: Connection) -> Iterator[_Row]:
    rows = connection.exec_driver_sql(
        'SELECT scope, reason, "by", at, until, thawed_by, thawed_at FROM freezes ORDER BY at'
    )
    for scope, reason, by, at, until, thawed_by, thawed_at in rows:
        body = {"scope": scope, "reason": reason, "by": by, "until": until}
        yield "frozen", at, "", 0, _packed(body)
        if thawed_at is not None:
            yield "thawed", thawed_at, "", 0, _packed({"scope": scope, "by": thawed_by})


def _packed(body: object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
