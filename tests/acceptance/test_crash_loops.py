"""On a real Prometheus: a release that crashes takes its own targets down, and its caller tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from tests.acceptance import servers
from tests.acceptance.crashing_shop import OTHERS, CrashingShop
from tests.acceptance.prometheus_double import PrometheusDouble
from tests.acceptance.running import RULE, SETTINGS, Daemon, lay_out, run_command
from tests.acceptance.shop import ALERT, ROLLBACK, Shop
from tests.acceptance.test_real_prometheus import asking
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]
SLOWER = RULE.replace("[1s, 3s]", "[3s, 6s]").replace("baseline: 1m", "baseline: 20s")
BEFORE = 15
"""Seconds of samples that a baseline needs."""


@asynccontextmanager
async def running(
    folder: Path, make_daemon: MakeDaemon
) -> AsyncIterator[tuple[Shop, CrashingShop, Daemon]]:
    """The shop of `tests/acceptance/shop.py`, whose v2 crashes, measured by a real Prometheus."""
    shop = Shop(folder, PrometheusDouble(url="http://127.0.0.1:9"))
    exporters = CrashingShop(crashes=lambda: shop.live() == "v2")
    async with exporters.exporting():
        with servers.prometheus(folder / "prometheus", exporters.prometheus_config()) as url:
            settings = SETTINGS.replace("http://127.0.0.1:9", url)
            settings += "commands: {allow: [[./restart, shop]]}\n"
            lay_out(folder, settings=settings, rules=SLOWER + ROLLBACK)
            run_command(folder, "approve", "service-errors", "--step", "1", "--by", "ada")
            daemon = make_daemon(folder).start()
            with asking(url) as prometheus:

                async def counted() -> bool:
                    query = 'count_over_time(requests_total{service="shop"}[1m])'
                    found = await prometheus.instant(query, datetime.now(UTC))
                    return bool(found.series) and found.series[0].samples[-1][1] >= 2 * BEFORE

                await until("a baseline", counted, 3 * BEFORE)
            yield shop, exporters, daemon


async def alerts(http: aiohttp.ClientSession, daemon: Daemon) -> None:
    async with http.post(f"{daemon.url}/api/v1/alerts", data=ALERT) as answer:
        assert answer.status == 200


async def test_its_own_target_is_down_and_its_caller_tells_so_it_is_rolled_back(
    tmp_path: Path, http: aiohttp.ClientSession, make_daemon: MakeDaemon
) -> None:
    async with running(tmp_path, make_daemon) as (shop, _, daemon):
        shop.deploys_v2()
        await alerts(http, daemon)
        await until("v1 to be live", lambda: shop.live() == "v1", 30)
        confirmed = [
            e.event for e in daemon.journal.entries("ProblemDefined") if e.event["suspicion"]
        ]
        suspicion = confirmed[-1]["suspicion"]
    assert suspicion["verdict"] == "suspect"
    assert "1 of 1 of the service's own targets are down since" in suspicion["text"]


async def test_all_other_targets_are_down_as_well_so_nothing_is_touched(
    tmp_path: Path, http: aiohttp.ClientSession, make_daemon: MakeDaemon
) -> None:
    async with running(tmp_path, make_daemon) as (shop, exporters, daemon):
        exporters.dark = True
        shop.deploys_v2()
        await alerts(http, daemon)
        asked = await until(
            "a person to be asked", lambda: daemon.journal.entries("ApprovalRequested"), 30
        )
        (refused, *_) = daemon.journal.entries("StepFinished")
        assert shop.live() == "v2"
    assert refused.event["outcome"]["reason"] == "monitoring_outage"
    assert (
        f"{len(OTHERS)} of {len(OTHERS) + 1} scrape targets beside the service's own are down"
        in (refused.event["outcome"]["detail"])
    )
    assert asked[0].event["reason"] == "monitoring_outage"
