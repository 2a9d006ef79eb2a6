#!/usr/bin/env bash
# SQLite 3.40.1 under SQLAlchemy 2.1.9: some errors end the whole transaction, and the with-block
# goes on without one.
#
# Behaviour: SQLite itself rolls back everything, savepoints included, when an INSERT of one row
#   finds no space (here by max_page_count, which gives a full disk's error), when a statement is
#   interrupted while it writes, or by INSERT OR ROLLBACK. SQLAlchemy does not notice. If the error
#   is caught and the block goes on:
#   - what was written before is gone, although the block ends well;
#   - with the BEGIN events that SQLAlchemy advises for SQLite, each later statement commits by
#     itself, and stays although the block is rolled back;
#   - leaving begin_nested() raises "no such savepoint" in place of the real error, so an
#     `except IntegrityError` does not catch it.
# Matters to: whoever puts a risky statement into a savepoint to be able to go on after it.
# Way out: after an error ask the driver (dbapi_connection.in_transaction) and give up if False.
#
# Seen 2026-11-29:
#   SQLAlchemy 2.1.9 SQLite 3.40.1
#   or_rollback: 'no such savepoint: sa_savepoint_1' hides 'UNIQUE constraint failed: t.id'
#     BEGIN events, the block is rolled back: rows [1, 3], not [1]
#     BEGIN events, the block ends well: rows [1, 3], not [1, 2, 3]
#     default engine, the block ends well: rows [1, 3], not [1, 2, 3]
#   full: 'no such savepoint: sa_savepoint_1' hides 'database or disk is full'
#     BEGIN events, the block is rolled back: rows [1, 3], not [1]
#     BEGIN events, the block ends well: rows [1, 3], not [1, 2, 3]
#     default engine, the block ends well: rows [1, 3], not [1, 2, 3]
#   interrupted: 'no such savepoint: sa_savepoint_1' hides 'interrupted'
#     BEGIN events, the block is rolled back: rows [1, 3], not [1]
#     BEGIN events, the block ends well: rows [1, 3], not [1, 2, 3]
#     default engine, the block ends well: rows [1, 3], not [1, 2, 3]
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile SQLAlchemy==2.1.9
"$dir/venv/bin/python" - <<'PY'
import sqlite3

import sqlalchemy as sa


class GivingUp(Exception):
    pass


def engine_with(advised: bool) -> sa.Engine:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    if advised:
        sa.event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1, 'first')")
    return engine


def or_rollback(connection: sa.Connection) -> None:
    connection.exec_driver_sql("INSERT OR ROLLBACK INTO t VALUES (1, 'again')")


def full(connection: sa.Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count=5")  # a full disk's error, without one
    connection.exec_driver_sql("INSERT INTO t VALUES (9, ?)", ("x" * 100_000,))


def interrupted(connection: sa.Connection) -> None:
    raw = connection.connection.dbapi_connection
    raw.set_progress_handler(lambda: 1, 1000)  # as interrupt() from another thread
    try:
        connection.exec_driver_sql(
            "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 5000) SELECT i, 'x' FROM n"
        )
    finally:
        raw.set_progress_handler(None, 0)


def trial(cause, advised: bool, give_up: bool) -> tuple[str, str, list[int]]:
    """What was caught, what it hid, and which rows are there in the end."""
    engine, caught = engine_with(advised), None
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (2, 'before')")
            try:
                with connection.begin_nested():
                    cause(connection)
            except sa.exc.DBAPIError as error:
                caught = error
            connection.exec_driver_sql("INSERT INTO t VALUES (3, 'after')")
            if give_up:
                raise GivingUp
    except GivingUp:
        pass
    with engine.connect() as connection:
        rows = list(connection.exec_driver_sql("SELECT id FROM t ORDER BY id").scalars())
    hidden = caught.__context__ if caught else None
    while hidden is not None and "savepoint" in str(hidden):
        hidden = hidden.__context__
    return str(getattr(caught, "orig", None)), str(getattr(hidden, "orig", hidden)), rows


print("SQLAlchemy", sa.__version__, "SQLite", sqlite3.sqlite_version)
changed = False
for cause in (or_rollback, full, interrupted):
    told, hidden, advised_up = trial(cause, advised=True, give_up=True)
    _, _, advised_well = trial(cause, advised=True, give_up=False)
    _, _, default_well = trial(cause, advised=False, give_up=False)
    print(f"{cause.__name__}: {told!r} hides {hidden!r}")
    print(f"  BEGIN events, the block is rolled back: rows {advised_up}, not [1]")
    print(f"  BEGIN events, the block ends well: rows {advised_well}, not [1, 2, 3]")
    print(f"  default engine, the block ends well: rows {default_well}, not [1, 2, 3]")
    changed |= "no such savepoint" not in told
    changed |= not advised_up == advised_well == default_well == [1, 3]
if changed:
    raise SystemExit("CHANGED: the transaction outlives the error, or the block notices")
PY
