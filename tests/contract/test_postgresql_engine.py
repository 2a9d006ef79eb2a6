"""What PostgreSQL must do for the store beyond what any database does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from daemon.adapters.store import (
    PostgresAddress,
    audit_journal,
    check_store,
    open_store,
    store_place,
)
from daemon.adapters.store import postgresql as engine
from daemon.core.ports.store import StoreDown
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.test_journal import OPEN, note, opened
from tests.pgbouncer import pgbouncer
from tests.postgresql import LOCKED, Server, free_port

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


def test_whoever_starts_waits_for_no_writer_that_waits_for_its_turn(
    postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    """It has signed already, in a row that nobody has used for days: each would wait for ours."""
    name = postgresql_place.url.rpartition("/")[2]
    starting = engine.PostgresBackend(postgresql_place)
    postgresql.execute("INSERT INTO meta VALUES ('commit:idle', '2020')", name)
    with psycopg.connect(postgresql.url(name)) as writer:
        writer.execute("UPDATE meta SET value = '2020' WHERE name = 'commit:idle'")
        starting.prepare()
    starting.prepare()
    rows = "SELECT name FROM meta WHERE name = 'commit:idle'"
    assert postgresql.execute(rows, name) == [], "once it is at rest it goes"


async def test_text_that_postgresql_has_not_is_no_reason_to_refuse_an_alert(
    postgresql_place: PostgresAddress,
) -> None:
    async with open_store(postgresql_place) as store:
        state = OPEN.model_copy(update={"title": "cart\0fails"})
        await store.journal.open("inc-1", "key", [note("a\0b")], state)
        (head,) = await store.journal.open_heads()
        assert head.title == "cart\ufffdfails"
        (entry,) = await store.journal.read("inc-1")
        assert entry.event == note("a\0b").event
        assert (await audit_journal(store.journal)).breaks == []


async def test_by_pgbouncer_in_transaction_mode(postgresql_place: PostgresAddress) -> None:
    with pgbouncer(postgresql_place) as place:
        async with open_store(place) as here, open_store(place) as there:
            many = [f"inc-{n}" for n in range(30)]
            await asyncio.gather(*(opened(here.journal, each) for each in many[::2]))
            await asyncio.gather(*(opened(there.journal, each) for each in many[1::2]))
            both = (here, there)
            await asyncio.gather(
                *(s.inbox.put(f"{n}", b"{}", NOW) for n in range(40) for s in both)
            )
            assert len(await here.inbox.pending(99)) == 40
            assert len(await there.journal.open_heads()) == 30
            assert (await audit_journal(here.journal)).breaks == []
        assert await check_store(place) == []


async def test_two_alertmanagers_tell_two_replicas_the_same_at_once(
    postgresql_place: PostgresAddress,
) -> None:
    async with open_store(postgresql_place) as here, open_store(postgresql_place) as there:
        names = [f"d-{n}" for n in range(200)]
        told = [*(here.inbox.put(n, b"{}", NOW) for n in names)]
        told += [*(there.inbox.put(n, b"{}", NOW) for n in reversed(names))]
        assert sum(await asyncio.gather(*told)) == 200
        assert len(await here.inbox.pending(999)) == 200


def unlike(place: PostgresAddress, **parts: str) -> PostgresAddress:
    """The address with another user, password, port or database, or with parameters."""
    split = urlsplit(place.url)
    user = parts.get("user", "stopgap") + (f":{parts['password']}" if "password" in parts else "")
    host = f"127.0.0.1:{parts.get('port', split.port)}"
    database = parts.get("database", split.path[1:])
    return PostgresAddress(f"postgresql://{user}@{host}/{database}?{parts.get('query', '')}")


async def failure(place: PostgresAddress) -> Temporary | Permanent:
    with pytest.raises((Temporary, Permanent)) as caught:
        async with open_store(place):
            pass
    text = str(caught.value)
    assert text.startswith(str(place))
    assert "\n" not in text
    assert isinstance(caught.value, Temporary | Permanent)
    return caught.value


async def test_what_keeps_from_connecting_is_said_with_its_mend(
    postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    place = postgresql_place
    missing = await failure(unlike(place, database="nowhere"))
    assert "does not exist: CREATE DATABASE … OWNER …" in str(missing)
    nobody = await failure(unlike(place, user="nobody"))
    assert "has no such user: CREATE ROLE … LOGIN" in str(nobody)
    away = await failure(unlike(place, port=str(free_port())))
    assert isinstance(away, StoreDown)
    assert (away.fault, "look whether the server runs" in str(away)) == ("away", True)
    unknown = await failure(unlike(place, query="no_such_option=1"))
    assert "is no address that libpq understands; correct `store`" in str(unknown)
    unsafe = await failure(unlike(place, query="sslmode=require"))
    assert "look at `sslmode`" in str(unsafe)
    postgresql.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'right'")
    try:
        wrong = await failure(unlike(place, user=LOCKED, password="hunter2"))
        assert "refuses the password: correct the one in the address" in str(wrong)
        assert isinstance(wrong, StoreDown)
        assert "hunter2" not in str(wrong)
        assert "refuses the password" in str(await failure(unlike(place, user=LOCKED)))
        right = unlike(place, user=LOCKED, password="right")
        rights = await failure(right)
        assert "does not permit it to this user; make it the owner" in str(rights)
        name = place.url.rpartition("/")[2]
        postgresql.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        crowded = await failure(right)
        assert isinstance(crowded, StoreDown)
        assert "has no connection left; raise `max_connections`" in str(crowded)
    finally:
        postgresql.execute(f"DROP ROLE {LOCKED}")


async def test_a_standby_takes_no_writes_and_a_lock_is_not_waited_for_for_ever(
    postgresql: Server, postgresql_place: PostgresAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = postgresql_place.url.rpartition("/")[2]
    readonly = unlike(postgresql_place, query="options=-c%20default_transaction_read_only%3Don")
    standby = await failure(readonly)
    assert isinstance(standby, StoreDown)
    assert standby.fault == "unwritable"
    assert "give the address of the primary" in str(standby)
    monkeypatch.setattr(engine, "_BOUNDS", "SET LOCAL lock_timeout = '50ms'")
    monkeypatch.setattr(engine, "_BEGIN", "BEGIN; SET LOCAL lock_timeout = '50ms'")
    async with open_store(postgresql_place) as store:
        with psycopg.connect(postgresql.url(name)) as other:
            other.execute(f"SELECT pg_advisory_xact_lock({engine.WRITERS_LOCK})")
            with pytest.raises(StoreDown, match="is held by another writer for too long") as caught:
                await opened(store.journal, "inc-1")
            assert caught.value.fault == "held"
            assert await store.inbox.put("one", b"{}", NOW) is True  # it waits for no writer
        await opened(store.journal, "inc-1")


def test_an_address_is_shown_without_its_password() -> None:
    secret = PostgresAddress("postgresql://ada:hunter2@db:5432/stopgap?password=hunter2&sslmode=x")
    assert str(secret) == repr(secret) == "postgresql://ada@db:5432/stopgap"
    assert secret.has_password
    assert str(PostgresAddress("postgresql://a:5432,b:5432/x")) == "postgresql://a:5432,b:5432/x"


@pytest.mark.parametrize("stray", ["/", "?", "#", "%", "@", " ", "%00"])
def test_a_password_with_a_stray_character_is_shown_nowhere(tmp_path: Path, stray: str) -> None:
    """libpq would take a part of it for the host, or repeat it in an error."""
    for url in (
        f"postgresql://ada:hunt{stray}er2@db:5432/stopgap",
        f"postgresql://ada:{stray}hunter2@db/stopgap",
        f"postgresql://ada@db/stopgap?password=hun%20ter{stray}@2",
    ):
        with pytest.raises(Permanent, match=r"`store: env:DB`: .* write @ as %40") as caught:
            store_place("env:DB", tmp_path, {"env:DB": url}.__getitem__)
        assert "hun" not in str(caught.value)
        with pytest.raises(Permanent, match=r"`store: postgresql://…`: ") as caught:
            store_place(url, tmp_path, str)
        assert "hun" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:h%2Funt:er[2@[::1]:5432/stopgap", "postgresql://ada@[::1]:5432/stopgap"),
        ("postgres://ada@%2Frun%2Fpg/x?sslrootcert=/a/b.pem", "postgresql://ada@%2Frun%2Fpg/x"),
        ("postgresql://:hunter2@/stopgap", "postgresql://@/stopgap"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_what_libpq_reads_is_read(url: str, shown: str) -> None:
    assert str(PostgresAddress(url)) == shown


def test_the_setting_is_a_path_an_address_or_a_reference_to_one(tmp_path: Path) -> None:
    held = {"env:DB": "postgresql://ada:hunter2@db/stopgap\n", "env:FILE": "stopgap.db"}
    read = held.__getitem__
    assert store_place("stopgap.db", tmp_path, read) == tmp_path / "stopgap.db"
    plain = PostgresAddress("postgresql://ada@db/stopgap")
    assert store_place(plain.url, tmp_path, read) == plain
    found = store_place("env:DB", tmp_path, read)
    assert isinstance(found, PostgresAddress)
    assert found.url == held["env:DB"].strip()
    with pytest.raises(Permanent, match="must hold the address of a database"):
        store_place("env:FILE", tmp_path, read)
    with pytest.raises(Permanent, match="has a password in it") as caught:
        store_place("postgresql://ada:hunter2@db/stopgap", tmp_path, read)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Permanent, match="`store: mysql://…` is no store"):
        store_place("mysql://ada:hunter2@db/stopgap", tmp_path, read)


async def test_an_empty_database_in_the_place_of_a_store_is_not_believed(
    postgresql: Server, postgresql_place: PostgresAddress, tmp_path: Path
) -> None:
    """As after a failover to the wrong server: it would look well, and all would be forgotten."""
    name, beside = postgresql_place.url.rpartition("/")[2], tmp_path / "stopgap.replica"
    async with open_store(postgresql_place, beside=beside) as store:
        await opened(store.journal, "inc-1")
        assert store.debts is not None
    with pytest.raises(Permanent, match="so --new-store was refused"):
        async with open_store(postgresql_place, beside=beside, new=True):
            pass
    postgresql.drop(name)
    postgresql.create(name, template="template0")
    with pytest.raises(StoreDown, match="is empty, and there was a store in it") as caught:
        async with open_store(postgresql_place, beside=beside):
            pass
    assert caught.value.fault == "gone"
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert postgresql.execute(tables, name) == [(0,)]
    for new in (True, False):
        async with open_store(postgresql_place, beside=beside, new=new) as store:
            assert await store.journal.heads(9) == []


async def test_each_replica_has_its_own_files_beside_the_store(
    postgresql_place: PostgresAddress, tmp_path: Path
) -> None:
    """One would overwrite what the other has done while the database was away."""
    beside = tmp_path / "stopgap.replica"
    async with open_store(postgresql_place, beside=beside):
        with pytest.raises(Permanent, match=r"in use by another daemon.*a folder of its own"):
            async with open_store(postgresql_place, beside=beside):
                pass
        async with open_store(postgresql_place, beside=tmp_path / "b" / "stopgap.replica"):
            pass
    async with open_store(postgresql_place, beside=beside):
        pass
