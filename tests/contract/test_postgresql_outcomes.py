"""The connection to PostgreSQL breaks, at the COMMIT above all: nothing is lost, nothing twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.adapters.store import PostgresAddress, Store, audit_journal, open_store, postgresql
from daemon.core.people.access import Session
from daemon.core.ports.store import OutcomeUnknown, StoreDown
from daemon.core.recovery.guardrails import Freeze
from tests.contract.test_journal import NOW, OPEN, claim, note, opened
from tests.cutting_proxy import Cut, CuttingProxy
from tests.postgresql import Server

HOUR = timedelta(hours=1)


@pytest.fixture
def proxy(postgresql: Server) -> Iterator[CuttingProxy]:
    found = CuttingProxy(postgresql.port)
    yield found
    found.close()


@pytest.fixture
def cuttable(postgresql_place: PostgresAddress, proxy: CuttingProxy) -> PostgresAddress:
    """The database, by way of the proxy."""
    database = postgresql_place.url.rpartition("/")[2]
    return PostgresAddress(f"postgresql://stopgap@127.0.0.1:{proxy.port}/{database}")


SESSION = Session(
    id="s", person="ada", proof="p", started_at=NOW, ends_at=NOW + HOUR, client="", granted=None,
    guest=False,
)  # fmt: skip


async def appends(store: Store) -> None:
    await store.journal.append("inc-1", 1, [note("once")], OPEN)
    assert [entry.seq for entry in await store.journal.read("inc-1")] == [1, 2]


async def opens(store: Store) -> None:
    await store.journal.open("inc-2", "key-2", [note("first")], OPEN)
    assert len(await store.journal.read("inc-2")) == 1


async def takes_a_lock(store: Store) -> None:
    await claim(store.journal, "inc-1")
    assert len(await store.journal.read("inc-1")) == 2


async def freezes(store: Store) -> None:
    await store.journal.freeze(Freeze(scope="global", reason="sale", by="anna", at=NOW))
    assert len(await store.journal.freezes(NOW)) == 1


async def puts(store: Store) -> None:
    assert await store.inbox.put("one", b"{}", NOW) is True
    assert await store.inbox.pending(9) == [("one", b"{}")]
    assert store.inbox.backlog() == 1


async def begins_a_session(store: Store) -> None:
    await store.credentials.begin_session(SESSION)
    assert await store.credentials.session("s", NOW) == SESSION


async def does_much_at_once(store: Store) -> None:
    """All in one transaction."""
    names = [f"many-{n}" for n in range(20)]
    await asyncio.gather(*(opened(store.journal, name) for name in names))
    assert len(await store.journal.open_heads()) == 21


Deed = Callable[[Store], Awaitable[Any]]
DEEDS: list[Deed] = [
    appends,
    opens,
    takes_a_lock,
    freezes,
    puts,
    begins_a_session,
    does_much_at_once,
]


@pytest.mark.parametrize("cut", ["before", "after", "late", "ended", "undone"])
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
async def test_whatever_becomes_of_a_commit_is_found_out(
    cuttable: PostgresAddress, proxy: CuttingProxy, deed: Deed, cut: Cut
) -> None:
    async with open_store(cuttable) as store:
        await opened(store.journal, "inc-1")
        await store.inbox.forget(NOW)  # both writers have their row
        proxy.cut_next(cut)
        await deed(store)
        assert proxy.cuts == 1
        await opened(store.journal, "inc-3")  # and the writer goes on
        assert len(await store.journal.read("inc-3")) == 1
        assert (await audit_journal(store.journal)).breaks == []


async def test_a_first_transaction_that_is_cut_is_found_out_too(
    cuttable: PostgresAddress, proxy: CuttingProxy
) -> None:
    """Its writer has no row yet that could be waited for."""
    async with open_store(cuttable) as store:
        proxy.cut_next("late")
        assert await store.inbox.put("one", b"{}", NOW) is True
        assert proxy.cuts == 1
        assert len(await store.inbox.pending(9)) == 1


async def test_connections_that_broke_while_nobody_used_them_are_replaced(
    cuttable: PostgresAddress, proxy: CuttingProxy
) -> None:
    async with open_store(cuttable) as store:
        await opened(store.journal, "inc-1")
        await asyncio.gather(*(store.journal.read("inc-1") for _ in range(8)))
        proxy.cut_all(refuse=False)
        await asyncio.gather(*(store.journal.read("inc-1") for _ in range(8)))
        await store.journal.append("inc-1", 1, [note()], OPEN)
        assert await store.inbox.put("one", b"{}", NOW) is True


async def test_while_it_is_away_all_fail_at_once_and_go_on_when_it_is_back(
    cuttable: PostgresAddress, proxy: CuttingProxy
) -> None:
    async with open_store(cuttable) as store:
        await opened(store.journal, "inc-1")
        proxy.cut_all(refuse=True)
        began = time.monotonic()
        doings = [
            *(store.inbox.put(str(n), b"{}", NOW) for n in range(50)),
            *(store.journal.append("inc-1", 1, [note()], OPEN) for _ in range(50)),
            *(store.journal.read("inc-1") for _ in range(20)),
        ]
        found = await asyncio.gather(*doings, return_exceptions=True)
        assert {type(one) for one in found} == {StoreDown}
        assert "cannot be reached; look whether the server runs" in str(found[0])
        assert time.monotonic() - began < 5
        assert list(store.condition.faults) == ["away"]
        assert store.inbox.backlog() == 0
        with pytest.raises(StoreDown):
            await store.condition.probe()
        proxy.cut_all(refuse=False)
        await store.condition.probe()
        assert store.condition.faults == {}
        await store.journal.append("inc-1", 1, [note()], OPEN)
        assert await store.inbox.put("one", b"{}", NOW) is True


async def test_what_cannot_be_found_out_is_said_and_nobody_waits_for_ever(
    cuttable: PostgresAddress, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "RESOLVE_SECONDS", 0.5)
    async with open_store(cuttable) as store:
        await opened(store.journal, "inc-1")
        proxy.cut_next("after")
        proxy._refuses.set()  # the connection that is open stays
        with pytest.raises(OutcomeUnknown, match="in the middle of a COMMIT"):
            await store.journal.append("inc-1", 1, [note()], OPEN)
        proxy._refuses.clear()
        assert len(await store.journal.read("inc-1")) == 2


async def test_a_server_that_stands_still_is_not_waited_for(
    cuttable: PostgresAddress, postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    """Its kernel goes on acknowledging what is sent."""
    async with open_store(cuttable) as store:
        await opened(store.journal, "inc-1")

        def slow(connection: Any) -> None:
            driver = connection.connection.dbapi_connection
            driver.patience = 0.3
            connection.exec_driver_sql("SELECT pg_sleep(5)")

        began = time.monotonic()
        with pytest.raises(StoreDown, match="has not answered"):
            await store.journal.database.read(slow)
        assert time.monotonic() - began < 3
        assert len(await store.journal.read("inc-1")) == 1


async def test_a_server_that_is_restarted_is_ridden_out(tmp_path_factory: Any) -> None:
    """Also one that crashes, with all that was acknowledged."""
    import shutil
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp(prefix="stopgap-restart-"))
    server = Server.made(folder, durable=True)
    try:
        server.create("store")
        async with open_store(server.address("store")) as store:
            await opened(store.journal, "inc-1")
            for number, end in enumerate((server.stop, server.kill), start=1):
                await asyncio.to_thread(end)
                with pytest.raises(StoreDown):
                    await store.journal.append("inc-1", number, [note()], OPEN)
                await asyncio.to_thread(server.start)
                await store.journal.append("inc-1", number, [note()], OPEN)
            assert len(await store.journal.read("inc-1")) == 3
            assert (await audit_journal(store.journal)).breaks == []
    finally:
        server.stop()
        shutil.rmtree(folder)
