"""Alerts come to so many replicas on one PostgreSQL, in turns, as by a balancer before them: how
long it takes until each incident is confirmed and somebody is called, all of it durable, and what
that takes of which processor time."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import FRESH, ROSTER, SETTINGS, TREE, Daemon, lay_out
from tests.bench.resent_storm import MINUTES_RULE
from tests.bench.storm import outside, used
from tests.postgresql import Server

CLIENTS = 16
LOOK_EVERY = 0.1
FULL = 0.8
"""A share from which on something counts as what bounds the rest."""
LONGEST = 240.0
"""So many seconds are waited until all is done."""
_TICKS = os.sysconf("SC_CLK_TCK")
_CONFIRMED = "SELECT count(DISTINCT incident) FROM events WHERE kind = 'ProblemDefined'"
_DOUBLE = "SELECT count(*) - count(DISTINCT key) FROM heads"
_WRITER = """
SELECT a.state, coalesce(a.wait_event_type, 'processor'),
       EXISTS (SELECT FROM pg_locks w WHERE w.locktype = 'advisory' AND NOT w.granted)
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted"""
_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


@dataclass
class ReplicaStorm:
    """What was seen. Processor times in seconds, of the storm alone."""

    replicas: int
    groups: int
    answers_after: float
    """Seconds that Prometheus takes for each answer."""
    took: float | None = None
    """Seconds from the first POST until all incidents were confirmed and paged for; None if that
    was not seen."""
    double: int = 0
    """How many incidents were one too many for their key."""
    daemon_cpu: list[float] = field(default_factory=list)
    """Of each replica."""
    database_cpu: float = 0.0
    busy_share: float = 0.0
    """Of all processors, by whatever runs on this machine, 0…1."""
    commits: int = 0
    """Transactions of the database, those that only read among them."""
    looks: int = 0
    writers: Counter[str] = field(default_factory=Counter)
    """What the one that wrote waited for, at those looks at which another waited for its end."""

    @property
    def rate(self) -> float:
        """Incidents a second."""
        return self.groups / self.took if self.took else 0.0

    @property
    def lock_share(self) -> float:
        """Of the looks, those at which a writer waited for another."""
        return self.writers.total() / max(self.looks, 1)

    @property
    def bound(self) -> str:
        """What keeps more from being done a second, as far as that was seen."""
        if self.busy_share > FULL:
            return "the processors"
        return "the writers' lock" if self.lock_share > FULL else "neither processors nor lock"


async def replica_storm(
    folder: Path, server: Server, replicas: int, groups: int, answers_after: float
) -> ReplicaStorm:
    """Let one alert of each group come over so many replicas that share a database of their own."""
    seen, database = ReplicaStorm(replicas, groups, answers_after), folder.name
    server.create(database)
    async with AsyncExitStack() as stack:
        prometheus, pager = await stack.enter_async_context(outside(groups, answers_after))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        env = {"PYTHONPATH": str(TREE), "STORM_PAGER": f"{pager}/page"}
        daemons = []
        for number in range(replicas):
            name = f"r{number}"
            daemon = Daemon(_laid_out(folder / name, prometheus, server.url(database), name), FRESH)
            stack.callback(daemon.drop)
            daemons.append(daemon.start(env))
        before = [used(daemon)[1] for daemon in daemons], _database_cpu(server)
        busy, idle = _processor_ticks()
        await _watch(seen, http, daemons, pager, server, database)
        seen.daemon_cpu = [used(d)[1] - was for d, was in zip(daemons, before[0], strict=True)]
        seen.database_cpu = _database_cpu(server) - before[1]
        now_busy, now_idle = _processor_ticks()
        seen.busy_share = (now_busy - busy) / max(now_busy - busy + now_idle - idle, 1)
        for daemon in daemons:
            daemon.stop()
    seen.double = _number(server, _DOUBLE, database)
    seen.commits = _number(server, _COMMITS, database)
    return seen


def _laid_out(folder: Path, prometheus: str, url: str, name: str) -> Path:
    settings = SETTINGS.replace("http://127.0.0.1:9", prometheus)
    settings = settings.replace("cooldown: 10m", "cooldown: 10m, storm: 100000")
    roster = ROSTER.replace("console: true", "webhook: env:STORM_PAGER")
    return lay_out(
        folder,
        settings=f"{settings}store: {url}\nreplica: {{name: {name}}}\n",
        rules=MINUTES_RULE,
        more={"rules/roster.yaml": roster},
    )


async def _watch(
    seen: ReplicaStorm,
    http: aiohttp.ClientSession,
    daemons: list[Daemon],
    pager: str,
    server: Server,
    database: str,
) -> None:
    began = time.time()
    work = iter(
        [
            (daemons[n % len(daemons)], encoded(alert(f"s{n}", started=n)))
            for n in range(seen.groups)
        ]
    )
    posting = asyncio.gather(*(_post(http, work) for _ in range(CLIENTS)))
    while seen.took is None and time.time() - began < LONGEST:
        await asyncio.sleep(LOOK_EVERY)
        seen.looks += 1
        for state, waits_for, others in await asyncio.to_thread(server.execute, _WRITER, database):
            if others:
                seen.writers["replica" if state == "idle in transaction" else str(waits_for)] += 1
        async with http.get(f"{pager}/pages") as answer:
            paged = await answer.json()
        if len(paged) < seen.groups:
            continue
        if await asyncio.to_thread(_number, server, _CONFIRMED, database) >= seen.groups:
            seen.took = time.time() - began
    await posting


async def _post(http: aiohttp.ClientSession, work: Iterator[tuple[Daemon, bytes]]) -> None:
    for daemon, body in work:
        while True:
            async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
                assert answer.status in {200, 503}, await answer.text()
                if answer.status == 200:
                    break
            await asyncio.sleep(1.0)


def _number(server: Server, query: str, database: str) -> int:
    return int(str(server.execute(query, database)[0][0]))


def _processor_ticks() -> tuple[int, int]:
    """How long the processors were busy and idle, all of them together."""
    user, nice, system, idle, waiting, *more = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return user + nice + system + sum(more[:3]), idle + waiting


def _database_cpu(server: Server) -> float:
    """Seconds of processor that the server has used, and what it has started."""
    assert server.process is not None
    first = server.process.pid
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended; its parent counts it
        if int(process.name) == first:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == first:
            ticks += sum(map(int, fields[11:13]))
    return ticks / _TICKS
