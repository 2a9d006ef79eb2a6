"""Changes are seen on the real disk and kept in the real store."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from daemon.adapters.store import open_store
from daemon.core.rules.rule import load
from daemon.repository import IncidentRepository
from daemon.watching.changes import Watcher
from recovery_actions.releases import ReleaseWatch
from recovery_actions.workshop import Workshop
from tests.acceptance.running import RULE
from tests.acceptance.shop import ROLLBACK
from tests.core.build import make_incident


async def test_two_looks_that_meet_both_return_the_change(tmp_path: Path) -> None:
    """The watcher's own look and that of a measurement, just after a deployment or a restart."""
    (tmp_path / "shop/releases/v2").mkdir(parents=True)
    (tmp_path / "shop/current").symlink_to("releases/v2")
    ((rule, _),) = load(RULE + ROLLBACK, "rule.yaml")
    async with open_store(tmp_path / "stopgap.db") as store:
        repository = IncidentRepository(store.journal, lambda: datetime.now(UTC))
        watch = ReleaseWatch(ReleaseWatch.Params(directory="shop"), Workshop(tmp_path))
        watcher = Watcher(repository, lambda: [rule], lambda _, __: watch)
        incident = make_incident()
        looks = await asyncio.gather(*(watcher.of(rule, incident) for _ in range(8)))
        assert [[change.item for change in look] for look in looks] == 8 * [["v2"]]
        assert len(await store.journal.changes("release:shop")) == 1
        assert looks[0][0].at.timestamp() <= time.time()
