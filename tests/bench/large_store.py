"""One start of one build of the daemon on a store with a thousand open and very many closed
incidents: when it is ready, when it calls whoever was to be called meanwhile, and how long its
pages take."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.acceptance.running import FRESH, ROSTER, SETTINGS, TOKEN, Daemon, lay_out
from tests.bench.resent_storm import MINUTES_RULE
from tests.bench.storm import compiled, outside, probe_once, used

PAGES = ("/", "/?q=inc-0500#past", "/rules", "/figures", "/follow-ups", "/system", "/status-page")
QUESTIONS = ("/api/v1/incidents", "/api/v1/incidents?q=inc-0500", "/api/v1/figures")
ASKED = 3
LONGEST = 120.0
"""So many seconds are waited for the first page."""
STEADY = 45.0
"""So many seconds after the start the first looks of a minute are over, and memory is read."""
LARGE_RULE = MINUTES_RULE.replace("rule: service-errors", "rule: checkout") + "verify: {watch: 7d}"
AUDIENCE = """
channels: {room: {console: true}}
audiences: {customers: {channels: [room], wording: public}}
"""


@dataclass
class LargeStart:
    """What was seen. Times in seconds, of moments after the program was started; `cpu` is the
    processor time used by then."""

    build: str
    ready: float = 0.0
    ready_cpu: float = 0.0
    paged: float | None = None
    paged_cpu: float = 0.0
    answers: dict[str, list[float]] = field(default_factory=dict)
    rss_mb: float = 0.0
    cpu_s: float = 0.0


async def large_start(folder: Path, tree: Path, build: str) -> LargeStart:
    """Start the daemon whose code is in `tree` in `folder`, where its store is already."""
    seen = LargeStart(build)
    person = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        outside(1) as (prometheus, pager),
        aiohttp.ClientSession(headers=person) as http,
    ):
        settings = SETTINGS.replace("http://127.0.0.1:9", prometheus)
        settings += "status_page: {folder: public}\n"
        roster = ROSTER.replace("console: true", "webhook: env:STORM_PAGER") + AUDIENCE
        lay_out(folder, settings=settings, rules=LARGE_RULE, more={"rules/roster.yaml": roster})
        daemon = Daemon(folder, FRESH)
        try:
            surroundings = {**compiled(tree, folder), "STORM_PAGER": f"{pager}/page"}
            os.sync()  # else the start waits until the disk has the store that was just made
            began = time.time()
            daemon.start(surroundings)
            await _watch(seen, http, daemon, pager, began)
            daemon.stop()
        finally:
            daemon.drop()
    return seen


async def _watch(
    seen: LargeStart, http: aiohttp.ClientSession, daemon: Daemon, pager: str, began: float
) -> None:
    while True:
        async with http.get(f"{daemon.url}/-/ready") as answer:
            if answer.status == 200:
                break
        await asyncio.sleep(0.02)
    seen.ready, seen.ready_cpu = time.time() - began, used(daemon)[1]
    while time.time() - began < LONGEST:
        async with http.get(f"{pager}/pages") as answer:
            paged = await answer.json()
        if paged:
            seen.paged, seen.paged_cpu = paged[0] - began, used(daemon)[1]
            break
        await asyncio.sleep(0.05)
    for path in (*PAGES, *QUESTIONS):
        took = seen.answers.setdefault(path, [])
        for _ in range(ASKED):
            await probe_once(took, http, f"{daemon.url}{path}")
    await asyncio.sleep(max(0.0, began + STEADY - time.time()))
    seen.rss_mb, seen.cpu_s = used(daemon)
