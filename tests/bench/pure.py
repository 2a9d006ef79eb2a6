"""What grows with its size: matching with the rules, the fold with the journal, pages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import aiohttp

from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.rules.rule import RuleBook
from tests.acceptance.deliveries import alert, delivery
from tests.acceptance.running import FRESH, TOKEN, Daemon, lay_out
from tests.acceptance.waiting import until
from tests.bench.intake import SETTINGS
from tests.bench.table import THIS, Aim, Row
from tests.core.build import make_rule

FEW, MANY = 10, 5_000
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def matching_row(rules: int, alerts: int) -> Row:
    """What it costs to find the rules of an alert, by how many there are."""
    cost = {}
    for count in (FEW, rules):
        book = RuleBook(
            make_rule(rule=f"rule-{n}", match=[f'alertname="Errors{n % 50}"', f'service="s{n}"'])
            for n in range(count)
        )
        labels = [alert(f"s{n % FEW}", name=f"Errors{n % FEW}")["labels"] for n in range(alerts)]
        cost[count] = _fastest(lambda book=book, labels=labels: [book.find(x) for x in labels])  # type: ignore[misc]
    figures = {THIS: cost[rules] / alerts * 1e6, "floor": cost[FEW] / alerts * 1e6}
    what = f"matching at {rules:,} rules (floor: at {FEW})"
    return Row(what, "µs an alert", figures, (Aim("floor", most=2.0),))


def fold_row(events: int) -> Row:
    """A journal of so many entries, read into an incident."""
    opened = e.IncidentOpened(key="k", rule="", group_labels={}, title="t", team="")
    told: list[e.Event] = [e.Noted(text=f"note {n}") for n in range(events - 1)]
    entries = [
        e.Entry(
            incident="i",
            seq=seq,
            at=BEGIN + timedelta(seconds=seq),
            by="daemon",
            event=event,
            digest="",
        )
        for seq, event in enumerate([opened, *told], 1)
    ]
    took = _fastest(lambda: fold(entries))
    return Row(f"fold of {events:,} events", "ms", {THIS: took * 1000}, (Aim(most=100.0),))


async def page_rows(folder: Path, incidents: int, looks: int) -> list[Row]:
    """The list and one incident's page, while so many are open."""
    daemon = Daemon(lay_out(folder, settings=SETTINGS), FRESH)
    try:
        daemon.start()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            for number in range(incidents):
                body = json.dumps(delivery(alert(f"s{number}"))).encode()
                async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
                    assert answer.status == 200
            opened = lambda: len(daemon.journal.incidents()) == incidents  # noqa: E731
            await until("the incidents", opened, 60)
            one = next(iter(daemon.journal.incidents()))
            rows = []
            for name, path in (("/", "/"), ("an incident's page", f"/incidents/{one}")):
                took = []
                for _ in range(looks):
                    began = time.perf_counter()
                    async with http.get(f"{daemon.url}{path}") as answer:
                        await answer.read()
                        assert answer.status == 200, path
                    took.append(time.perf_counter() - began)
                what = f"{name}, {incidents} incidents open"
                rows.append(Row(what, "ms", {THIS: median(took) * 1000}, (Aim(most=50.0),)))
        daemon.stop()
    finally:
        daemon.drop()
    return rows


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of processor, of the quickest of five times."""
    return min(_times(work))


def _times(work: Callable[[], object]) -> Iterator[float]:
    for _ in range(5):
        began = time.process_time()
        work()
        yield time.process_time() - began
