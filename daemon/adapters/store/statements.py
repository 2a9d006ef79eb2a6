"""What a statement needs that is not the same in every database's SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_VALUES = 1000  # in one IN (…): databases bound the parameters of a statement
_CURSORS = count()
_TAIL = "tail"  # in `Connection.info`


def storable(value: Any) -> Any:
    """As every database takes it: PostgreSQL has no text with U+0000 in it, and what alerts say is
    not ours to refuse, so U+FFFD stands in its place."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that may have an ON CONFLICT clause."""
    # The dialect in use is loaded, and the other one is not needed.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def on_names(
    connection: Connection, statement: str, names: Sequence[str], *values: Any
) -> Sequence[Sequence[Any]]:
    """Carry out a statement as it stands, in which `(*)` is all the names and each `?` after it a
    value; returns its rows, if it has any, as the driver has them.

    For what is done so often that composing it would cost more than the database does.
    """
    listed = f"({', '.join('?' * len(names))})"
    done = connection.exec_driver_sql(
        _of_driver(connection, statement.replace("(*)", listed)), (*names, *values)
    )
    return done.all() if done.returns_rows else ()


def insert_missing(
    connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]], name: str
) -> set[str]:
    """Insert rows of which none was there a moment ago; returns the names of those that nobody
    else has inserted meanwhile. `statement` is `INSERT … VALUES (?, …)`, as the driver carries it
    out; the first of its columns is `name`, which is unique."""
    if connection.dialect.name == "postgresql":
        head, _, row = _of_driver(connection, statement).partition("VALUES ")
        several = f"{head}VALUES {', '.join([row] * len(rows))}"
        added = f"{several} ON CONFLICT ({name}) DO NOTHING RETURNING {name}"
        # Whoever inserts the same ones at the same time does it in the same order, or each would
        # wait for the other: a deadlock, which the server notices after a second.
        values = tuple(value for one in sorted(rows, key=itemgetter(0)) for value in one)
        return set(connection.exec_driver_sql(added, values).scalars())
    # Plainly: that is several times faster, and SQLite has one writer.
    connection.exec_driver_sql(statement, list(rows))
    return {one[0] for one in rows}


def _of_driver(connection: Connection, statement: str) -> str:
    return statement.replace("?", "%s") if connection.dialect.name == "postgresql" else statement


class Tail:
    """What a transaction has written last, which waits for the COMMIT to go with it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pipeline = ExitStack()
        self._waits = False
        self.commit_follows = False
        """Whether what is written now is the last."""

    def hold(self, pipeline: ExitStack) -> None:
        """Keep what is in there for the COMMIT."""
        self._pipeline, self._waits = pipeline, True

    def send(self) -> None:
        """Send it and the COMMIT at once; both are answered when this returns. If nothing waits,
        this does nothing."""
        if not self._waits:
            return
        self._waits = False
        driver: Any = self._connection.connection.dbapi_connection
        with _errors_translated(self._connection), self._pipeline:
            # Not by its `commit`, which waits for the answer before the pipeline ends, and that
            # is one more way there and back.
            driver.execute("COMMIT")

    def drop(self) -> None:
        """There will be no COMMIT."""
        with suppress(self._connection.dialect.loaded_dbapi.Error):
            self._pipeline.close()


@contextmanager
def with_tail(connection: Connection) -> Iterator[Tail]:
    """A transaction whose COMMIT may take along what was written last."""
    tail = connection.info[_TAIL] = Tail(connection)
    try:
        yield tail
    finally:
        tail.drop()


@contextmanager
def before_commit(connection: Connection) -> Iterator[None]:
    """Nothing but the COMMIT follows on what is done inside: what it sends together last may go
    with that, and what is wrong with it is told then."""
    tail: Tail | None = connection.info.get(_TAIL)
    if tail is None:
        yield
        return
    tail.commit_follows = True
    try:
        yield
    finally:
        tail.commit_follows = False


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """What is written inside goes to the database at once, and is answered at once at the end,
    where that saves time. Nothing inside may ask for rows, or how many there were; nothing of the
    same work may come after it, for that may be answered at the COMMIT only."""
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    tail: Tail | None = connection.info.get(_TAIL)
    with _errors_translated(connection), ExitStack() as pipeline:
        pipeline.enter_context(driver.pipeline())
        yield
        if tail is not None and tail.commit_follows:
            tail.hold(pipeline.pop_all())


@contextmanager
def _errors_translated(connection: Connection) -> Iterator[None]:
    """As SQLAlchemy does with what a statement of its own raises."""
    driver: Any = connection.connection.dbapi_connection
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        # What the server has not answered to its end is lost, too: it ended the session, after the
        # COMMIT perhaps.
        lost = bool(driver.closed or driver.info.pipeline_status)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            None,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            connection_invalidated=lost,
            dialect=connection.dialect,
        ) from error


def cursor_on(connection: Connection, query: str, values: Sequence[Any]) -> Any:
    """The driver's own cursor on the rows of a query with `?` for each value, which reads as it
    goes, however long the answer is. Raises what the driver raises."""
    driver: Any = connection.connection
    if connection.dialect.name == "postgresql":
        cursor, query = driver.cursor(f"rows_{next(_CURSORS)}"), query.replace("?", "%s")
    else:
        cursor = driver.cursor()
    cursor.execute(query, tuple(values))
    return cursor


def portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values in portions of which each fits into one statement."""
    for start in range(0, len(values), _VALUES):
        yield values[start : start + _VALUES]
