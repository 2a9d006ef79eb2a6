"""Freezes, maintenance, overrides, swaps, actions, marks: what the ledger makes of them?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table

from daemon.adapters.store.auditing.findings import DERIVED, EVIDENCE, Break
from daemon.adapters.store.auditing.replay import Replay
from daemon.adapters.store.schema import (
    actions_table,
    freezes_table,
    maintenance_table,
    marks,
    oncall_overrides,
    oncall_swaps,
)
from daemon.adapters.store.statements import storable

_Named = Mapping[tuple[Any, ...], Mapping[str, Any]]
"""Primary key → columns by name."""

_ACTION = ("incident", "step", "target", "started_at")


def check_tables(
    connection: Connection, replay: Replay, starts: Iterable[tuple[str, int, str, str]]
) -> Iterator[Break]:
    """Every row that is not as it should be, is missing, or should not be there. `starts`: the
    steps that the entries say were started (`IncidentAuditor`)."""
    yield from _compared(
        "freeze", replay.freezes, _keyed(_read(connection, freezes_table), ("scope",))
    )
    for kind, expected, table in (
        ("maintenance", replay.maintenance, maintenance_table),
        ("override", replay.overrides, oncall_overrides),
        ("swap", replay.swaps, oncall_swaps),
    ):
        yield from _compared(kind, expected, _keyed(_read(connection, table), ("id",)))
    found = _keyed(_read(connection, marks), ("subject", "item"))
    yield from _compared("mark", replay.marks, found)
    claimed = _keyed(replay.actions, _ACTION)
    yield from _compared("action", claimed, _keyed(_read(connection, actions_table), _ACTION))
    for incident, step, at, target in starts:
        if (incident, step, storable(target), at) not in claimed:
            text = f"step {step} was started on {target}, but the ledger has no lock for it"
            yield Break(incident, text, EVIDENCE)


def _read(connection: Connection, table: Table) -> list[dict[str, Any]]:
    # With the table's name, for without it SQLite takes a name that it does not know for a text.
    columns = [column.name for column in table.columns]
    names = ", ".join(f'{table.name}."{name}"' for name in columns)
    rows = connection.exec_driver_sql(f"SELECT {names} FROM {table.name}")  # noqa: S608 - ours
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _keyed(rows: Iterable[Mapping[str, Any]], key: tuple[str, ...]) -> _Named:
    """The rows by their key; a second one of the same key is told apart by its count."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        name, count = tuple(storable(row[column]) for column in key), 1
        while (name if count == 1 else (*name, f"#{count}")) in found:
            count += 1
        found[name if count == 1 else (*name, f"#{count}")] = row
    return found


def _compared(kind: str, expected: _Named, stored: _Named) -> Iterator[Break]:
    other = [name for name in stored if name not in expected]
    differ = [name for name, row in expected.items() if not _same(row, stored.get(name))]
    for name in sorted([*other, *differ], key=repr):  # of any type, once edited
        where = f"{kind} {' '.join(map(str, name))}"
        if name not in stored:
            yield Break(where, "the row is missing", DERIVED)
        elif name not in expected:
            yield Break(where, "the row was put there by something else than the daemon", DERIVED)
        else:
            for column, value in expected[name].items():
                if storable(stored[name][column]) != storable(value):
                    difference = f"{column} is {stored[name][column]!r}, but {value!r} was written"
                    yield Break(where, difference, DERIVED)


def _same(row: Mapping[str, Any], stored: Mapping[str, Any] | None) -> bool:
    return stored is not None and all(
        storable(stored[column]) == storable(row[column]) for column in row
    )
