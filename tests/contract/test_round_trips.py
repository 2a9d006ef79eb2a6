"""How often a transaction goes to PostgreSQL and back while it holds the lock of all writers: that
is what the writers of other replicas wait for, so it is counted, and not timed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing
from datetime import timedelta

import pytest

from daemon.adapters.store import PostgresAddress, Store, audit_journal, open_store
from daemon.adapters.store.replicas import SqlReplicas
from daemon.core.ports.replicas import Fence, NotOwner
from tests.contract.test_journal import NOW, OPEN, claim, note, opened
from tests.cutting_proxy import CuttingProxy
from tests.postgresql import Server, until_one_waits

APPEND = 3
"""The lock, where the journal ends, all that is written with the COMMIT."""
START = APPEND + 1
"""Besides: which keys are free."""
FENCE = Fence("r0", "first")


class Counted:
    """A store whose round trips are counted."""

    def __init__(self, store: Store, proxy: CuttingProxy) -> None:
        self.store = store
        self._proxy = proxy

    async def turns(self, *work: Awaitable[object]) -> int:
        """So many does this take, all at once."""
        before = self._proxy.turns
        await asyncio.gather(*work)
        return self._proxy.turns - before


@pytest.fixture
async def counted(postgresql: Server, postgresql_place: PostgresAddress) -> AsyncIterator[Counted]:
    with closing(CuttingProxy(postgresql.port)) as proxy:
        database = postgresql_place.url.rpartition("/")[2]
        address = PostgresAddress(f"postgresql://stopgap@127.0.0.1:{proxy.port}/{database}")
        async with open_store(address) as store:
            await opened(store.journal, "inc-1", "inc-2")
            yield Counted(store, proxy)


async def test_an_append_takes_three(counted: Counted) -> None:
    journal = counted.store.journal
    assert await counted.turns(journal.append("inc-1", 1, [note()], OPEN)) == APPEND
    assert await counted.turns(journal.append("inc-1", 2, [note(), note()], OPEN)) == APPEND
    assert [entry.seq for entry in await journal.read("inc-1")] == [1, 2, 3, 4]


async def test_a_lease_is_asked_for_by_the_way(counted: Counted) -> None:
    lease, database = timedelta(minutes=1), counted.store.journal.database
    register = SqlReplicas(database, FENCE, "1.0", lease, lambda: NOW)
    assert await register.join("", NOW)
    assert await register.take_these(["inc-1"]) == ["inc-1"]
    journal = counted.store.journal
    fenced = journal.append("inc-1", 1, [note()], OPEN, fence=FENCE)
    assert await counted.turns(fenced) == APPEND
    with pytest.raises(NotOwner, match="registered no more"):
        await journal.append("inc-1", 2, [note()], OPEN, fence=Fence("r0", "second"))
    assert len(await journal.read("inc-1")) == 2


async def test_an_incident_starts_by_one_more(counted: Counted) -> None:
    assert await counted.turns(opened(counted.store.journal, "inc-3")) == START


async def test_a_crowd_of_appends_takes_no_more_than_one(counted: Counted) -> None:
    journal = counted.store.journal
    names = [f"many-{number}" for number in range(20)]
    await asyncio.gather(*(opened(journal, name) for name in names))
    appends = [journal.append(name, 1, [note("x" * 500)], OPEN) for name in names]
    assert await counted.turns(*appends) == APPEND
    assert (await audit_journal(journal)).breaks == []


async def test_what_is_refused_within_a_crowd_costs_the_others_nothing(counted: Counted) -> None:
    journal = counted.store.journal
    await claim(journal, "inc-1")
    late = journal.append("inc-2", 7, [note("late")], OPEN)
    right = journal.append("inc-2", 1, [note("right")], OPEN)

    async def refused() -> None:
        with pytest.raises(Exception, match="not at entry 7"):
            await late

    assert await counted.turns(refused(), right) == APPEND


async def test_what_waits_while_another_replica_writes_shares_one_transaction(
    postgresql_place: PostgresAddress, postgresql: Server
) -> None:
    database = postgresql_place.url.rpartition("/")[2]
    async with open_store(postgresql_place) as here, open_store(postgresql_place) as there:
        names = [f"inc-{number}" for number in range(10)]
        await opened(here.journal, *names)
        begun, over = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(_: object) -> None:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(over.wait(), loop).result()

        holding = asyncio.create_task(there.journal.database.write(hold))
        await begun.wait()
        tasks = [asyncio.create_task(here.journal.append(names[0], 1, [note()], OPEN))]
        await asyncio.to_thread(until_one_waits, postgresql, database, "advisory")
        tasks += [
            asyncio.create_task(here.journal.append(name, 1, [note()], OPEN)) for name in names[1:]
        ]
        await asyncio.sleep(0)
        over.set()
        await asyncio.gather(holding, *tasks)
        xmins = "SELECT count(DISTINCT xmin::text) FROM events WHERE seq = 2"
        assert postgresql.execute(xmins, database)[0][0] == 1
