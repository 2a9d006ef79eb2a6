"""The tables of one store copied into another, row by row, read back there and compared.

Everything goes as it is stored, not as it is understood: the audit is over the very characters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    MetaData,
    Table,
    TableClause,
    TypeDecorator,
    column,
    func,
    literal,
    select,
    table,
    text,
    tuple_,
)

from daemon.adapters.store.backend import Backend
from daemon.adapters.store.postgresql import COMMIT_ROW
from daemon.adapters.store.schema import meta
from daemon.adapters.store.statements import storable
from daemon.adapters.store.tables import OWN_ROWS
from daemon.core.values.outcome import Permanent

ROWS_AT_ONCE = 500
"""Rows in memory at a time; a delivery may be megabytes."""
LEFT_BEHIND = frozenset({"alembic_version", "replicas", "duties"})
"""Tables of one database: its revision, and who works on it just now."""
_NOBODYS = "owner"
"""A column that names a replica, which is not there: it is nobody's on the other side."""


class CopiedTable(NamedTuple):
    """A table that is the same in both: how many rows it has, and the digest over all of them."""

    name: str
    rows: int
    digest: str


MigrationProgress = Callable[[str, int], None]
"""Hears of a table's name and how many of its rows are copied so far."""


def copy_tables(
    here: Backend,
    there: Backend,
    tables: MetaData,
    progress: MigrationProgress,
    source: Connection,
    target: Connection,
) -> list[CopiedTable]:
    """Copy every table into a target that has nothing, or find that it has all of it already, as an
    earlier try leaves it that was ended before it could note that. Raises Permanent if it has
    anything else, or does not give back what it was given.
    """
    ours = [one for one in tables.sorted_tables if one.name not in LEFT_BEHIND]
    if any(next(_rows(target, one), None) for one in ours):
        return [_the_same(here, there, source, target, one) for one in ours]
    copied = []
    for one in ours:
        was = _copy(source, target, one, progress)
        is_now = _seen(one, _rows(target, one))
        if was != is_now:
            raise Permanent(
                f"{there} does not give back what {here} has: {one.name} has {was.rows} rows here "
                f"and {is_now.rows} there, digests {was.digest[:12]} and {is_now.digest[:12]}; "
                "nothing was kept of it"
            )
        _count_on(target, one)
        copied.append(was)
    return copied


def _the_same(
    here: Backend, there: Backend, source: Connection, target: Connection, one: Table
) -> CopiedTable:
    """A table that an earlier try has copied. Raises Permanent if it is anything else."""
    was, is_now = _seen(one, _rows(source, one)), _seen(one, _rows(target, one))
    if was != is_now:
        raise Permanent(
            f"{there} is not empty, and has not what {here} has: there are {is_now.rows} rows in "
            f"{one.name}, here {was.rows}; name an empty database, or a file that is not there"
        )
    return was


def _copy(
    source: Connection, target: Connection, one: Table, progress: MigrationProgress
) -> CopiedTable:
    plain, count = _plain(one), 0

    def passed_on() -> Iterator[Sequence[Mapping[str, Any]]]:
        nonlocal count
        for some in _rows(source, one):
            target.execute(plain.insert(), some)
            count += len(some)
            progress(one.name, count)
            yield some

    return _seen(one, passed_on())


def _seen(one: Table, portions: Iterator[Sequence[Mapping[str, Any]]]) -> CopiedTable:
    digest, count = hashlib.sha256(), 0
    for some in portions:
        count += len(some)
        for row in some:
            digest.update(json.dumps(list(row.values()), default=bytes.hex).encode() + b"\n")
    return CopiedTable(one.name, count, digest.hexdigest())


def _rows(connection: Connection, one: Table) -> Iterator[Sequence[Mapping[str, Any]]]:
    """All rows as they are stored, in the order of their keys, in portions."""
    plain = _plain(one)
    key = [plain.c[c.name] for c in one.primary_key.columns]
    query = select(plain).order_by(*key).limit(ROWS_AT_ONCE)
    if one is meta:
        own = plain.c.name.in_(OWN_ROWS) | (
            func.substr(plain.c.name, 1, len(COMMIT_ROW)) == COMMIT_ROW
        )
        query = query.where(~own)
    last: tuple[Any, ...] | None = None
    while True:
        after = query
        if last is not None:
            after = query.where(tuple_(*key) > tuple_(*map(literal, last)))
        found = connection.execute(after).mappings()
        some = [_taken_over(dict(row)) for row in found]
        if some:
            yield some
        if len(some) < ROWS_AT_ONCE:
            return
        last = tuple(some[-1][one_column.name] for one_column in key)


def _taken_over(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it is on either side, whichever database it comes from."""
    taken = {name: storable(value) for name, value in row.items()}
    return {**taken, _NOBODYS: ""} if _NOBODYS in taken else taken


def _plain(one: Table) -> TableClause:
    """The table with the types that are stored: nothing is decoded on its way."""
    return table(
        one.name,
        *(
            column(c.name, c.type.impl if isinstance(c.type, TypeDecorator) else c.type)
            for c in one.columns
        ),
    )


def _count_on(connection: Connection, one: Table) -> None:
    """Let the database number new rows from behind the copied ones."""
    counter = one.autoincrement_column
    if counter is None or connection.dialect.name != "postgresql":
        return  # SQLite goes on from the greatest number by itself
    sequence = text("SELECT pg_get_serial_sequence(:table, :column)")
    named = {"table": one.name, "column": counter.name}
    if connection.scalar(sequence, named) is not None:
        greatest = connection.scalar(select(func.coalesce(func.max(counter), 0)))
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)"),
            {**named, "next": (greatest or 0) + 1},
        )
