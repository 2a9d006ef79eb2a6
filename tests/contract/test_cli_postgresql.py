"""The command line where the store is on PostgreSQL, and the watch over such a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon import app
from daemon.adapters.store import PostgresAddress, open_store
from daemon.cli import main
from daemon.config.settings import load_settings
from daemon.core.ports.store import StoreDown
from daemon.watching.store_health import StoreWatch
from tests.contract.test_journal import NOW, OPEN, note, opened
from tests.contract.test_postgresql_engine import unlike
from tests.cutting_proxy import CuttingProxy
from tests.journal_scenes import nights
from tests.postgresql import LOCKED, Server

Runs = Callable[..., tuple[int, str]]


@pytest.fixture
def runs(
    tmp_path: Path, postgresql_place: PostgresAddress, monkeypatch: pytest.MonkeyPatch
) -> Runs:
    """Runs a command with a settings file that refers to the address, with a password."""
    config = tmp_path / "stopgap.yaml"
    config.write_text("store: env:THE_STORE\n")
    monkeypatch.setenv("THE_STORE", unlike(postgresql_place, password="hunter2").url)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["stopgap", *words, "--config", str(config)])
        with CliRunner().isolation(env={"COLUMNS": "200"}) as (out, err, _):
            try:
                main()
            except SystemExit as end:
                status = int(end.code or 0)
            said = out.getvalue() + err.getvalue()
        assert b"hunter2" not in said
        return status, said.decode()

    return run


@pytest.fixture
def filled(postgresql_place: PostgresAddress) -> PostgresAddress:
    async def fill() -> None:
        async with open_store(postgresql_place) as store:
            await nights(store.journal, ["shop"])

    asyncio.run(fill())
    return postgresql_place


def test_the_store_is_checked_and_audited(runs: Runs, filled: PostgresAddress) -> None:
    status, said = runs("store", "check")
    assert (status, f"{filled} is whole" in said) == (0, True)
    status, said = runs("audit", "verify")
    assert (status, "15 entries" in said) == (0, True)
    status, said = runs("keys", "list")
    assert status == 0


@pytest.mark.parametrize("words", [("backup", "x.db"), ("restore", "x.db")])
def test_backups_are_its_own_tools_business(
    runs: Runs, filled: PostgresAddress, words: tuple[str, ...]
) -> None:
    status, said = runs("store", *words)
    assert status == 1
    assert f"the store is {filled}, which PostgreSQL's own tools back up" in said
    assert "`pg_dump --format=custom`" in said


def test_what_is_edited_is_found(runs: Runs, filled: PostgresAddress, postgresql: Server) -> None:
    name = filled.url.rpartition("/")[2]
    postgresql.execute("UPDATE events SET body = replace(body, 'come', 'stay')", name)
    status, said = runs("store", "check")
    assert status == 1
    assert "is not what was written" in said


def test_files_beside_it_have_a_name_of_their_own(tmp_path: Path) -> None:
    config = tmp_path / "stopgap.yaml"
    config.write_text("store: postgresql://stopgap@db/stopgap\n")
    settings = load_settings(config, {})
    assert settings.beside_store == tmp_path / "stopgap.replica"
    assert app.store_at(settings, {}) == PostgresAddress("postgresql://stopgap@db/stopgap")


@pytest.fixture
def proxy(postgresql: Server) -> Iterator[CuttingProxy]:
    found = CuttingProxy(postgresql.port)
    yield found
    found.close()


async def test_a_database_that_lets_nobody_in_any_more_is_told_of_as_one_that_is_away(
    postgresql: Server, postgresql_place: PostgresAddress
) -> None:
    """After its password was changed, say, and the server was restarted."""
    name = postgresql_place.url.rpartition("/")[2]
    postgresql.execute(f"CREATE ROLE {LOCKED} LOGIN SUPERUSER PASSWORD 'right'")
    try:
        async with open_store(unlike(postgresql_place, user=LOCKED, password="right")) as store:
            watch = StoreWatch(store.condition, store.inbox, timedelta(minutes=1))
            await opened(store.journal, "inc-1")
            postgresql.execute(f"ALTER ROLE {LOCKED} PASSWORD 'other'")
            sessions = f"pg_stat_activity WHERE datname = '{name}'"
            postgresql.execute(f"SELECT pg_terminate_backend(pid) FROM {sessions}")  # noqa: S608
            with pytest.raises(StoreDown, match="refuses the password") as caught:
                await store.journal.append("inc-1", 1, [note()], OPEN)
            assert caught.value.fault == "away"
            assert "refuses the password" in watch.why_not()  # so /-/ready answers 503, too
            with pytest.raises(StoreDown):
                await watch.look()
            postgresql.execute(f"ALTER ROLE {LOCKED} PASSWORD 'right'")
            await watch.look()
            assert watch.why_not() == ""
    finally:
        postgresql.execute(f"REASSIGN OWNED BY {LOCKED} TO CURRENT_USER", name)
        postgresql.execute(f"DROP ROLE {LOCKED}")


async def test_a_database_that_is_away_takes_no_alerts_and_calls_people_if_it_stays_so(
    postgresql_place: PostgresAddress, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(unlike(postgresql_place, port=str(proxy.port))) as store:
        loop = asyncio.get_running_loop()
        passed = 0.0
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + passed)
        watch = StoreWatch(store.condition, store.inbox, timedelta(minutes=1))
        await opened(store.journal, "inc-1")
        await watch.look()
        assert watch.why_not() == ""
        proxy.cut_all(refuse=True)
        with pytest.raises(StoreDown):
            await store.journal.append("inc-1", 1, [note()], OPEN)
        with pytest.raises(StoreDown):
            await watch.look()
        assert "cannot be reached" in watch.why_not()  # the webhook and /-/ready answer 503
        assert watch.trouble() is None  # a restart calls nobody
        passed = 61
        trouble = watch.trouble()
        assert trouble is not None
        assert trouble.kind == "away"
        proxy.cut_all(refuse=False)
        await watch.look()
        await watch.look()
        assert (watch.why_not(), watch.trouble()) == ("", None)
        assert await store.inbox.put("one", b"{}", NOW) is True
