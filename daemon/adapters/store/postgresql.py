"""All that is PostgreSQL's own: how to connect, how a transaction begins, and how to find out what
became of a COMMIT that was never answered.

It asks for nothing that PgBouncer in transaction mode does not have: no prepared statements, no
session's locks, no settings outside a transaction.

Writers of all replicas take turns by an advisory lock that goes with their transaction, taken
before anything is read: what they decide by is then what the one before has left. That is what
BEGIN IMMEDIATE does in SQLite.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from daemon.adapters.store.backend import BackendKind
from daemon.adapters.store.files import marker, note_where, noted_where
from daemon.adapters.store.place import PostgresAddress
from daemon.adapters.store.postgresql_connection import (
    ANSWER_SECONDS,
    connect_bounded,
    require_driver,
)
from daemon.adapters.store.postgresql_errors import (
    Unreachable,
    is_fleeting,
    is_lost,
    postgresql_failure,
)
from daemon.adapters.store.process_lock import held
from daemon.adapters.store.statements import with_tail
from daemon.adapters.store.tables import prepare_tables
from daemon.core.ports.store import OutcomeUnknown, StoreDown
from daemon.core.values.outcome import Permanent, Temporary

LOCK_SECONDS = 15
"""How long a writer waits for those of other replicas."""
STATEMENT_SECONDS = 20
"""How long one statement may take."""
IDLE_SECONDS = 10
"""How long the server lets a transaction wait for us: a replica that hangs, or whose network is
gone, holds up the others no longer."""
PATIENCE_SECONDS = 3600.0
"""How long a change of tables, or a look through all rows, may take over one answer."""
RESOLVE_SECONDS = 20
"""How long we try to find out whether a COMMIT has come to anything."""
WRITERS_LOCK = 0x5357_4F50_4741_5001
"""The advisory lock that writers take turns by."""
SCHEMA_LOCK = WRITERS_LOCK + 1
"""The one that whoever makes or changes tables holds besides."""
COMMIT_ROW = "commit:"
"""Begins the names of the rows of `meta` that tell each writer's last transaction."""
_OWN_FOLDER = (
    "stop that one, or give this replica a folder of its own with a stopgap.yaml in it: what was "
    "done while the database was away is kept beside that file"
)
_FORGOTTEN_AFTER = timedelta(days=1)
# A writer that has signed waits for whoever starts, who must not wait for it.
_FORGETTING = text(
    "DELETE FROM meta WHERE name IN (SELECT name FROM meta WHERE name LIKE :rows "
    "AND value < :before FOR UPDATE SKIP LOCKED)"
)
_RETRY_SECONDS = 0.2

_STATEMENT = f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"
_BOUNDS = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; {_STATEMENT}; "
    f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
)
_UNBOUNDED = "SET LOCAL statement_timeout = 0"
_BEGIN = f"BEGIN; {_BOUNDS}"
_BEGIN_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {_STATEMENT}"
_IN_TRANSACTION = 2  # PQTRANS_INTRANS


