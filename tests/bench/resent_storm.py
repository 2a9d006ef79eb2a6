"""One storm as two Alertmanagers tell it: 20 alerts a group, 500 groups within a minute, each
group's notification sent three times by both. Posts them to one build of the daemon, and watches
from outside."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.deliveries import alert, delivery
from tests.acceptance.running import ROSTER, RULE, SETTINGS, TOKEN, Daemon, lay_out
from tests.acceptance.waiting import until
from tests.bench.storm import HERE, compiled, outside, probe, probe_once, used

GROUPS = 500
ALERTS = 20
AT_FIRST = 16
"""So many of a group's alerts fire already when its first notification is sent."""
PEERS = ("alertmanager-0", "alertmanager-1")
NOTIFICATIONS = 3
"""Each peer tells of each group so often: once, and twice again."""
LASTS = 60.0
CLIENTS = 32
RETRY = 1.0
PROBE_EVERY = 0.05
PAGE_EVERY = 1.0
WATCHED = 90.0
"""So many seconds after the first POST, or once all is done if that is later, it is counted what
the daemon has used: what 500 open incidents cost while they go on is part of it."""
LONGEST = 240.0
"""So many seconds are waited until all is done."""
MINUTES_RULE = RULE.replace("[1s, 3s]", "[1m, 5m]").replace("baseline: 1m", "baseline: 1h")


@dataclass
class ResentStorm:
    """What was seen; all times in seconds, those of moments after the first POST."""

    build: str
    posted: int = 0
    refused: int = 0
    """How often it was said to come again later."""
    answered: float = 0.0
    done: float | None = None
    """When all incidents were there with all their alerts, measured and paged for; None if
    never."""
    probes: list[float] = field(default_factory=list)
    pages: dict[str, list[float]] = field(default_factory=dict)
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    calls: int = 0
    incidents: int = 0
    keys: int = 0
    alerts: int = 0
    """How many alerts were written down; more than were sent, if some twice."""
    different_alerts: int = 0
    deliveries: int = 0
    entries: Counter[str] = field(default_factory=Counter)
    commits: int = 0


def notifications() -> Iterator[bytes]:
    """The bodies in the order of their sending. Those of two peers say the same and are not the
    same bytes; what is sent again says the same, once all alerts of the group fire."""
    for sent in range(NOTIFICATIONS):
        for group in range(GROUPS):
            for number, peer in enumerate(PEERS):
                yield json.dumps(_notification(group, sent, number, peer)).encode()


def _notification(group: int, sent: int, number: int, peer: str) -> dict[str, Any]:
    service = f"s{group}"
    firing = AT_FIRST if sent == 0 else ALERTS
    alerts = [
        alert(service, started=group * ALERTS + n, pod=f"{service}-{n:02}", namespace="prod")
        for n in range(firing)
    ]
    for one in alerts:  # each evaluation words it anew
        one["annotations"]["description"] = f"{10 + sent}.{number} % of the requests fail"
    if number:
        alerts.reverse()
    return delivery(*alerts, externalURL=f"http://{peer}.example:9093")


async def resent_storm(folder: Path, tree: Path, build: str) -> ResentStorm:
    """Let the storm come over the daemon whose code is in `tree`, working in `folder`."""
    seen = ResentStorm(build)
    commits = folder / "commits"
    program = (str(HERE / "slow_daemon.py"), "0", str(commits))
    person = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        outside(GROUPS) as (prometheus, pager),
        aiohttp.ClientSession(headers=person) as http,
    ):
        settings = SETTINGS.replace("http://127.0.0.1:9", prometheus)
        roster = ROSTER.replace("console: true", "webhook: env:STORM_PAGER")
        lay_out(folder, settings=settings, rules=MINUTES_RULE, more={"rules/roster.yaml": roster})
        daemon = Daemon(folder, program)
        try:
            daemon.start({**compiled(tree, folder), "STORM_PAGER": f"{pager}/page"})
            await _watch(seen, http, daemon, pager)
            daemon.stop()
        finally:
            daemon.drop()
    seen.commits = int(commits.read_text())
    _count(seen, daemon)
    return seen


