"""Two replicas that two Alertmanagers send the same: each stores it by itself, in its own order."""

from __future__ import annotations

import asyncio

import psycopg

from daemon.adapters.store import PostgresAddress, open_store
from tests.contract.test_journal import NOW
from tests.postgresql import Server, until_one_waits

_INSERT = "INSERT INTO inbox (identity, received_at, body, processed) VALUES (%s, '', '', FALSE)"


async def test_replicas_that_store_the_same_at_once_do_not_block_each_other(
    postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    database = postgresql_place.url.rpartition("/")[2]
    async with (
        open_store(postgresql_place) as store,
        await psycopg.AsyncConnection.connect(postgresql_place.url) as other,
    ):
        await store.inbox.start()
        await other.execute(_INSERT, ("a",))
        puts = [asyncio.create_task(store.inbox.put(name, b"{}", NOW)) for name in ("b", "a")]
        await asyncio.to_thread(until_one_waits, postgresql, database, "transactionid")
        await other.execute("SET LOCAL lock_timeout = '200ms'")
        await other.execute(_INSERT, ("b",))  # it would wait for us, and we wait for it
        await other.commit()
        assert await asyncio.gather(*puts) == [False, False]
