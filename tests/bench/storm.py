"""One storm on one build of the daemon: so many groups begin to fire at once, on a disk of a known
slowness. Posts them, and watches from outside until everybody is called."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import quantiles

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import ROSTER, SETTINGS, TREE, Daemon, lay_out
from tests.loopback import IN_ENVIRONMENT

HERE = Path(__file__).parent
CLIENTS = 32
QUICK = 0.005
"""Seconds that a Prometheus takes which is no bound."""
LOOK_EVERY = 0.25
PROBE_EVERY = 0.02
LONGEST = 120.0
"""So many seconds are waited for the last page."""
EVERYTHING = """
import daemon, recovery_actions
from importlib import import_module
from pkgutil import walk_packages
for package in (daemon, recovery_actions):
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
"""
"""What is imported late is compiled with all that it imports, too."""


@dataclass
class Storm:
    """What was seen; all times in seconds after the first POST."""

    build: str
    groups: int
    sync_ms: float
    accepted: float = 0.0
    opened: list[float] = field(default_factory=list)
    paged: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    commits: int = 0
    entries: int = 0

    @property
    def done(self) -> float | None:
        """When the last incident was open and paged for; None if that was not seen."""
        if min(len(self.opened), len(self.paged)) < self.groups:
            return None
        return max(self.opened[-1], self.paged[-1])

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the answers of /-/healthy."""
        return p99_ms(self.probes)


async def storm(folder: Path, tree: Path, build: str, groups: int, sync_ms: float) -> Storm:
    """Let a storm come over the daemon whose code is in `tree`, working in `folder`."""
    seen = Storm(build, groups, sync_ms)
    commits = folder / "commits"
    program = (str(HERE / "slow_daemon.py"), str(sync_ms), str(commits))
    async with outside(groups) as (prometheus, pager), aiohttp.ClientSession() as http:
        settings = SETTINGS.replace("http://127.0.0.1:9", prometheus)
        roster = ROSTER.replace("console: true", "webhook: env:STORM_PAGER")
        lay_out(folder, settings=settings, more={"rules/roster.yaml": roster})
        daemon = Daemon(folder, program)
        try:
            daemon.start({**compiled(tree, folder), "STORM_PAGER": f"{pager}/page"})
            await _watch(seen, http, daemon, pager)
            seen.rss_mb, seen.cpu_s = used(daemon)
            daemon.stop()
        finally:
            daemon.drop()
    seen.commits = int(commits.read_text())
    seen.entries = len(daemon.journal.entries())
    return seen


def compiled(tree: Path, folder: Path) -> dict[str, str]:
    """The environment of a daemon whose code is in `tree` and compiled already, as that of every
    installed one is; what is compiled is kept in `folder`."""
    cache = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    env = {"PYTHONPATH": str(tree), **cache}
    subprocess.run(
        (sys.executable, "-c", EVERYTHING),
        check=True,
        cwd=folder,
        env={**os.environ, **env},
    )
    return env


@asynccontextmanager
async def outside(groups: int, answers_after: float = QUICK) -> AsyncIterator[tuple[str, str]]:
    """The addresses of Prometheus, which takes so many seconds for an answer, and of the pager."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "outside.py"), str(groups), str(answers_after)),
        env={**os.environ, **IN_ENVIRONMENT, "PYTHONPATH": str(TREE)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        prometheus, pager = (await process.stdout.readline()).decode().split()
        yield prometheus, pager
    finally:
        process.kill()
        await process.wait()


async def _watch(seen: Storm, http: aiohttp.ClientSession, daemon: Daemon, pager: str) -> None:
    began = time.time()
    bodies = iter([encoded(alert(f"s{n}", started=n)) for n in range(seen.groups)])
    probing = asyncio.create_task(probe(seen.probes, http, f"{daemon.url}/-/healthy", PROBE_EVERY))
    await asyncio.gather(*(_post(http, daemon, bodies) for _ in range(CLIENTS)))
    seen.accepted = time.time() - began
    while seen.done is None and time.time() - began < LONGEST:
        await asyncio.sleep(LOOK_EVERY)
        async with http.get(f"{pager}/pages") as answer:
            seen.paged = [at - began for at in await answer.json()]
        if len(seen.paged) < seen.groups and time.time() - began < LONGEST:
            continue  # each is paged for after it was opened, and reading the journal costs time
        entries = await asyncio.to_thread(daemon.journal.entries, "IncidentOpened")
        seen.opened = sorted(datetime.fromisoformat(e.at).timestamp() - began for e in entries)
    probing.cancel()


async def _post(http: aiohttp.ClientSession, daemon: Daemon, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
            assert answer.status == 200, await answer.text()


async def probe(took: list[float], http: aiohttp.ClientSession, url: str, every: float) -> None:
    """Ask for that address again and again until cancelled, and note how long each answer takes;
    all in seconds."""
    while True:
        await probe_once(took, http, url)
        await asyncio.sleep(every)


async def probe_once(took: list[float], http: aiohttp.ClientSession, url: str) -> None:
    """Ask for that address, and note how long the answer takes, in seconds."""
    begin = time.perf_counter()
    async with http.get(url, allow_redirects=False) as answer:
        await answer.read()
        assert answer.status == 200, f"{url} answered {answer.status}"
    took.append(time.perf_counter() - begin)


def used(daemon: Daemon) -> tuple[float, float]:
    """The most memory that the daemon had, in MB, and the seconds of processor it has used."""
    assert daemon.process is not None
    process = Path(f"/proc/{daemon.process.pid}")
    status = (process / "status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return int(peak) / 1024, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def p99_ms(took: Sequence[float]) -> float:
    """The 99th percentile of these seconds, in milliseconds."""
    return quantiles(took, n=100)[98] * 1000


def share_of(times: Sequence[float], within: float) -> int:
    """How many of them came within so many seconds."""
    return sum(at <= within for at in times)
