"""The store has done it, and its answer is lost: nobody knows, and nothing is forgotten."""

from __future__ import annotations

from typing import Any

from daemon.core.values.outcome import Temporary
from tests.fakes import MemoryJournal
from tests.stories.stage import Stage, alert


class LosingOnce(MemoryJournal):
    """It stores an incident that opens, and breaks the connection before it says so; once."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    async def open(self, *args: Any, **more: Any) -> None:
        await super().open(*args, **more)
        if not self.lost:
            self.lost += 1
            raise Temporary("the connection was lost while it committed")


async def test_an_incident_whose_opening_was_not_answered_is_conducted(stage: Stage) -> None:
    stage.journal = journal = LosingOnce()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        incident = await daemon.incident()
        assert journal.lost == 1
        assert [page.queued.purpose for page in incident.pages.values()] == ["escalation"]
        assert stage.phones["ada"].pages
        assert not incident.defects, "nobody had to notice that it was forgotten"
        assert incident.confirmed is not None
