"""Sessions and API tokens in the store, by their hashes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from daemon.adapters.store.database import Database
from daemon.adapters.store.schema import sessions, tokens
from daemon.core.people.access import ApiToken, Session

_SESSION = tuple(Session.__dataclass_fields__)
_TOKEN = tuple(ApiToken.__dataclass_fields__)


class SqlCredentials:
    """`daemon.core.people.access.Credentials` in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_session(self, session: Session) -> None:
        """Keep a session; those that are over when it starts are forgotten."""
        values = {name: getattr(session, name) for name in _SESSION}

        def work(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.ends_at <= session.started_at))
            connection.execute(sessions.insert().values(values))

        await self._database.write(work)

    async def session(self, id: str, now: datetime) -> Session | None:  # noqa: A002
        """The session, unless it is over."""
        query = select(sessions).where(sessions.c.id == id, sessions.c.ends_at > now)

        def work(connection: Connection) -> Session | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _session(row)

        return await self._database.read(work)

    async def sessions(self, now: datetime, person: str | None = None) -> list[Session]:
        """The sessions that are not over, of one person or of all; the newest first."""
        query = select(sessions).where(sessions.c.ends_at > now)
        if person is not None:
            query = query.where(sessions.c.person == person)
        query = query.order_by(sessions.c.started_at.desc(), sessions.c.id)
        return await self._database.read(lambda c: [_session(row) for row in c.execute(query)])

    async def end_session(self, id: str) -> bool:  # noqa: A002
        """Forget a session; whether there was one."""
        gone = delete(sessions).where(sessions.c.id == id)
        return await self._database.write(lambda c: c.execute(gone).rowcount > 0)

    async def add_token(self, token: ApiToken, digest: str) -> None:
        """Keep a new token under its hash."""
        values = {name: getattr(token, name) for name in _TOKEN}
        values.update(digest=digest, scopes=" ".join(token.scopes), used_on=_day(token.used_on))
        await self._database.write(lambda c: _run(c, tokens.insert().values(values)))

    async def token(self, digest: str) -> ApiToken | None:
        """The token with that hash, valid or not."""
        query = select(tokens).where(tokens.c.digest == digest)

        def work(connection: Connection) -> ApiToken | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _token(row)

        return await self._database.read(work)

    async def tokens(self, person: str | None = None) -> list[ApiToken]:
        """The tokens that nobody revoked, of one person or of all; the newest first."""
        query = select(tokens).where(tokens.c.revoked_at.is_(None))
        if person is not None:
            query = query.where(tokens.c.person == person)
        query = query.order_by(tokens.c.created_at.desc(), tokens.c.id)
        return await self._database.read(lambda c: [_token(row) for row in c.execute(query)])

    async def revoke_token(self, id: str, by: str, at: datetime) -> bool:  # noqa: A002
        """Make a token invalid for ever; whether one was there and not revoked yet."""
        revoked = (
            update(tokens)
            .where(tokens.c.id == id, tokens.c.revoked_at.is_(None))
            .values(revoked_at=at, revoked_by=by)
        )
        return await self._database.write(lambda c: c.execute(revoked).rowcount > 0)

    async def used_token(self, id: str, on: date) -> None:  # noqa: A002
        """Note the day on which a token was last used."""
        used = update(tokens).where(tokens.c.id == id).values(used_on=_day(on))
        await self._database.write(lambda c: _run(c, used))


def _run(connection: Connection, statement: Any) -> None:
    connection.execute(statement)


def _session(row: Row[Any]) -> Session:
    return Session(**{name: getattr(row, name) for name in _SESSION})


def _token(row: Row[Any]) -> ApiToken:
    values = {name: getattr(row, name) for name in _TOKEN}
    used = None if row.used_on is None else date.fromisoformat(row.used_on)
    return ApiToken(**{**values, "scopes": tuple(row.scopes.split()), "used_on": used})


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
