"""Two replicas behind PgBouncer in transaction mode, where a session is anybody's next moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from daemon.adapters.store import PostgresAddress, audit_journal, open_store
from daemon.adapters.store.hinting import PostgresHint
from daemon.core.ports.news import FREEZES_TOPIC
from daemon.core.recovery.guardrails import Freeze
from tests.contract.test_news import NOTED, OPENED, Replica
from tests.fakes import START
from tests.pgbouncer import pgbouncer

LEASE = timedelta(seconds=15)
PATIENCE = 60


@pytest.fixture
async def behind(postgresql_place: PostgresAddress) -> AsyncIterator[PostgresAddress]:
    with pgbouncer(postgresql_place) as address:
        yield address


async def test_two_replicas_share_a_store_behind_it(behind: PostgresAddress) -> None:
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_store(behind)) for _ in range(2)]
        one, other = (Replica(store) for store in stores)
        for replica in (one, other):
            await replica.news.begin()
        await one.repository.open("inc-1", "shop", [OPENED])
        # Many at once from both: every append is there, and none twice.
        await asyncio.gather(
            *(
                replica.repository.record("inc-1", lambda _: (NOTED,))
                for replica in (one, other)
                for _ in range(20)
            )
        )
        await one.news.look()
        await other.news.look()
        assert one.repository.at_hand("inc-1") == other.repository.at_hand("inc-1")
        assert (await one.repository.load("inc-1")).seq == 41
        freeze = Freeze(scope="global", reason="sale", by="ada", at=START, until=None)
        await one.store.journal.freeze(freeze)
        await other.news.look()
        assert other.topics == [FREEZES_TOPIC]
        assert await other.store.journal.freezes(START) == [freeze]
        taken = [
            await store.duties.take(["retention"], f"r{n}", LEASE) for n, store in enumerate(stores)
        ]
        assert taken == [{"retention"}, frozenset()]
        assert await one.store.inbox.put("one", b"{}", START)
        assert not await other.store.inbox.put("one", b"{}", START)
        assert (await audit_journal(one.store.journal)).breaks == []


async def test_notifications_that_never_come_are_given_up(behind: PostgresAddress) -> None:
    hint = PostgresHint(behind.url, proof_seconds=0.5)
    rung: asyncio.Queue[None] = asyncio.Queue()
    listening = asyncio.create_task(hint.run(lambda: rung.put_nowait(None)))
    try:
        async with asyncio.timeout(PATIENCE):
            await rung.get()  # it listens
            while hint.works is None:  # noqa: ASYNC110 - what is awaited is that nothing comes
                await asyncio.sleep(0.05)
        assert hint.works is False
        assert not listening.done()
    finally:
        listening.cancel()
