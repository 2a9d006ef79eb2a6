"""The dossier on a real Prometheus: it names the guilty customer among 220, and nobody where all
customers fail alike."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance import servers
from tests.acceptance.conftest import MakeDaemon
from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import RULE, SETTINGS, TOKEN, Daemon, lay_out
from tests.acceptance.waiting import until

CONFIG = "global: {scrape_interval: 15s}\nscrape_configs: []\n"
CUSTOMERS, SCRAPE, MINUTES, ONSET = 220, 30, 50, 8
"""Counters in all, seconds between two samples, minutes of history, and minutes since the onset."""
GUILTY = "c2"
COUNTED = """
problem:
  symptom: success rate
  bad: sum(increase(shop_requests_total{service="$service",code=~"5.."}[$window]))
  total: sum(increase(shop_requests_total{service="$service"}[$window]))
  windows: [90s, 5m]
  baseline: 40m
  confirm: {drop: 1%, traffic: 60/m}
"""


def history(now: float) -> Iterator[str]:
    """The counters of two services as OpenMetrics: one customer of `shop` fails, and all of
    `cart` do."""
    chance = random.Random(7)  # noqa: S311 - a draw, no secret
    count = MINUTES * 60 // SCRAPE
    yield "# TYPE shop_requests counter\n"
    for service in ("shop", "cart"):
        for number in range(CUSTOMERS):
            events = max(4, round(180 / (number + 4)))
            labels = (
                f'service="{service}",customer="c{number}",zone="eu-1{"abc"[number % 3]}",'
                f'instance="10.0.0.{number % 20}"'
            )
            good = bad = 0
            lines: dict[str, list[str]] = {"200": [], "500": []}
            for index in range(count):
                at = now - (count - 1 - index) * SCRAPE
                broken = at > now - ONSET * 60 and (service == "cart" or f"c{number}" == GUILTY)
                share = (0.9 if service == "shop" else 0.2) if broken else 0.002
                for _ in range(events):
                    if chance.random() < share:
                        bad += 1
                    else:
                        good += 1
                lines["200"].append(f'shop_requests_total{{{labels},code="200"}} {good} {at:.3f}\n')
                lines["500"].append(f'shop_requests_total{{{labels},code="500"}} {bad} {at:.3f}\n')
            yield from lines["200"] + lines["500"]
    yield "# EOF\n"


def filled(folder: Path) -> Path:
    """A Prometheus's folder with that history in it."""
    folder.mkdir(parents=True)
    text = folder / "history.txt"
    with text.open("w") as file:
        file.writelines(history(float(int(time.time()))))
    promtool = servers.processes.program("PROMTOOL_BIN", "promtool")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


async def dossier_of(http: aiohttp.ClientSession, daemon: Daemon, service: str) -> dict[str, Any]:
    """What was gathered for the incident of that service."""
    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def gathered() -> Any:
        async with http.get(f"{daemon.url}/api/v1/incidents", headers=headers) as answer:
            rows = (await answer.json())["incidents"]
        for row in rows:
            if row["service"] == service:
                path = f"{daemon.url}/api/v1/incidents/{row['id']}/diagnosis"
                async with http.get(path, headers=headers) as answer:
                    found = await answer.json()
                    return found if found["dossier"] else None
        return None

    found: dict[str, Any] = await until(f"the dossier of {service}", gathered, 30)
    return found


async def test_the_guilty_customer_is_named_and_no_other(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    rule = RULE.partition("problem:")[0] + COUNTED.lstrip()
    with servers.prometheus(filled(tmp_path / "prometheus"), CONFIG) as url:
        settings = SETTINGS.replace("http://127.0.0.1:9", url).replace(
            "max_age: 10s", "max_age: 5m"
        )
        home = lay_out(tmp_path / "home", settings=settings, rules=rule)
        daemon = make_daemon(home).start()
        for service in ("shop", "cart"):
            sent = encoded(alert(service))
            async with http.post(f"{daemon.url}/api/v1/alerts", data=sent) as answer:
                assert answer.status == 200, await answer.text()
        shop, cart = [await dossier_of(http, daemon, name) for name in ("shop", "cart")]
        kinds = {finding["kind"]: finding for finding in reversed(shop["dossier"]["findings"])}
        best = kinds["contribution"]
        assert best["subject"] == f"customer={GUILTY}", shop
        assert best["numbers"]["explained"] > 0.9
        assert best["numbers"]["values"] >= 200
        assert best["query"].startswith("sum by (customer) (increase(shop_requests_total{")
        assert min(level for level in best["curve"]["own"] if level is not None) < 0.3
        assert min(level for level in best["curve"]["rest"] if level is not None) > 0.97
        assert kinds["failure_kind"]["subject"] == "code=500"
        (supposed,) = shop["diagnosis"]["hypotheses"]
        assert supposed["text"] == f"the fault is at customer={GUILTY}"
        told = {finding["kind"]: finding["text"] for finding in cart["dossier"]["findings"]}
        assert "contribution" not in told, cart
        assert told["nothing_stands_out"].startswith("no label value stands out"), cart
        assert cart["diagnosis"]["hypotheses"] == []
        assert shop["dossier"]["queries"] <= 60
        assert daemon.stop() == 0
