"""One connection to PostgreSQL: made within a bound, and never waited for without one.

TCP notices a peer whose machine or network is gone, not a server that stands still: its kernel
goes on acknowledging. So we bound the wait for each answer ourselves.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import cache
from typing import Any

from daemon.adapters.store.place import PostgresAddress
from daemon.adapters.store.statements import storable
from daemon.core.values.outcome import Permanent

CONNECT_SECONDS = 5
"""How long a connection may take to be made, for each host of the address."""
ANSWER_SECONDS = 25.0
"""How long the server may take over an answer; it ends statements sooner by itself."""
_OPTIONS = {
    "application_name": "stopgap",
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A peer that is gone is noticed within some ten seconds. What the address says goes first."""


def require_driver(place: object) -> Any:
    """The module psycopg. Raises Permanent if it is not installed."""
    try:
        import psycopg
    except ImportError as error:
        raise Permanent(
            f"{place} needs the driver of PostgreSQL, which is not installed ({error}); "
            "pip install 'stopgap[postgresql]'"
        ) from error
    return psycopg


def connect_bounded(address: PostgresAddress, patience: float = ANSWER_SECONDS) -> Any:
    """A new connection in autocommit: transactions are begun by us. It is closed when the server
    takes longer over an answer than `patience` seconds. Raises what psycopg does."""
    psycopg = require_driver(address)
    given = psycopg.conninfo.conninfo_to_dict(address.url)
    chosen = {name: value for name, value in _OPTIONS.items() if name not in given}
    connection = _bounded_connection().connect(
        address.url, autocommit=True, prepare_threshold=None, **chosen
    )
    connection.patience = patience
    for kind in _text_dumpers():
        connection.adapters.register_dumper(str, kind)
    return connection


@cache
def _text_dumpers() -> tuple[Any, ...]:
    """As `storable` has it, for every parameter of every statement."""
    from psycopg.types import string

    def without_nul(base: Any) -> Any:
        class TextDumper(base):  # type: ignore[misc]
            """Text without U+0000."""

            def dump(self, obj: str) -> Any:
                """As PostgreSQL takes it."""
                return super().dump(storable(obj))

        return TextDumper

    # In the order that psycopg itself registers them in: the last is the one that it prefers.
    return tuple(
        map(without_nul, (string.StrBinaryDumper, string.StrDumper, string.StrDumperUnknown))
    )


@cache
def _bounded_connection() -> Any:
    import psycopg

    class BoundedConnection(psycopg.Connection[Any]):
        """A connection that is closed when the server does not answer within its `patience`."""

        patience = ANSWER_SECONDS

        def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
            """As psycopg's, with a bound."""
            try:
                return super().wait(_bounded(gen, self.patience), *args, **options)
            except TimeoutError as error:
                self.pgconn.finish()  # nobody knows what it would say next
                raise psycopg.OperationalError(str(error)) from None

    return BoundedConnection


def _bounded(gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """The same steps; TimeoutError once one has to be waited for too long."""
    until = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= until:
                raise TimeoutError(f"the server has not answered for {seconds:.0f} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value
