"""The review, and what people are told of the end, are of the incident as it ended, however long
the store takes to write the end down."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from daemon.replaying.virtual_time import run_virtually
from tests.fakes import MemoryJournal
from tests.stories.stage import ROSTER, Stage, alert, healed_by
from tests.stories.test_first_page import Mail

WITH_A_GATEWAY = ROSTER.replace(
    "Ada, contact: [{console: true}]", "Ada, contact: [{webhook: env:PHONE, reminders: true}]"
)


class SlowJournal(MemoryJournal):
    """An append takes as long as on a disk."""

    async def append(self, *args: Any, **more: Any) -> None:
        """Wait, then append."""
        await asyncio.sleep(0.04)
        await super().append(*args, **more)


class Gateway(Mail):
    """A way by which somebody is both called and told quietly."""

    method = "webhook-1"


def test_the_review_has_the_end_that_it_is_written_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.journal = SlowJournal()
    stage.service.fails(0.10, 60)

    async def story() -> None:
        healed_by(stage, "rollback", 0.002)
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(3600)

    run_virtually(story)
    [incident] = stage.journal.entries
    text = (tmp_path / f"{incident}.md").read_text(encoding="utf-8")
    assert "| Incident closed | 14:16:35 |" in text


def test_who_was_called_hears_when_and_by_what_it_was_restored(tmp_path: Path) -> None:
    stage = Stage(tmp_path, roster_text=WITH_A_GATEWAY)
    stage.journal = SlowJournal()
    gateway = stage.phones["ada"] = Gateway()
    stage.service.fails(0.10, 60)

    async def story() -> None:
        healed_by(stage, "rollback", 0.002)
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(1200)

    run_virtually(story)
    told = gateway.reminders[-1]
    assert told.title.startswith("Restored: ")
    assert told.text.startswith("Restored at ")
    assert "after step 1, rollback" in told.text
