"""The keys that sign links, as JSON in a row of `meta`."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Connection, delete, select

from daemon.adapters.store.database import Database, to_its_end
from daemon.adapters.store.news import count_up
from daemon.adapters.store.schema import meta
from daemon.adapters.store.statements import insert
from daemon.core.people.signing_keys import SigningKey, SigningKeys
from daemon.core.ports.news import KEYS_TOPIC
from daemon.core.values.outcome import Permanent

ROW = "keys"
FIRST_ROW = "key"
"""Where the one key was that stores had before keys could be rotated."""
MAKER = "stopgap"

_log = structlog.get_logger()


class SqlKeys:
    """`daemon.core.people.signing_keys.Keys` in SQL; `begin` or `read` comes first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._current: SigningKeys | None = None
        self._turn = asyncio.Lock()

    @property
    def current(self) -> SigningKeys:
        """The keys as they stand."""
        assert self._current is not None  # noqa: S101 - `open_store` begins
        return self._current

    async def begin(self) -> None:
        """Read the keys; the first is made, or taken over from a store of before."""
        self._current = await self._database.write(partial(_begun, self._database.place))

    async def read(self) -> SigningKeys:
        """The keys as they stand in the store, which may be another process's."""
        found = await self._database.read(partial(_found, self._database.place))
        if found is None:
            raise Permanent(
                f"{self._database.place} has no keys yet; start this version's daemon on it once"
            )
        return found

    async def recall(self) -> None:
        """Take over what another replica has rotated. Raises Temporary, Permanent."""
        async with self._turn:
            self._current = await self.read()

    async def rotate(
        self, by: str, now: datetime, *, revoke: bool, longest: timedelta
    ) -> SigningKeys:
        """Make a new key. It is in force when this returns, even if its caller is gone."""
        rotating = self._rotate(by, now, revoke=revoke, longest=longest)
        return await to_its_end(rotating, "rotate-keys")

    async def _rotate(
        self, by: str, now: datetime, *, revoke: bool, longest: timedelta
    ) -> SigningKeys:
        def work(connection: Connection) -> SigningKeys:
            before = _begun(self._database.place, connection)
            new = _new(before, now, by)
            after = before.rotated(new, revoke=revoke, longest=longest)
            _write(connection, after)
            count_up(connection, KEYS_TOPIC)
            return after

        async with self._turn:  # or the earlier of two could be the one that is remembered
            self._current = await self._database.write(work)
        old, new = self._current.keys[-2:]
        _log.warning("the keys were rotated", by=by, key=new.id, before=old.id, revoked=revoke)
        return self._current


def _begun(place: str, connection: Connection) -> SigningKeys:
    """The keys; there are some after this."""
    found = _found(place, connection)
    if found is None:
        found = _old(connection) or SigningKeys(keys=(_new(None, datetime.now(UTC), MAKER),))
        _write(connection, found)
        connection.execute(delete(meta).where(meta.c.name == FIRST_ROW))
    return found


def _found(place: str, connection: Connection) -> SigningKeys | None:
    text = connection.scalar(select(meta.c.value).where(meta.c.name == ROW))
    if text is None:
        return None
    try:
        return SigningKeys.model_validate_json(text)
    except ValueError:  # its text would hold the secrets
        raise Permanent(
            f"{place}: the keys that sign links are damaged; delete the row `{ROW}` of its table "
            "`meta`, and new ones are made: links that are out will not be valid any more"
        ) from None


def _old(connection: Connection) -> SigningKeys | None:
    """The key of a store of before. Its links do not name it."""
    secret = connection.scalar(select(meta.c.value).where(meta.c.name == FIRST_ROW))
    if secret is None:
        return None
    return SigningKeys(keys=(SigningKey(id=secrets.token_hex(4), secret=secret, nameless=True),))


def _new(before: SigningKeys | None, now: datetime, by: str) -> SigningKey:
    """A key with an id that none has had."""
    while True:
        id_ = secrets.token_hex(4)
        if before is None or before.named(id_) is None:
            return SigningKey(id=id_, secret=secrets.token_urlsafe(32), made_at=now, made_by=by)


def _write(connection: Connection, keys: SigningKeys) -> None:
    values = {"name": ROW, "value": keys.model_dump_json()}
    added = insert(connection, meta).values(values)
    connection.execute(
        added.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": values["value"]})
    )