class PostgresBackend:
    """`daemon.adapters.store.backend.Backend` on one database."""

    kind: BackendKind = "postgresql"
    readers = 4

    def __init__(self, address: PostgresAddress, beside: Path | None = None) -> None:
        self.address = address
        self.beside = beside
        self._new = False

    def __str__(self) -> str:
        return str(self.address)

    @contextmanager
    def opened(self, *, new: bool, readonly: bool) -> Iterator[PostgresBackend]:
        """Any number of daemons share it, each with files of its own beside it, which are held."""
        self._new = new
        with nullcontext() if self.beside is None else held(self.beside, _OWN_FOLDER):
            yield self

    def prepare(self) -> None:
        """Make or bring up the tables; of several that come at once, one does it."""
        with self.changing_tables() as connection:
            if self._new and inspect(connection).get_table_names():
                raise Permanent(
                    f"there is a store in {self}, so --new-store was refused; start without it"
                )
            prepare_tables(connection, self, self._must_not_be_missing)
            connection.execute(
                _FORGETTING, {"rows": f"{COMMIT_ROW}%", "before": _moment(-_FORGOTTEN_AFTER)}
            )
        if self.beside is not None:
            note_where(self.beside, str(self))

    @contextmanager
    def changing_tables(self) -> Iterator[Connection]:
        """A transaction that takes as long as it needs; whoever comes second waits for it."""
        engine = self._engine(1, PATIENCE_SECONDS)
        begin = f"BEGIN; {_take(SCHEMA_LOCK)}; {_BOUNDS}; {_take(WRITERS_LOCK)}; {_UNBOUNDED}"
        try:
            with _begun(engine, begin) as connection:
                yield connection
                connection.commit()
        finally:
            engine.dispose()

    def _must_not_be_missing(self) -> None:
        """Raises StoreDown if this daemon has had a store in this database, which is empty now."""
        if self._new or self.beside is None or noted_where(self.beside) != str(self):
            return
        raise StoreDown(
            "gone",
            f"{self} is empty, and there was a store in it ({marker(self.beside)} says so): it may "
            "be another server than before, or a restore that is not done; correct `store`, or "
            "restore a backup. Only `stopgap run --new-store` begins anew, and forgets every "
            "incident",
        )

    def remember(self, connection: Connection) -> None:
        """Nothing."""

    def check(self) -> None:
        """Nothing: each transaction finds out whether the database is there."""

    def lost(self) -> str:
        """Nothing, likewise."""
        return ""

    def reading(self) -> PostgresReading:
        """In snapshots that cannot write."""
        return PostgresReading(self._engine(self.readers))

    def writing(self) -> PostgresWriting:
        """In turns with the writers of all replicas."""
        return PostgresWriting(self._engine(1), str(self), _take(WRITERS_LOCK))

    def taking(self) -> PostgresWriting:
        """Beside all others."""
        return PostgresWriting(self._engine(1), str(self))

    def undone(self, connection: Connection) -> bool:
        """Only with the connection: whatever else fails is taken back to the savepoint."""
        if connection.invalidated:
            return True
        driver: Any = connection.connection.dbapi_connection
        return bool(driver.info.transaction_status != _IN_TRANSACTION)

    def worth_repeating(self, error: BaseException) -> bool:
        """After a deadlock, say, or when the connection was lost before the COMMIT."""
        return is_fleeting(error) or is_lost(error)

    def out_of_reach(self, error: BaseException) -> bool:
        """No connection can be made."""
        return isinstance(error, Unreachable | OutcomeUnknown)

    def translated(self, error: SQLAlchemyError) -> Temporary | Permanent:
        """The failure as the stages know it, in a sentence that names the database and the mend."""
        if isinstance(error, PoolTimeout):
            return Temporary(f"{self}: no connection became free; too much is being read at once")
        return postgresql_failure(
            error.orig if isinstance(error, DBAPIError | Unreachable) else error,
            str(self),
            connecting=isinstance(error, Unreachable),
        )

    def damaged(self, finding: str) -> str:
        """What to do about a damaged database, in a sentence."""
        return (
            f"{self} is damaged ({finding}); `stopgap store check` looks through it; look at the "
            "server's disk and log, fail over to a replica of the server, or restore its backup"
        )

    def is_small(self) -> bool:
        """Never: the server looks after its own pages (`data_checksums`, `pg_amcheck`)."""
        return False

    def quick_check(self, connection: Connection) -> list[str]:
        """Whether the rows that every start needs can be read."""
        connection.exec_driver_sql("SELECT count(*) FROM heads WHERE closed_at IS NULL").scalar()
        return []

    def integrity_check(self, connection: Connection) -> list[str]:
        """Whether every row of every table can be read. Of indexes, `pg_amcheck` tells."""
        connection.exec_driver_sql(_UNBOUNDED)
        driver: Any = connection.connection.dbapi_connection
        driver.patience = PATIENCE_SECONDS
        for (table,) in connection.exec_driver_sql(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()"
        ).all():
            whole = f"SELECT count(t.*::text) FROM {table} AS t"  # noqa: S608 - the server's quoting
            connection.exec_driver_sql(whole).scalar()
        return []

    def touch(self, connection: Connection) -> None:
        """The beginning of the transaction has written already."""

    def forget_pages(self, connection: Connection) -> None:
        """Nothing: the server has its own memory."""

    def _engine(self, pool_size: int, patience: float = ANSWER_SECONDS) -> Engine:
        require_driver(self)
        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: connect_bounded(self.address, patience),
            use_native_hstore=False,
            pool_size=pool_size,
            max_overflow=0,
        )


