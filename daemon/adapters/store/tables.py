"""The tables of a store: made in an empty database, brought up to today's in any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select

from daemon.adapters.store.schema import COMPATIBLE, SCHEMA, meta, metadata
from daemon.adapters.store.upgrading import note_revision, upgrade
from daemon.core.ports.store import StoreMoved
from daemon.core.values.outcome import Permanent

MOVED_ROW = "moved-to"
"""The name of the row of `meta` that says where a store has gone."""
_OF_THE_TABLES = {"schema": str(SCHEMA), "compatible": str(COMPATIBLE)}
"""The rows of `meta` that say what the tables are, of those that are made today."""
OWN_ROWS = (*_OF_THE_TABLES, MOVED_ROW)
"""What `meta` says of one database, and not of the store in it."""


def must_exist(path: Path) -> None:
    """Raises Permanent if there is no such file."""
    if not path.is_file():
        raise Permanent(f"there is no journal at {path}; start the daemon, or name its file")


def prepare_tables(connection: Connection, place: object, may_begin: Callable[[], None]) -> None:
    """Make the tables in an empty database; bring those of any other up to today's. `may_begin`
    raises if an empty database is not to be believed."""
    if inspect(connection).get_table_names():
        bring_up(place, connection)
        must_not_have_moved(place, connection)
        return
    may_begin()
    metadata.create_all(connection)
    rows = [{"name": name, "value": value} for name, value in _OF_THE_TABLES.items()]
    connection.execute(meta.insert(), rows)
    note_revision(connection)


def bring_up(place: object, connection: Connection) -> None:
    """Bring our tables up to today's. Raises Permanent unless they are ours, and not newer."""
    upgrade(connection, version_of(place, connection))


def must_be_of_today(place: object, connection: Connection) -> None:
    """Raises Permanent unless these are our tables as they are today, for reading changes none."""
    found = version_of(place, connection)
    if found < SCHEMA:
        raise Permanent(
            f"{place} was written by an older stopgap (schema {found}, this one reads {SCHEMA}); "
            "start this version's daemon on it once, which brings it up and loses nothing"
        )


def _goes_on_with(connection: Connection) -> bool:
    """Whether a newer stopgap that made these tables has left them as this one needs them: both
    have them open while replicas are upgraded one by one."""
    least: Any = connection.scalar(select(meta.c.value).where(meta.c.name == "compatible"))
    return least is not None and least.isdigit() and int(least) <= SCHEMA


def must_not_have_moved(place: object, connection: Connection) -> None:
    """Raises StoreMoved if `stopgap store migrate` has moved this store: what is here grows old."""
    moved = connection.scalar(select(meta.c.value).where(meta.c.name == MOVED_ROW))
    if moved is not None:
        raise StoreMoved(
            f"{place} has moved to {moved} by `stopgap store migrate`, and is old since: name that "
            "one by `store` in stopgap.yaml. To go on with this one, and without whatever has "
            f"happened there: `stopgap store migrate --undo {place}`"
        )


def version_of(place: object, connection: Connection) -> int:
    """The schema of these tables. Raises Permanent unless they are ours, and one that we know."""
    if not inspect(connection).has_table(meta.name):
        raise Permanent(f"{place} is a database, but not a journal of stopgap; name another one")
    found: Any = connection.scalar(select(meta.c.value).where(meta.c.name == "schema"))
    known = found is not None and found.isdigit()
    if not known or (int(found) > SCHEMA and not _goes_on_with(connection)):
        raise Permanent(
            f"{place} was written by a newer stopgap (schema {found}, this one knows {SCHEMA}); "
            "install that version or a later one, or name another one"
        )
    return int(found)