async def _watch(
    seen: ResentStorm, http: aiohttp.ClientSession, daemon: Daemon, pager: str
) -> None:
    began = time.time()
    probing = [
        asyncio.create_task(probe(seen.probes, http, f"{daemon.url}/-/healthy", PROBE_EVERY))
    ]
    bodies = list(notifications())
    seen.posted = len(bodies)
    due = iter([(began + LASTS * n / len(bodies), body) for n, body in enumerate(bodies)])
    posting = asyncio.gather(*(_post(seen, http, daemon, due) for _ in range(CLIENTS)))
    await until("the first incident", daemon.journal.incidents)
    first = next(iter(daemon.journal.incidents()))
    for path in (f"/incidents/{first}", "/storm"):
        took = seen.pages.setdefault(path.replace(first, "…"), [])
        probing.append(asyncio.create_task(probe(took, http, f"{daemon.url}{path}", PAGE_EVERY)))
    probing.append(asyncio.create_task(_browse(seen.pages.setdefault("/", []), http, daemon)))
    await posting
    seen.answered = time.time() - began
    while time.time() - began < (WATCHED if seen.done else LONGEST):
        await asyncio.sleep(1)
        if seen.done is None and await _all_told(http, daemon, pager):
            seen.done = time.time() - began
    seen.rss_mb, seen.cpu_s = used(daemon)
    for each in probing:
        assert not each.done(), each.result()
        each.cancel()
    async with http.get(f"{pager}/calls") as answer:
        seen.calls = await answer.json()


async def _browse(took: list[float], http: aiohttp.ClientSession, daemon: Daemon) -> None:
    """An open page of all incidents: it is asked for again whenever it is told of a change."""
    asked = asyncio.Event()

    async def refresh() -> None:
        while True:
            asked.clear()
            await probe_once(took, http, f"{daemon.url}/")
            await asked.wait()

    refreshing = asyncio.create_task(refresh())
    try:
        forever = aiohttp.ClientTimeout(total=None)
        async with http.get(f"{daemon.url}/live?since=0", timeout=forever) as stream:
            async for line in stream.content:
                if line.startswith(b"event: changed"):
                    asked.set()
    finally:
        refreshing.cancel()


async def _all_told(http: aiohttp.ClientSession, daemon: Daemon, pager: str) -> bool:
    async with http.get(f"{pager}/pages") as answer:
        if len(await answer.json()) < GROUPS:
            return False
    if await asyncio.to_thread(daemon.journal.unprocessed):
        return False
    return await asyncio.to_thread(daemon.journal.count, "ProblemDefined") >= GROUPS


async def _post(
    seen: ResentStorm,
    http: aiohttp.ClientSession,
    daemon: Daemon,
    due: Iterator[tuple[float, bytes]],
) -> None:
    for at, body in due:
        await asyncio.sleep(max(0.0, at - time.time()))
        while not await _taken(http, daemon, body):
            seen.refused += 1
            await asyncio.sleep(RETRY)


async def _taken(http: aiohttp.ClientSession, daemon: Daemon, body: bytes) -> bool:
    """Whether it is stored; else it is sent again, as Alertmanager does."""
    async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
        assert answer.status in {200, 503}, await answer.text()
        return answer.status == 200


def _count(seen: ResentStorm, daemon: Daemon) -> None:
    told = [(incident, alert["fingerprint"]) for incident, alert in daemon.journal.alerts()]
    entries = daemon.journal.entries()
    seen.alerts, seen.different_alerts = len(told), len({alert for _, alert in told})
    seen.incidents = len(daemon.journal.incidents())
    opened = (entry.event["key"] for entry in entries if entry.kind == "IncidentOpened")
    seen.keys = len(set(opened))
    seen.deliveries = daemon.journal.deliveries()
    seen.entries = Counter(entry.kind for entry in entries)
