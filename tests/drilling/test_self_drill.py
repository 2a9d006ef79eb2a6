"""The daemon's drill of its own chain, and the alert that is raised when it breaks."""

from __future__ import annotations

import asyncio

import pytest

from daemon.conduct.executor import Stage
from daemon.core.drills.chain import broken_link
from daemon.core.recovery.guardrails import GLOBAL, Freeze
from daemon.core.values.drill_key import drill_of
from daemon.core.values.outcome import Temporary
from daemon.drilling.runner import Drills
from daemon.drilling.self_drill import FAILED, SelfDrill
from daemon.replaying.virtual_daemon import VirtualDaemon
from daemon.replaying.virtual_time import run_virtually
from tests.drilling.scene import DrillScene


class _SelfDrillScene(DrillScene):
    """A daemon that knows of its self-drill from its start."""

    self_drill: SelfDrill

    def _host(self, daemon: VirtualDaemon, stage: Stage) -> Drills:
        drills = super()._host(daemon, stage)
        self.self_drill = made(self, daemon)
        return drills


def made(scene: DrillScene, daemon: VirtualDaemon | None = None) -> SelfDrill:
    async def alert(body: bytes) -> None:
        await scene.daemon.intake.receive(body)

    return SelfDrill(scene.drills, (daemon or scene.daemon).notes, alert)


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


def test_a_freeze_is_no_broken_chain() -> None:
    async def story(scene: DrillScene) -> None:
        at = scene.daemon.clock()
        await scene.daemon.journal.freeze(Freeze(scope=GLOBAL, at=at, by="bo", reason="christmas"))
        assert await made(scene).hold() == ""
        assert all(pager.pages == [] for pager in scene.daemon.pagers.values())

    DrillScene().run(story)


def test_one_that_a_restart_cut_is_held_anew() -> None:
    scene = _SelfDrillScene()

    async def story() -> None:
        async with scene.running():
            holding = asyncio.create_task(scene.self_drill.hold())
            await scene.play(60)
            holding.cancel()
        async with scene.running(scene.daemon):
            await scene.self_drill.hold_again()
            assert scene.incidents() == []
        runs = {drill_of(one.key): one for one in scene.daemon.incidents()}
        assert len(runs) == 2
        assert all(one.closed is not None for one in runs.values())

    run_virtually(story)
    assert not scene.daemon.crashes


def test_each_link_is_named_that_can_break() -> None:
    assert "opened no incident" in broken_link([], called=False)
