"""Hints that something is new in a PostgreSQL database, by LISTEN and NOTIFY.

Nothing depends on them. Behind PgBouncer in transaction mode LISTEN answers and nothing ever comes,
and a listener whose server process has ended may fall silent without an error: so we notify
ourselves, now and then, and where that does not come no more is listened for a while.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import structlog
from sqlalchemy import Connection

_log = structlog.get_logger()

CHANNEL = "stopgap_news"
"""What is sent on it says nothing, but for what we send to ourselves."""
PROOF_SECONDS = 3.0
"""So long what we send to ourselves may take."""
_PROVED_EVERY = 60.0
_RESTS = 600.0
"""Seconds until listening is tried again where it brings nothing."""
_AGAIN = 5.0
"""Seconds until it is tried again where the database was away."""
_CONNECT_SECONDS = 5


def hint_at_news(connection: Connection) -> None:
    """Whoever listens is notified with the commit of this transaction; equal ones are one."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_notify('{CHANNEL}', '')")


class PostgresHint:
    """`daemon.core.ports.news.NewsHint` of the database at that address."""

    def __init__(self, url: str, proof_seconds: float = PROOF_SECONDS) -> None:
        self._url = url
        self._proof_seconds = proof_seconds
        self.works: bool | None = None
        """Whether notifications come; None while that is not known."""

    async def run(self, ring: Callable[[], None]) -> None:
        """Ring at each notification, until cancelled."""
        while True:
            rest = _AGAIN
            try:
                rest = await self._listen(ring)
            except OSError as error:
                _log.debug("no hints from the database", error=str(error))
            except Exception as error:
                if not _of_psycopg(error):
                    _log.exception("listening for hints crashed; the store is asked all the same")
                else:
                    _log.debug("no hints from the database", error=str(error))
            await asyncio.sleep(rest)

    async def _listen(self, ring: Callable[[], None]) -> float:
        """Until what we send to ourselves does not come; then how long to rest."""
        import psycopg  # the extra `postgresql`; without it there is no such store

        connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=_CONNECT_SECONDS,
            application_name="stopgap-news",
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            ring()  # for what came before we listened
            while True:
                token = secrets.token_hex(8)
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, token))
                if not await self._heard(connection, token, ring):
                    break
                self._say(works=True)
                async for _ in connection.notifies(timeout=_PROVED_EVERY):
                    ring()
        self._say(works=False)
        return _RESTS

    async def _heard(self, connection: object, token: str, ring: Callable[[], None]) -> bool:
        """Whether what we sent came."""
        notifies = connection.notifies(timeout=self._proof_seconds)  # type: ignore[attr-defined]
        async for notification in notifies:
            ring()
            if notification.payload == token:
                await notifies.aclose()
                return True
        return False

    def _say(self, *, works: bool) -> None:
        if works is self.works:
            return
        self.works = works
        if works:
            _log.info("the database hints at news of other replicas")
        else:
            _log.info(
                "the database's notifications do not come, as behind PgBouncer in transaction "
                "mode; other replicas are heard of by asking once a second"
            )


def _of_psycopg(error: Exception) -> bool:
    return type(error).__module__.startswith("psycopg")
