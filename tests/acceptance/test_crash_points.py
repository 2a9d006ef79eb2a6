"""kill -9 at exact points of a rollback: after a restart the incident goes on, and the rollback
has been done exactly once."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.prometheus_double import PrometheusDouble
from tests.acceptance.running import TREE, Daemon, run_command
from tests.acceptance.shop import ALERT, Shop
from tests.acceptance.waiting import until

DYING = str(TREE / "tests/acceptance/dying.py")
MakeDaemon = Callable[..., Daemon]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop with v1 live."""
    async with PrometheusDouble().serving() as prometheus:
        yield Shop(tmp_path, prometheus)


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("after", "PageQueued"),
        ("after", "ProblemDefined"),
        ("after", "StepStarted"),
        ("after", "StepPrepared"),
        ("before", "StepProgressed"),
        ("before", "StepFinished"),
        ("after", "StepFinished"),
        ("after", "IncidentClosed"),
    ],
)
async def test_killed_at_this_point_the_rollback_is_done_once_and_the_incident_ends_well(
    shop: Shop, http: aiohttp.ClientSession, make_daemon: MakeDaemon, when: str, kind: str
) -> None:
    daemon = make_daemon(shop.folder).start(program=[DYING, when, kind])
    await until("the daemon to see v1", lambda: shop.saw_v1(daemon))
    shop.deploys_v2()
    async with http.post(f"{daemon.url}/api/v1/alerts", data=ALERT) as answer:
        assert answer.status == 200
    assert await daemon.ended() == -signal.SIGKILL
    at_death = [entry.kind for entry in daemon.journal.entries()]
    assert (kind in at_death) == (when == "after")

    daemon.start()
    await until("the review", lambda: daemon.journal.entries("ReviewWritten"), 20)
    assert len(daemon.journal.incidents()) == 1
    kinds = [entry.kind for entry in daemon.journal.entries()]
    for once in ("StepStarted", "StepPrepared", "StepFinished", "StepVerified", "IncidentClosed"):
        assert kinds.count(once) == 1, once
    outcome = daemon.journal.entries("StepFinished")[0].event["outcome"]
    assert outcome["result"] == "done", outcome
    assert daemon.journal.entries("StepVerified")[0].event["verdict"] == "recovered"
    assert daemon.journal.entries("IncidentClosed")[0].event["reason"] == "recovered"
    assert shop.live() == "v1"
    assert shop.restarts() == ["began releases/v1", "ended releases/v1"]
    assert {"PageQueued", "PageDelivered"} <= set(kinds)


async def test_killed_while_the_restart_command_runs_the_service_is_restarted_for_certain(
    shop: Shop, http: aiohttp.ClientSession, make_daemon: MakeDaemon
) -> None:
    """Nobody can tell whether the orphaned command did its work, so it is run once more."""
    daemon = make_daemon(shop.folder).start()
    await until("the daemon to see v1", lambda: shop.saw_v1(daemon))
    shop.deploys_v2()
    shop.held().touch()
    async with http.post(f"{daemon.url}/api/v1/alerts", data=ALERT) as answer:
        assert answer.status == 200
    await until("the restart to begin", shop.restarts)
    daemon.stop(signal.SIGKILL)
    shop.held().unlink()
    await until("the orphan to end", lambda: len(shop.restarts()) == 2)
    daemon.start()
    await until("the review", lambda: daemon.journal.entries("ReviewWritten"), 20)
    assert len(daemon.journal.entries("StepStarted")) == 1
    assert shop.restarts() == 2 * ["began releases/v1", "ended releases/v1"]
    assert shop.live() == "v1"
    assert "whole" in run_command(shop.folder, "audit", "verify")
