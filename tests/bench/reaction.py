"""From the POST of an alert to the start and the end of the action, beyond Prometheus's own answer.

Prometheus's double answers each query after a known time; the queries of one measurement run
side by side, so one such time is all that is taken off, and two up to the end: the last look
before acting asks again. Beside it Debian's `webhook`, which runs its command without any check,
and keeps nothing.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.journal import JournalFile
from tests.acceptance.prometheus_double import PrometheusDouble
from tests.acceptance.running import FRESH, RULE, SETTINGS, Daemon, lay_out, run_command
from tests.acceptance.waiting import until
from tests.bench.servers import cpu_seconds, listening
from tests.bench.table import Aim, Row

WARMING = 3
PROMETHEUS_MS = 5.0
LONGEST = 60.0
AIMS = {"StepStarted": 12.0, "StepFinished": 30.0}
STAGES = ("IncidentOpened", "ProblemDefined", "StepStarted", "StepPrepared", "StepFinished")
QUERIED = {"IncidentOpened": 0, "StepPrepared": 2, "StepFinished": 2}
"""So often Prometheus was asked until then; else once."""
INSTANT_ACTION = """
recover:
  - action: run_command
    with: {argv: [/bin/true, $service], target: $service}
    approval: automatic
verify: {settle: 1h, hold: 1h}
"""
UNHINDERED = """recovery:
  {budget: 1000, budgets: {rule: 1000, team: 1000, domain: 1000}, storm: 1000,"""
"""So many services of one rule within minutes are a storm and spend its budget: people would be
asked, and rightly so. Here each must be acted upon."""


async def reaction_rows(folder: Path, builds: Mapping[str, Path], incidents: int) -> list[Row]:
    """The rows of the table, from so many incidents of each build, which take turns."""
    begins: dict[str, dict[str, float]] = {build: {} for build in builds}
    cpu = dict.fromkeys(builds, 0.0)
    answers: list[float] = []
    async with AsyncExitStack() as stack:
        prometheus = await stack.enter_async_context(
            PrometheusDouble(delay=PROMETHEUS_MS / 1000).serving()
        )
        http = await stack.enter_async_context(aiohttp.ClientSession())
        daemons = {
            build: await stack.enter_async_context(_daemon(folder / build, tree, prometheus.url))
            for build, tree in builds.items()
        }
        peer = stack.enter_context(_webhook(folder))
        for number in range(WARMING + incidents):
            service = f"service-{number}"
            prometheus.breaks(service)
            # Each follows itself as often as the other, whose last work goes on beside it.
            for build, daemon in list(daemons.items())[:: -1 if number % 2 else 1]:
                assert daemon.process is not None
                used, begins[build][service] = cpu_seconds(daemon.process.pid), time.time()
                await _post(http, f"{daemon.url}/api/v1/alerts", encoded(alert(service)))
                acted = partial(_acted, daemon.journal, number + 1)
                await until(f"the action for {service}", acted, LONGEST)
                if number >= WARMING:
                    cpu[build] += cpu_seconds(daemon.process.pid) - used
            if peer:
                began = time.perf_counter()
                await _post(http, f"{peer}/hooks/act", encoded(alert(service)))
                answers.append((time.perf_counter() - began) * 1000)
        after = {build: _after(daemons[build].journal, begins[build]) for build in builds}
    rows = []
    for stage in STAGES:
        figures = {
            build: median(times[stage]) - QUERIED.get(stage, 1) * PROMETHEUS_MS
            for build, times in after.items()
        }
        if stage == "StepFinished" and answers:
            figures["webhook"] = median(answers)
        aims = (Aim("base", most=0.5), Aim(most=AIMS[stage])) if stage in AIMS else ()
        rows.append(Row(f"POST → {stage}", "ms beyond Prometheus", figures, aims))
    used_ms = {build: seconds / incidents * 1000 for build, seconds in cpu.items()}
    return [*rows, Row("  processor", "ms an incident", used_ms)]


async def _post(http: aiohttp.ClientSession, url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with http.post(url, data=body, headers=headers) as answer:
        await answer.read()
        assert answer.status == 200


@asynccontextmanager
async def _daemon(folder: Path, tree: Path, prometheus: str) -> AsyncIterator[Daemon]:
    """The daemon, which runs /bin/true for whatever service fails."""
    settings = SETTINGS.replace("http://127.0.0.1:9", prometheus)
    settings = settings.replace("recovery: {budget: 1000,", UNHINDERED)
    assert UNHINDERED in settings
    settings += 'commands: {allow: [[/bin/true, "*"]]}\n'
    lay_out(folder, settings=settings, rules=RULE + INSTANT_ACTION)
    run_command(folder, "approve", "service-errors", "--step", "1", "--by", "ada")
    running = Daemon(folder, FRESH)
    try:
        yield running.start({"PYTHONPATH": str(tree)})
        running.stop()
    finally:
        running.drop()


@contextmanager
def _webhook(folder: Path) -> Iterator[str]:
    """Debian's `webhook` with the same command, whose end it waits for; empty if it is not here."""
    program = shutil.which("webhook")
    if program is None:
        yield ""
        return
    hooks = folder / "hooks.json"
    hooks.write_text(
        json.dumps(
            [
                {
                    "id": "act",
                    "execute-command": "/bin/true",
                    "include-command-output-in-response": True,
                }
            ]
        )
    )
    command = (program, "-hooks", hooks, "-ip", "127.0.0.1", "-port")
    with listening(lambda port: (*command, str(port))) as (url, _):
        yield url


def _acted(journal: JournalFile, incidents: int) -> bool:
    return journal.count("StepFinished") == incidents


def _after(journal: JournalFile, begins: Mapping[str, float]) -> dict[str, list[float]]:
    """How many milliseconds after its POST each stage of each incident was journaled."""
    after: dict[str, list[float]] = {stage: [] for stage in STAGES}
    service = {
        opened.incident: opened.event["group_labels"]["service"]
        for opened in journal.entries("IncidentOpened")
    }
    for told in journal.entries():
        warm = int(service[told.incident].removeprefix("service-")) >= WARMING
        if told.kind in STAGES and warm:
            at = datetime.fromisoformat(told.at).timestamp()
            after[told.kind].append((at - begins[service[told.incident]]) * 1000)
    return after
