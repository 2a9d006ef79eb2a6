"""Changes are seen on the real disk and kept in the real store."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.adapters.store import Store, open_store
from daemon.core.ports.metrics import MetricsServers, NamedMetrics
from daemon.core.rules.rule import Rule, load
from daemon.repository import IncidentRepository
from daemon.watching.changes import Watcher
from daemon.watching.label_values import LabelValues
from recovery_actions.releases import ReleaseWatch
from recovery_actions.workshop import Workshop
from tests.acceptance.running import RULE
from tests.acceptance.shop import ROLLBACK
from tests.acceptance.waiting import until
from tests.core.build import make_incident
from tests.fakes import Service

SERVERS = MetricsServers(NamedMetrics(Service(), timedelta(minutes=2)))


def nowhere(store: Store, rule: Rule) -> LabelValues:
    """The values of a rule's labels that no folder tells."""
    return LabelValues(
        store.notes, lambda: [rule], SERVERS, lambda _, __: (), lambda: datetime.now(UTC)
    )


async def test_two_looks_that_meet_both_return_the_change(tmp_path: Path) -> None:
    """The watcher's own look and that of a measurement, just after a deployment or a restart."""
    (tmp_path / "shop/releases/v2").mkdir(parents=True)
    (tmp_path / "shop/current").symlink_to("releases/v2")
    ((rule, _),) = load(RULE + ROLLBACK, "rule.yaml")
    async with open_store(tmp_path / "stopgap.db") as store:
        repository = IncidentRepository(store.journal, lambda: datetime.now(UTC))
        watch = ReleaseWatch(ReleaseWatch.Params(directory="shop"), Workshop(tmp_path))
        watcher = Watcher(repository, lambda: [rule], lambda *_: watch, nowhere(store, rule))
        incident = make_incident()
        looks = await asyncio.gather(*(watcher.of(rule, incident) for _ in range(8)))
        assert [[change.item for change in look] for look in looks] == 8 * [["v2"]]
        assert len(await store.journal.changes("release:shop")) == 1
        assert looks[0][0].at.timestamp() <= time.time()


def release(base: Path, service: str, name: str) -> None:
    """Deploy a release of a service, as Capistrano does."""
    folder = base / "srv" / service
    (folder / "releases" / name).mkdir(parents=True)
    (folder / "next").symlink_to(f"releases/{name}")
    (folder / "next").replace(folder / "current")


async def test_a_first_incident_knows_what_was_live_before_the_deployment(tmp_path: Path) -> None:
    """Folders that exist are watched before any incident, and again at once after a restart."""
    many = ROLLBACK.replace("releases: {directory: shop}", "releases: {directory: srv/$service}")
    ((rule, _),) = load(RULE + many, "rule.yaml")
    workshop = Workshop(tmp_path)
    for service in ("cart", "checkout"):
        release(tmp_path, service, "v1")
    (tmp_path / "srv/notes").mkdir()

    def daemon(store: Store, listed: bool) -> tuple[Watcher, LabelValues]:
        repository = IncidentRepository(store.journal, lambda: datetime.now(UTC))
        values = LabelValues(
            store.notes,
            lambda: [rule],
            SERVERS,
            lambda _, params: ReleaseWatch.existing(params, tmp_path) if listed else (),
            lambda: datetime.now(UTC),
        )

        def make(_: Rule, __: str, params: Mapping[str, Any]) -> ReleaseWatch:
            return ReleaseWatch(ReleaseWatch.Params(**params), workshop)

        return Watcher(repository, lambda: [rule], make, values), values

    async with open_store(tmp_path / "stopgap.db") as store:
        watcher, values = daemon(store, listed=True)
        await values.look()
        assert values.of(rule) == [{"service": "cart"}, {"service": "checkout"}]
        watching = asyncio.create_task(watcher.run())
        try:
            await until("a look at cart", lambda: seen(tmp_path, "cart"))
            await until("a look at checkout", lambda: seen(tmp_path, "checkout"))
        finally:
            watching.cancel()
    release(tmp_path, "checkout", "v2")
    async with open_store(tmp_path / "stopgap.db") as store:
        watcher, values = daemon(store, listed=False)
        await values.look()
        assert values.of(rule) == [{"service": "cart"}, {"service": "checkout"}]
        changes = await watcher.of(rule, make_incident())
        assert [(change.previous, change.item) for change in changes] == [("", "v1"), ("v1", "v2")]


def seen(base: Path, service: str) -> bool:
    """Whether a change of that folder is in the store."""
    with closing(sqlite3.connect(f"file:{base / 'stopgap.db'}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM changes WHERE subject = ?"
        return bool(database.execute(query, (f"release:srv/{service}",)).fetchone()[0])


def test_folders_tell_what_the_labels_of_a_path_are(tmp_path: Path) -> None:
    for path in ("eu/shop-web", "eu/cart-web", "us/shop-web", "us/shop-api", "eu/eu-web"):
        folder = tmp_path / "srv" / path
        folder.mkdir(parents=True)
        (folder / "current").symlink_to("releases/v1")
    (tmp_path / "srv/eu/empty-web").mkdir()

    def existing(directory: str) -> list[dict[str, str]]:
        return ReleaseWatch.existing({"directory": directory}, tmp_path)

    assert existing("srv/eu/$service-web") == [
        {"service": "cart"},
        {"service": "eu"},
        {"service": "shop"},
    ]
    assert existing("srv/$zone/$service-api") == [{"zone": "us", "service": "shop"}]
    assert existing("srv/$zone/$zone-web") == [{"zone": "eu"}]
    assert existing(f"{tmp_path}/srv/us/$service") == [
        {"service": "shop-api"},
        {"service": "shop-web"},
    ]
    assert existing("nowhere/$service") == []
