"""The tables as the revisions make them, on each database: as `schema` says, from every start."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from daemon.adapters.store import (
    SCHEMA,
    PostgresAddress,
    StorePlace,
    audit_journal,
    check_store,
    open_store,
    upgrading,
)
from daemon.adapters.store.schema import metadata, revision_table
from daemon.core.values.outcome import Permanent
from tests.postgresql import Server, shell

DATA = Path(__file__).parent.parent / "data"
_NUMBERS = count()


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """A store of the earliest schema that we have whole of that database."""
    if request.param == "sqlite":
        path = tmp_path / "stopgap.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((DATA / "store-schema-4.sql").read_text(encoding="utf-8"))
        return path
    place: PostgresAddress = request.getfixturevalue("empty_database")
    shell(place, (DATA / "store-schema-9-postgresql.sql").read_text(encoding="utf-8"))
    return place


@pytest.fixture
def empty_database(postgresql: Server) -> Iterator[PostgresAddress]:
    name = f"empty_{os.getpid()}_{next(_NUMBERS)}"
    postgresql.create(name, template="template0")
    yield postgresql.address(name)
    postgresql.drop(name)


def differences(place: StorePlace) -> list[object]:
    """What is not as `schema` has it: tables, columns, types, defaults, indexes."""
    if isinstance(place, PostgresAddress):
        engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    else:
        engine = create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": revision_table.name}
        context = MigrationContext.configure(connection, opts=options)
        found = list(compare_metadata(context, metadata))
        if isinstance(place, PostgresAddress):
            query = (
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema "
                "= 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
            )
            found += [
                f"{row} is not sorted by code points" for row in connection.execute(text(query))
            ]
    engine.dispose()
    return found


async def test_what_the_revisions_make_is_what_the_schema_says(old: StorePlace) -> None:
    async with open_store(old):
        pass
    assert differences(old) == []


async def test_what_is_made_today_is_what_the_schema_says(place: StorePlace) -> None:
    async with open_store(place):
        pass
    assert differences(place) == []


async def test_an_old_store_comes_up_whole_and_goes_on(old: StorePlace) -> None:
    for _ in range(2):  # the second time it is of today already
        async with open_store(old) as store:
            assert (await audit_journal(store.journal)).breaks == []
            heads = await store.journal.heads(9)
            assert {"inc-1", "inc-2", "inc-3"} <= {head.incident for head in heads}
    assert shell(old, "SELECT version_num FROM alembic_version") == [(f"{SCHEMA:04}",)]
    assert shell(old, "SELECT value FROM meta WHERE name = 'schema'") == [(str(SCHEMA),)]
    assert await check_store(old) == []


async def test_an_upgrade_that_fails_has_changed_nothing(old: StorePlace) -> None:
    """The last revision meets a table of its name; what those before it did is taken back, too."""
    before = shape(old)
    shell(old, "CREATE TABLE duties (theirs text)")
    found = shape(old)
    for _ in range(2):
        with pytest.raises(Permanent, match=r"duties.* already exists"):
            async with open_store(old):
                pass
        assert shape(old) == found
    shell(old, "DROP TABLE duties")
    assert shape(old) == before
    async with open_store(old) as store:
        assert (await audit_journal(store.journal)).breaks == []
    assert differences(old) == []


def shape(place: StorePlace) -> list[tuple[object, ...]]:
    """Every table with its columns."""
    if isinstance(place, PostgresAddress):
        return shell(
            place,
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY 1, 2",
        )
    return shell(place, "SELECT name, sql FROM sqlite_master ORDER BY 1")


async def test_two_that_start_at_the_same_moment_make_the_tables_once(
    empty_database: PostgresAddress,
) -> None:
    async with AsyncExitStack() as stack:
        starting = (stack.enter_async_context(open_store(empty_database)) for _ in range(3))
        one, two, three = await asyncio.gather(*starting)
        assert one.keys.current == two.keys.current == three.keys.current
    assert shell(empty_database, "SELECT count(*) FROM alembic_version") == [(1,)]


async def test_tables_of_others_are_left_alone(empty_database: PostgresAddress) -> None:
    shell(empty_database, "CREATE TABLE theirs (x text)")
    for readonly in (False, True):
        with pytest.raises(Permanent, match="is a database, but not a journal of stopgap"):
            async with open_store(empty_database, readonly=readonly):
                pass
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert shell(empty_database, tables) == [("theirs",)]


async def test_a_newer_one_is_refused(place: StorePlace) -> None:
    async with open_store(place):
        pass
    # One that this version's tables are not enough for: it says so itself.
    newer = f"UPDATE meta SET value = '{SCHEMA + 1}' WHERE name IN ('schema', 'compatible')"  # noqa: S608
    shell(place, newer)
    for readonly in (False, True):
        with pytest.raises(Permanent, match="written by a newer stopgap"):
            async with open_store(place, readonly=readonly):
                pass


def test_each_schema_since_has_one_revision() -> None:
    scripts = ScriptDirectory(str(Path(upgrading.__file__).parent))
    found = sorted(script.revision for script in scripts.walk_revisions())
    assert found == [f"{schema:04}" for schema in range(9, SCHEMA + 1)]
    assert scripts.get_current_head() == f"{SCHEMA:04}"
