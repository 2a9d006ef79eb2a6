"""A daemon that is told to stop lets what has begun come to its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from daemon.core.ports.notification import Page
from tests.fakes import Phone
from tests.stories.stage import Stage, alert


class SlowPhone(Phone):
    """A pager that takes a call, and answers five seconds later."""

    async def page(self, page: Page) -> str:
        answer = await super().page(page)
        await asyncio.sleep(5)
        return answer


async def test_a_call_that_is_being_made_is_written_down_before_the_end(stage: Stage) -> None:
    phone = stage.phones["ada"] = SlowPhone()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(182)
        await daemon.conductor.drain(timedelta(seconds=30))
    async with stage.daemon() as daemon:
        await daemon.at(240)
        incident = await daemon.incident()
    assert [page.page for page in phone.pages].count("r0.t0.ada") == 1
    assert incident.pages["r0.t0.ada"].delivered_at is not None


async def test_while_it_stops_nothing_begins(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.conductor.drain(timedelta(seconds=30))
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(240)
        kinds = await daemon.kinds()
    assert not stage.phones["ada"].pages
    assert "PageQueued" in kinds, "what the next run has to do is written down"
    assert "EffectClaimed" not in kinds
