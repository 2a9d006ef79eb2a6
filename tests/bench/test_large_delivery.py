"""A group of ten thousand alerts: how long it takes, and how long it holds up everybody else."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, delivery
from tests.acceptance.running import FRESH, Daemon, lay_out
from tests.acceptance.waiting import until

pytestmark = pytest.mark.bench

ALERTS = 10_000
HELD = 1.0
"""Seconds; above this something is wrong, however slow and busy the machine."""
AIM = 0.1


def body() -> bytes:
    """Seven megabytes, as Kubernetes' alerts are."""
    told = {"description": "x" * 200, "runbook_url": "https://runbooks.example.org/ErrorsHigh"}
    more = {"namespace": "prod", "cluster": "eu-west-1", "job": "kube-state-metrics"}
    alerts = [
        {**alert("shop", pod=f"shop-{n:05d}-abcdef", **more), "annotations": told}
        for n in range(ALERTS)
    ]
    return json.dumps(delivery(*alerts)).encode()


async def test_ten_thousand_alerts_hold_nobody_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = 'listen: 127.0.0.1:0\nprometheus: {url: "http://127.0.0.1:9"}\n'
    daemon = Daemon(lay_out(tmp_path, settings=settings), FRESH)
    longest, sent = 0.0, body()
    try:
        daemon.start()
        async with aiohttp.ClientSession() as http:

            async def looks_in() -> None:
                nonlocal longest
                while True:
                    began = time.perf_counter()
                    async with http.get(f"{daemon.url}/-/healthy") as answer:
                        await answer.read()
                    longest = max(longest, time.perf_counter() - began)

            looking = asyncio.create_task(looks_in())
            began = time.perf_counter()
            async with http.post(f"{daemon.url}/api/v1/alerts", data=sent) as answer:
                assert answer.status == 200
            stored = time.perf_counter() - began
            await until("its incident", lambda: daemon.journal.entries("AlertsReceived"))
            handled = time.perf_counter() - began
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    finally:
        daemon.stop()
        daemon.drop()
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{ALERTS} alerts, {len(sent) / 1e6:.1f} MB: stored after {stored:.2f} s, with their "
            f"incident after {handled:.2f} s; others waited {1000 * longest:.0f} ms at most "
            f"(aim {1000 * AIM:.0f} ms)"
        )
    assert longest < HELD
