"""The incidents of a store, a portion at a time: each can be looked at by its own process.

Digests and folding keep a core busy, and there are more cores than one. Each portion is read in
a snapshot of its own, so what it finds is a suspicion; what is wrong is said by a second look.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from daemon.adapters.store.auditing.incidents import COLUMNS, HEAD_COLUMNS, IncidentAuditor
from daemon.adapters.store.auditing.replay import End
from daemon.adapters.store.backend import Backend
from daemon.adapters.store.statements import cursor_on
from daemon.core.values.outcome import Temporary
from daemon.core.values.seal import Keyring

ENTRIES = f"SELECT {COLUMNS} FROM events"  # noqa: S608 - our own columns
HEADS = f"SELECT {', '.join(HEAD_COLUMNS)} FROM heads"  # noqa: S608

SIZE = 2500
"""Incidents in a portion: enough to be worth a process, few enough to share them out evenly."""
_AT_ONCE = 1000

Bounds = tuple[str, str | None]
"""The first incident, and the one before which the portion ends; None for the last portion."""


class Portion(NamedTuple):
    """What was seen of some incidents."""

    ends: dict[str, tuple[int, str]]
    """The number and the digest of each one's last entry."""
    suspects: list[str]
    starts: list[tuple[str, int, str, str]]
    """As `IncidentAuditor.starts` has them."""
    unknown: set[str]
    """As `IncidentAuditor.unknown`."""
    entries: int


def raw(connection: Connection, query: str, *values: Any) -> Iterator[Sequence[Any]]:
    """The rows as the database has them, one by one; the digests are over just that. Raises
    DBAPIError, for a damaged file say."""
    try:
        with closing(cursor_on(connection, query, values)) as cursor:
            while some := cursor.fetchmany(_AT_ONCE):
                yield from some
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(query, values, error) from error


def bounds(connection: Connection) -> list[Bounds]:
    """How the incidents are shared out; whatever there is belongs to one portion."""
    known = [row[0] for row in raw(connection, "SELECT incident FROM heads ORDER BY incident")]
    firsts = ["", *known[SIZE::SIZE]]
    return list(zip(firsts, [*firsts[1:], None], strict=True))


def look(backend: Backend, keyring: Keyring, bounds: Bounds) -> Portion:
    """Look at one portion. Raises Temporary or Permanent if it cannot be read."""
    transactions = backend.reading()
    try:
        with transactions.begin() as connection:
            return _look(connection, keyring, *bounds)
    except SQLAlchemyError as error:
        raise backend.translated(error) from None  # its cause could not leave the process
    finally:
        transactions.dispose()


def _look(connection: Connection, keyring: Keyring, first: str, before: str | None) -> Portion:
    within, values = "WHERE incident >= ?", [first]
    if before is not None:
        within, values = f"{within} AND incident < ?", [first, before]
    heads = {row[0]: row for row in raw(connection, f"{HEADS} {within}", *values)}
    auditor, ends, suspects, entries = IncidentAuditor(keyring), {}, [], 0
    ordered = raw(connection, f"{ENTRIES} {within} ORDER BY incident, seq", *values)
    for incident, group in groupby(ordered, itemgetter(0)):
        rows = list(group)
        entries += len(rows)
        seq, digest = ends[incident] = rows[-1][1], rows[-1][7]
        # Whether the ledger agrees is asked later, by `ends`.
        if auditor.check(incident, rows, heads.pop(incident, None), End(seq, digest, 0)):
            suspects.append(incident)
    return Portion(ends, [*suspects, *heads], auditor.starts, auditor.unknown, entries)


def look_at_all(backend: Backend, keyring: Keyring, shares: Sequence[Bounds]) -> Iterator[Portion]:
    """Look at all of them, side by side where there is more than one. Raises Temporary if a
    process is ended from outside."""
    one = partial(look, backend, keyring)
    if len(shares) == 1:
        yield one(shares[0])
        return
    # Not forked: there are threads here, and they hold locks.
    workers = min(len(os.sched_getaffinity(0)), len(shares))
    # The daemon has this module too, and starts no processes.
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(one, shares)
        except BrokenProcessPool as error:
            raise Temporary(
                "a process of the audit was ended from outside, for lack of memory perhaps: "
                "nothing is known yet; look again"
            ) from error
