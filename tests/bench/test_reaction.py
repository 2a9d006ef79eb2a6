"""From the POST of an alert to the start of the action, beyond Prometheus's own answer time.

Prometheus's double answers each query after a known time; the queries of one measurement run
side by side, so one such time is all that is taken off.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp
import pytest
from rich.console import Console
from rich.table import Table

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.journal import JournalFile
from tests.acceptance.prometheus_double import PrometheusDouble
from tests.acceptance.running import FRESH, RULE, SETTINGS, Daemon, lay_out, run_command
from tests.acceptance.waiting import until

pytestmark = pytest.mark.bench

WARMING = 3
INCIDENTS = 40
PROMETHEUS_MS = 5.0
AIM_MS = 20.0
CEILING_MS = 60.0
"""Above this something is wrong, however slow and busy the machine."""
STAGES = ("IncidentOpened", "ProblemDefined", "StepStarted", "StepPrepared", "StepFinished")

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


@pytest.fixture
async def prometheus() -> AsyncIterator[PrometheusDouble]:
    """Answers each query after a known time."""
    async with PrometheusDouble(delay=PROMETHEUS_MS / 1000).serving() as double:
        yield double


@pytest.fixture
async def daemon(tmp_path: Path, prometheus: PrometheusDouble) -> AsyncIterator[Daemon]:
    """The daemon, which runs /bin/true for whatever service fails."""
    settings = SETTINGS.replace("http://127.0.0.1:9", prometheus.url)
    settings = settings.replace("recovery: {budget: 1000,", UNHINDERED)
    assert UNHINDERED in settings
    settings += 'commands: {allow: [[/bin/true, "*"]]}\n'
    lay_out(tmp_path, settings=settings, rules=RULE + INSTANT_ACTION)
    run_command(tmp_path, "approve", "service-errors", "--step", "1", "--by", "ada")
    running = Daemon(tmp_path, FRESH)
    yield running.start()
    running.stop()
    running.drop()


async def test_from_the_post_to_the_start_of_the_action(
    prometheus: PrometheusDouble, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    begins: dict[str, float] = {}
    async with aiohttp.ClientSession() as http:
        for number in range(WARMING + INCIDENTS):
            service = f"service-{number}"
            prometheus.breaks(service)
            body = encoded(alert(service))
            begins[service] = time.time()
            async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
                assert answer.status == 200
            acted = partial(_acted, daemon.journal, number + 1)
            await until(f"the action for {service}", acted)
    after = _after(daemon.journal, begins)
    beyond = median(after["StepStarted"]) - PROMETHEUS_MS
    with capsys.disabled():
        _tell(after, beyond)
    assert beyond < CEILING_MS


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


def _tell(after: dict[str, list[float]], beyond: float) -> None:
    title = f"{INCIDENTS} incidents, one after another; Prometheus answers in {PROMETHEUS_MS} ms"
    table = Table("ms after the POST", "median", "fastest", "slowest", title=title)
    for stage, times in after.items():
        row = (median(times), min(times), max(times))
        table.add_row(stage, *(f"{value:.1f}" for value in row))
    console = Console(width=100)
    console.print()
    console.print(table)
    console.print(
        f"POST to StepStarted beyond Prometheus's answer: {beyond:.1f} ms (aim: under {AIM_MS:.0f})"
    )
