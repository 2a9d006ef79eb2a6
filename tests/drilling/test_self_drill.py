"""The daemon's drill of its own chain, and the alert that is raised when it breaks."""

from __future__ import annotations

import pytest

from daemon.core.drills.chain import broken_link
from daemon.core.values.outcome import Temporary
from daemon.drilling.self_drill import FAILED, SelfDrill
from tests.drilling.scene import DrillScene


def made(scene: DrillScene) -> SelfDrill:
    async def alert(body: bytes) -> None:
        await scene.daemon.intake.receive(body)

    return SelfDrill(scene.drills, scene.daemon.notes, alert)


def test_the_whole_chain_holds_and_calls_nobody() -> None:
    async def story(scene: DrillScene) -> None:
        began = scene.daemon.clock()
        assert await made(scene).hold() == ""
        assert (scene.daemon.clock() - began).total_seconds() < 180
        assert scene.incidents() == []
        assert all(pager.pages == [] for pager in scene.daemon.pagers.values())
        assert scene.metrics.asked == []

    DrillScene().run(story)


def test_a_broken_chain_calls_people_and_the_next_that_holds_resolves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(scene: DrillScene) -> None:
        drill = made(scene)
        with monkeypatch.context() as broken:

            async def full(incident: str, text: str) -> str:
                raise Temporary("the disk is full")

            broken.setattr(scene.daemon.reviews, "keep", full)
            assert await drill.hold() == "no review was written"
        await scene.play(2)
        (real,) = scene.incidents()
        assert real.opened.title == FAILED
        assert "no review was written" in next(iter(real.alerts.values())).annotations["summary"]
        assert scene.daemon.pagers["ada"].pages != []
        assert await drill.hold() == ""
        await scene.play(2)
        assert scene.incidents()[0].all_resolved

    DrillScene().run(story)


def test_each_link_is_named_that_can_break() -> None:
    assert "opened no incident" in broken_link([], called=False)
