"""`release_rollback` when it does not go well, and what the watch of releases sees."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.replicas import NotOurs
from daemon.core.values.outcome import Temporary
from recovery_actions.contract import context, until
from recovery_actions.left_running import end, is_running, mark_of
from recovery_actions.releases import ReleaseDirectory, ReleaseWatch
from recovery_actions.workshop import Workshop
from tests.contract.test_actions_release_rollback import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# ── the restart ────────────────────────────────────────────────────────────────────────────────


def watch(directory: str, base: Path) -> ReleaseWatch:
    return ReleaseWatch(ReleaseWatch.Params(directory=directory), Workshop(base))


async def test_a_failing_restart_keeps_the_older_release(tmp_path: Path) -> None:
    shop = Shop(tmp_path, restart="echo port in use; exit 1")
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("failed", "restart_failed")
    assert "switched from v2 to v1 and stays there, but" in outcome.detail
    assert "port in use" in outcome.detail
    assert shop.current == "releases/v1"
    assert await shop.check(context()) == "half_done"


async def test_a_restart_that_hangs_is_stopped(tmp_path: Path) -> None:
    shop = Shop(tmp_path, restart="sleep 30")
    outcome = await shop.run(context(), restart_timeout="80ms")
    assert (outcome.result, outcome.reason) == ("failed", "restart_timeout")
    assert "took more than 80ms and was stopped" in outcome.detail
    assert shop.current == "releases/v1"


async def test_a_failed_restart_is_tried_again_without_a_second_switch(tmp_path: Path) -> None:
    shop = Shop(tmp_path, restart=f"[ -e {tmp_path}/fixed ]")
    await shop.run(context())
    link = (shop.path / "current").lstat()
    (tmp_path / "fixed").touch()
    said: list[str] = []
    outcome = await shop.run(context(said=said))
    assert outcome.result == "done"
    assert said == ["current → v1 already, going on with the restart", "restarted"]
    assert (shop.path / "current").lstat() == link
    assert await shop.check(context()) == "done"


# ── crashes and shutdowns ──────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """The process ends here, as if by kill -9."""


@pytest.mark.parametrize("at", range(1, 17))
async def test_a_kill_at_any_point_of_the_disk_is_understood(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The process dies before the `at`-th call that changes the disk; a successor takes over."""
    calls = 0

    def deadly(call: Any) -> Any:
        def count(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return call(*arguments, **options)

        return count

    with monkeypatch.context() as patch:
        for name in ("replace", "fsync"):
            patch.setattr(os, name, deadly(getattr(os, name)))
        for name in ("symlink_to", "unlink"):
            patch.setattr(Path, name, deadly(getattr(Path, name)))
        patch.setattr(json, "dump", deadly(json.dump))
        with pytest.raises(Killed):
            await shop.run(context())

    landed = await shop.check(context())
    assert landed in ("done", "half_done", "not_done")
    if landed == "done":
        assert shop.restarts == ["releases/v1"]
    assert (await shop.run(context())).result == "done"
    assert shop.current == "releases/v1"
    assert 1 <= len(shop.restarts) <= 2
    assert await shop.check(context()) == "done"


async def test_a_kill_between_switch_and_restart_goes_on_with_the_restart(shop: Shop) -> None:
    shop.releases.write_phase("step-1", "v2", "v1", "linked")
    assert await shop.check(context()) == "not_done"
    shop.releases.switch("v2", "v1")
    assert await shop.check(context()) == "half_done"
    assert (await shop.run(context())).result == "done"
    assert shop.restarts == ["releases/v1"]


async def test_another_steps_traces_are_not_ours(shop: Shop) -> None:
    await shop.run(context(step="step-1"))
    assert await shop.check(context(step="step-2")) == "unknown"
    assert (await shop.run(context(step="step-2"))).reason == "changed_meanwhile"


async def test_a_rollback_that_a_person_took_back_is_not_repeated(shop: Shop) -> None:
    await shop.run(context())
    shop.point("v2")
    assert await shop.check(context()) == "unknown"
    assert (await shop.run(context())).reason == "changed_meanwhile"
    assert shop.current == "releases/v2"


async def test_a_damaged_state_file_is_nobodys(shop: Shop) -> None:
    await shop.run(context())
    for damaged in ("", "[]", "{"):
        (shop.path / ".stopgap-rollback.json").write_text(damaged)
        assert await shop.check(context()) == "unknown"


async def test_cancelling_during_the_restart_is_understood_later(tmp_path: Path) -> None:
    shop = Shop(tmp_path, restart=f"until [ -e {tmp_path}/go ]; do :; done; touch {tmp_path}/ran")
    task = asyncio.create_task(shop.run(context()))
    await until(lambda: shop.restarts)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert shop.current == "releases/v1"
    assert await shop.check(context()) == "half_done"
    (tmp_path / "go").touch()
    await until((tmp_path / "ran").exists)
    assert (await shop.run(context())).result == "done"


async def test_a_restart_that_outlived_the_daemon_is_waited_for(tmp_path: Path) -> None:
    """Two at a time could end each other's service. The unit leaves it at work (KillMode)."""
    waits = f"until [ -e {tmp_path}/go ]; do :; done"
    shop = Shop(tmp_path, restart=f"{waits}; echo ended >> {tmp_path}/log")
    task = asyncio.create_task(shop.run(context()))
    await until(lambda: shop.restarts and shop.releases.running("step-1"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    said: list[str] = []
    again = asyncio.create_task(shop.run(context(said=said)))
    await until(lambda: said)
    assert said == ["waiting for the restart that was begun before"]
    assert shop.restarts == ["releases/v1"]
    (tmp_path / "go").touch()
    assert (await again).result == "done"
    assert shop.restarts == ["releases/v1", "ended"] * 2


async def test_a_restart_left_hanging_is_ended_before_the_next(tmp_path: Path) -> None:
    shop = Shop(tmp_path, restart=f"[ -e {tmp_path}/second ] || sleep 30")
    task = asyncio.create_task(shop.run(context()))
    await until(lambda: shop.restarts and shop.releases.running("step-1"))
    left = shop.releases.running("step-1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (tmp_path / "second").touch()
    assert (await shop.run(context(), restart_timeout="2s")).result == "done"
    assert not is_running(left)
    assert len(shop.restarts) == 2


async def test_a_restart_left_hanging_is_not_ended_by_who_may_act_no_more(tmp_path: Path) -> None:
    """Its lease went while it waited: the next owner decides."""
    shop = Shop(tmp_path, restart="sleep 30")
    task = asyncio.create_task(shop.run(context()))
    await until(lambda: shop.restarts and shop.releases.running("step-1"))
    left = shop.releases.running("step-1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    def over() -> None:
        raise NotOurs("the lease is over")

    with pytest.raises(NotOurs):
        await shop.run(replace(context(), must_act=over), restart_timeout="80ms")
    assert is_running(left)
    assert await end(left)


def test_a_process_that_has_the_number_now_is_another() -> None:
    mark = mark_of(os.getpid())
    assert is_running(mark)
    number, started, boot = mark.split()
    assert not is_running(f"{number} {int(started) + 1} {boot}")
    assert not is_running(f"{number} {started} another")
    assert not is_running("")


async def test_cancelling_during_the_switch_waits_for_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()
    switch = ReleaseDirectory.switch

    def slow(*arguments: Any) -> bool:
        entered.set()
        go.wait(60)
        return switch(*arguments)

    monkeypatch.setattr(ReleaseDirectory, "switch", slow)
    task = asyncio.create_task(shop.run(context()))
    await until(entered.is_set)
    task.cancel()
    await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        shop.releases.lock()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (shop.current, shop.restarts) == ("releases/v1", [])
    assert await shop.check(context()) == "half_done"


# ── the watch ──────────────────────────────────────────────────────────────────────────────────


async def test_the_watch_dates_the_live_release_by_its_link(shop: Shop, tmp_path: Path) -> None:
    at = datetime(2025, 3, 9, 14, 0, tzinfo=UTC)
    os.utime(shop.path / "current", (at.timestamp(),) * 2, follow_symlinks=False)
    [change] = await watch("shop", tmp_path).look()
    assert (change.item, change.previous, change.at) == ("v2", "", at)
    assert change.subject == shop.action.target(shop.params())
    assert change.seen_by == "releases"


async def test_the_watch_sees_nothing_where_nothing_is_live(shop: Shop, tmp_path: Path) -> None:
    assert await watch("elsewhere", tmp_path).look() == ()
    shop.point("../../etc")
    assert await watch("shop", tmp_path).look() == ()


async def test_the_watch_never_dates_a_release_by_another_ones_link(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deploy(releases: ReleaseDirectory) -> str:
        shop.point("v1")
        os.utime(shop.path / "current", (0, 0), follow_symlinks=False)
        return "v1"

    monkeypatch.setattr(ReleaseDirectory, "live", deploy)
    with pytest.raises(Temporary, match="being switched right now"):
        await watch("shop", tmp_path).look()


async def test_the_watch_says_when_it_cannot_look(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(Temporary, match="cannot look at"):
        await watch("x" * 300, tmp_path).look()
