"""One batch of the inbox becomes incidents together: counted in commits, on the real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, event

from daemon.adapters.store import Store, open_store
from daemon.core.rules.rule import RuleBook, load
from daemon.intake.intake import Intake
from daemon.repository import IncidentRepository
from tests.acceptance.waiting import until
from tests.contract.damage import engine_of
from tests.contract.test_journal import NOW
from tests.stories.stage import RULE, alert, body

RULES = RuleBook(rule for rule, _ in load(RULE, "checkout.yaml"))


def intake_of(store: Store) -> Intake:
    repository = IncidentRepository(store.journal, lambda: NOW)
    return Intake(store.inbox, repository, lambda: RULES, None, timedelta(hours=1))


@asynccontextmanager
async def running(intake: Intake) -> AsyncIterator[None]:
    task = asyncio.create_task(intake.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_three_hundred_groups_open_in_a_handful_of_commits(tmp_path: Path) -> None:
    commits = 0

    def count(_: Connection) -> None:
        nonlocal commits
        commits += 1

    async with open_store(tmp_path / "stopgap.db") as store:
        intake = intake_of(store)
        await asyncio.gather(*(intake.receive(body(alert(service=f"s{n}"))) for n in range(300)))
        writer = engine_of(store.journal.database)
        assert writer is not None
        event.listen(writer, "commit", count)
        async with running(intake):
            await until("the inbox to be worked off", lambda: store.inbox.backlog() == 0, 60)
        assert len(await store.journal.open_heads()) == 300
        # One for each hundred, as a rule; the writer may begin while a hundred is being told.
        assert commits <= 30