class PostgresReading:
    """`Transactions` that change nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction on one snapshot."""
        with _begun(self._engine, _BEGIN_READING) as connection:
            yield connection
            with suppress(SQLAlchemyError):  # nothing depends on how it ends
                connection.commit()

    def dispose(self) -> None:
        """Close the connections that nobody uses."""
        self._engine.dispose()


class PostgresWriting:
    """`Transactions` of one writer, one after the other."""

    def __init__(self, engine: Engine, place: str, *turn: str) -> None:
        self._engine = engine
        self._place = place
        self._turn = turn
        """How it takes its turn, if it does: last, for from then on the others wait."""
        self._row = f"{COMMIT_ROW}{secrets.token_hex(8)}"

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction; if the connection breaks during its COMMIT, we find out what became of it.

        Each leaves its own token in the writer's row, which is there if all the rest is.
        """
        token = f"{_moment()} {secrets.token_hex(16)}"
        sign = f"{_sign(self._row, token)} SET value = excluded.value"
        begin = "; ".join((_BEGIN, sign, *self._turn))
        with _begun(self._engine, begin) as connection, with_tail(connection) as tail:
            yield connection
            try:
                tail.send()
                connection.commit()
            except SQLAlchemyError as error:
                if not is_lost(error):
                    raise
                cause = error
            else:
                return
        if not self._has_landed(token, cause):
            raise cause

    def dispose(self) -> None:
        """Close the connection; the writer's row is of no use any more."""
        with suppress(SQLAlchemyError), _begun(self._engine, _BEGIN) as connection:
            connection.execute(text("DELETE FROM meta WHERE name = :name"), {"name": self._row})
            connection.commit()
        self._engine.dispose()

    def _has_landed(self, token: str, cause: SQLAlchemyError) -> bool:
        """Whether the transaction with that token was committed. Raises OutcomeUnknown if the
        server cannot be asked for too long."""
        until = time.monotonic() + RESOLVE_SECONDS
        while True:
            try:
                return self._last_token() == token
            except SQLAlchemyError as error:
                if time.monotonic() >= until:
                    raise OutcomeUnknown(
                        f"{self._place} was lost in the middle of a COMMIT and does not answer "
                        f"since; it may have been stored or not ({error.__cause__ or error})"
                    ) from cause
                time.sleep(_RETRY_SECONDS)

    def _last_token(self) -> str:
        """Of the writer's last transaction; one that has not ended yet is waited for, since it
        holds the row."""
        ask = f"{_sign(self._row, '')} SET value = meta.value RETURNING value"
        with _begun(self._engine, _BEGIN) as connection:
            return str(connection.exec_driver_sql(ask).scalar_one())


@contextmanager
def _begun(engine: Engine, begin: str) -> Iterator[Connection]:
    """A connection in a transaction; one that was lost while nobody used it is replaced."""
    connection = _connected(engine)
    try:
        try:
            connection.exec_driver_sql(begin)
        except DBAPIError as error:
            if not is_lost(error):
                raise
            connection.close()
            connection = _connected(engine)
            connection.exec_driver_sql(begin)
        yield connection
    finally:
        # What is not committed is taken back, as far as the connection is there.
        with suppress(SQLAlchemyError):
            connection.close()


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except DBAPIError as error:
        raise Unreachable(error) from error


def _sign(row: str, token: str) -> str:
    """The beginning of a statement that leaves a token in a writer's row."""
    return (
        f"INSERT INTO meta (name, value) VALUES ('{row}', '{token}') "  # noqa: S608 - ours, hex
        "ON CONFLICT (name) DO UPDATE"
    )


def _take(lock: int) -> str:
    return f"SELECT pg_advisory_xact_lock({lock})"


def _moment(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).isoformat(timespec="seconds")
