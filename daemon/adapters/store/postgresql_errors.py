"""What PostgreSQL's errors mean, and what to do about them.

A connection that is refused by the server has no SQLSTATE in libpq, only its words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from daemon.core.ports.store import Fault, StoreDamaged, StoreDown
from daemon.core.values.outcome import Permanent, Temporary


class Unreachable(SQLAlchemyError):
    """No connection could be made; `orig` says why."""

    def __init__(self, error: DBAPIError) -> None:
        super().__init__(str(error.orig))
        self.orig = error.orig


class _Meaning(NamedTuple):
    """What is said of the store, and the fault if it is the store's as a whole."""

    text: str
    fault: Fault | None = None


STORE_MOVED = "SGM01"
"""What a store that has moved answers to whoever would still write into it."""
_STATES: Mapping[str, _Meaning] = {
    STORE_MOVED: _Meaning(
        "takes nothing any more: stop this daemon, name the new store by `store` in stopgap.yaml, "
        "and start it",
        "gone",
    ),
    "57P01": _Meaning("is shutting down; it is tried again", "away"),
    "57P02": _Meaning("has crashed and recovers; it is tried again", "away"),
    "57P03": _Meaning("is starting up; it is tried again", "away"),
    "57P05": _Meaning("ended a session that was idle; it is tried again", "away"),
    "53300": _Meaning(
        "has no connection left; raise `max_connections`, or put PgBouncer before it", "away"
    ),
    "53100": _Meaning("has a full disk; free some space on the server", "full"),
    "53200": _Meaning("has run out of memory; look at the server"),
    "25006": _Meaning(
        "is a standby, or read-only; give the address of the primary (several hosts with "
        "`target_session_attrs=read-write` follow a failover)",
        "unwritable",
    ),
    "42501": _Meaning(
        "does not permit it to this user; make it the owner of the database: "
        "ALTER DATABASE … OWNER TO …",
        "unwritable",
    ),
    "55P03": _Meaning(
        "is held by another writer for too long; look for it in pg_stat_activity", "held"
    ),
    "57014": _Meaning("took too long over a statement; look at the load of the server"),
    "25P03": _Meaning("ended a transaction of ours that had stood still; it is tried again"),
    "40001": _Meaning("had two writers at once; it is tried again"),
    "40P01": _Meaning("had two writers at once; it is tried again"),
    "58030": _Meaning("met an I/O error; look at the server's disk and log", "failing"),
    "58P01": _Meaning("lacks a file of its own; look at the server's disk and log", "failing"),
}
"""By SQLSTATE."""
_DAMAGED = {"XX001", "XX002"}
_CLASSES: Mapping[str, _Meaning] = {
    "08": _Meaning("was lost; it is tried again", "away"),
    "57": _Meaning("ended the session; it is tried again", "away"),
    "53": _Meaning("has run out of something; look at the server"),
}
"""By the first two characters."""

_WORDS: tuple[tuple[str, _Meaning], ...] = (
    (r"starting up|in recovery|not yet accepting", _STATES["57P03"]),
    (r"shutting down", _STATES["57P01"]),
    (r"too many (clients|connections)|slots are reserved|no more connections", _STATES["53300"]),
    (
        r"password authentication failed|no password supplied|SASL|authentication failed",
        _Meaning(
            "refuses the password: correct the one in the address that `store` refers to, or "
            "PGPASSFILE"
        ),
    ),
    (
        r"no pg_hba\.conf entry",
        _Meaning("does not let this host and user in: add them to its pg_hba.conf"),
    ),
    (r'role ".*" does not exist', _Meaning("has no such user: CREATE ROLE … LOGIN")),
    (
        r'database ".*" does not exist|no such database',
        _Meaning("does not exist: CREATE DATABASE … OWNER …"),
    ),
    (
        r"session is (not )?read-only|read-only",
        _STATES["25006"],
    ),
    (
        r"certificate|SSL|TLS",
        _Meaning("cannot be reached safely: look at `sslmode` and `sslrootcert` in the address"),
    ),
    (
        r"invalid connection option|missing \"=\"|invalid (integer|URI|port|sslmode|percent)",
        _Meaning("is no address that libpq understands; correct `store`"),
    ),
)
"""By what the server or libpq says while connecting. Those without a fault need a person; to
whoever has no other connection left, the server is away."""
_NOT_THERE = _Meaning("cannot be reached; look whether the server runs, and at the network", "away")
_SECRET = re.compile(r"(://[^\s/@:]*):[^\s/@]*@|(password\s*=\s*)\S+")


def postgresql_failure(
    cause: BaseException | None, place: str, *, connecting: bool = False
) -> Temporary | Permanent:
    """What psycopg raises, in a sentence that names the database and the mend. `connecting`: no
    connection could be made, for whatever reason, so that nothing can be entrusted to it."""
    state = getattr(cause, "sqlstate", None)
    said = _said(cause)
    if state in _DAMAGED:
        return StoreDamaged(
            "damaged",
            f"{place} is damaged ({said}); look at the server's disk and log, fail over to a "
            "replica of the server, or restore its backup",
        )
    meaning = _meaning(cause, state, said)
    if meaning is None and connecting:
        meaning = _NOT_THERE
    if meaning is None:
        return Permanent(f"{place}: the database refused a statement: {said}")
    sentence = f"{place} {meaning.text} ({said})"
    if fault := meaning.fault or ("away" if connecting else None):
        return StoreDown(fault, sentence)
    return Temporary(sentence)


def is_fleeting(error: BaseException) -> bool:
    """Whether another transaction was in the way, as a deadlock is."""
    return _state(error) in {"40001", "40P01"}


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone with it."""
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or _state(error) in {"57P01", "57P02"}
    )


def _state(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def _meaning(cause: BaseException | None, state: str | None, said: str) -> _Meaning | None:
    if state is not None:
        return _STATES.get(state) or _CLASSES.get(state[:2])
    for words, meaning in _WORDS:
        if re.search(words, said):
            return meaning
    reached = type(cause).__name__ not in {"OperationalError", "ConnectionTimeout"}
    return None if reached else _NOT_THERE


def _said(cause: BaseException | None) -> str:
    """Its words in one line, without a password."""
    line = " ".join(str(cause).split())
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}***{'@' if found[1] else ''}", line)
