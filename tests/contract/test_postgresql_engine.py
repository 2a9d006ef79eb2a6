"""What PostgreSQL must do for the store beyond what any database does."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.adapters.store import PostgresAddress, audit_journal, check_store, open_store
from tests.contract.test_journal import OPEN, note, opened
from tests.postgresql import Server

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


async def test_two_daemons_share_one_chain(postgresql_place: PostgresAddress) -> None:
    async with open_store(postgresql_place) as here, open_store(postgresql_place) as there:
        await opened(here.journal, "inc-1")
        await there.journal.append("inc-1", 1, [note("from there")], OPEN)
        await here.journal.append("inc-1", 2, [note("from here")], OPEN)
        assert len(await there.journal.read("inc-1")) == 3
        assert (await audit_journal(here.journal)).breaks == []
    assert await check_store(postgresql_place) == []


async def test_rows_of_writers_go_with_them(
    postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    async with open_store(postgresql_place) as store:
        await store.inbox.put("one", b"{}", NOW)
    name = postgresql_place.url.rpartition("/")[2]
    assert postgresql.execute("SELECT name FROM meta WHERE name LIKE 'commit:%'", name) == []
