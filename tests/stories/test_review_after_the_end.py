"""The review is of the incident as it ended, however long the store takes to write the end down."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from daemon.replaying.virtual_time import run_virtually
from tests.fakes import MemoryJournal
from tests.stories.stage import Stage, alert, healed_by


class SlowJournal(MemoryJournal):
    """An append takes as long as on a disk."""

    async def append(self, *args: Any, **more: Any) -> None:
        """Wait, then append."""
        await asyncio.sleep(0.04)
        await super().append(*args, **more)


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
