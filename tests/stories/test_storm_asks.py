"""Whoever takes a whole storm is asked in one call what waits in it."""

from __future__ import annotations

import asyncio

from tests import commanding
from tests.stories.stage import Stage, alert
from tests.stories.test_storm import LateService, services, titles

MANY = 40
WITHIN = 30
"""Seconds after the first answer within which they are called once."""


async def test_the_approvals_that_wait_are_one_call_though_the_incidents_are_taken_one_by_one(
    stage: Stage,
) -> None:
    """One of them had left the storm, to be called for by itself."""
    stage.service = LateService(errors=stage.service.errors)
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(MANY)))
        await daemon.at(400)
        left, held = [], []
        for one in await stage.incidents():
            assert one.storm is not None
            (held if one.storm.left_at is None else left).append(one.id)
        assert (len(left), len(held)) == (1, MANY - 1)
        before = len(titles(stage, "ada"))
        for name in (*held, *left):
            await daemon.repository.record(
                name, lambda i: commanding.acknowledge(i, "ada", "cli"), by="person:ada"
            )
            await asyncio.sleep(0.2)
        await daemon.at(400 + WITHIN)
    (told,) = titles(stage, "ada")[before:]
    assert told.endswith(f"somebody responds to each; for you: {MANY} to approve a step")


async def test_the_approval_of_one_that_left_rings_by_itself_for_who_has_no_other(
    stage: Stage,
) -> None:
    stage.service = LateService(errors=stage.service.errors)
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(MANY)))
        await daemon.at(400)
        (left,) = [i.id for i in await stage.incidents() if i.storm and i.storm.left_at]
        before = len(stage.phones["ada"].pages)
        await daemon.repository.record(
            left, lambda i: commanding.acknowledge(i, "ada", "cli"), by="person:ada"
        )
        await daemon.at(402)
        (told,) = stage.phones["ada"].pages[before:]
    assert (told.incident, told.page.partition("-")[0]) == (left, "approval")
