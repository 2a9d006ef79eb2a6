"""Alertmanager cuts a notification short (`max_alerts`); the rest is read from its own API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp
import pytest

from tests.acceptance.running import SETTINGS, Daemon, lay_out
from tests.acceptance.servers import alertmanager
from tests.acceptance.waiting import until

CONFIG = """
route:
  receiver: nobody
  group_by: [service]
  group_wait: 0s
  group_interval: 1s
  routes:
    - {matchers: ['to="stopgap"'], receiver: stopgap}
    - {matchers: ['to="others"'], receiver: stopgap.too}
receivers:
  - name: nobody
  - name: stopgap.too
  - name: stopgap
    webhook_configs: [{url: "STOPGAP/api/v1/alerts", max_alerts: 1}]
"""
ALERTS = 5


class Both(NamedTuple):
    """A daemon, and the Alertmanager that posts to it."""

    daemon: Daemon
    alertmanager: str


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The daemon has to know Alertmanager's address, and the other way round: so the daemon is
    started twice, on the same port."""
    folder = lay_out(tmp_path_factory.mktemp("truncated"))
    daemon = Daemon(folder).start()
    listen = daemon.url.removeprefix("http://")
    daemon.stop()
    with alertmanager(folder / "alertmanager", CONFIG.replace("STOPGAP", daemon.url)) as url:
        settings = SETTINGS.replace("127.0.0.1:0", listen) + f"alertmanager: {{url: {url}}}\n"
        lay_out(folder, settings=settings)
        yield Both(daemon.start(), url)
        daemon.drop()


@pytest.mark.parametrize(
    "service", ["plain", 'quo"te', "back\\slash", "two\nlines", "tab\tbed", "Bücher 漢字", "{a=~b}"]
)
async def test_what_was_cut_off_is_completed(
    http: aiohttp.ClientSession, both: Both, service: str
) -> None:
    await _fire(http, both, service)
    alerts, incomplete = await until("all alerts", lambda: _complete(both.daemon, service))
    assert alerts == {f"{service}-stopgap-{number}" for number in range(ALERTS)}
    assert not incomplete


async def test_alerts_that_went_to_other_receivers_are_left_to_them(
    http: aiohttp.ClientSession, both: Both
) -> None:
    await _fire(http, both, "shared", to="others")
    await _fire(http, both, "shared")
    alerts, _ = await until("all alerts", lambda: _complete(both.daemon, "shared"))
    assert alerts == {f"shared-stopgap-{number}" for number in range(ALERTS)}


async def _fire(
    http: aiohttp.ClientSession, both: Both, service: str, *, to: str = "stopgap"
) -> None:
    alerts = [
        {
            "labels": {
                "alertname": "ErrorsHigh",
                "service": service,
                "to": to,
                "instance": f"{service}-{to}-{number}",
            },
            "startsAt": datetime.now(UTC).isoformat(),
        }
        for number in range(ALERTS)
    ]
    async with http.post(f"{both.alertmanager}/api/v2/alerts", json=alerts) as answer:
        assert answer.status == 200, await answer.text()


def _complete(daemon: Daemon, service: str) -> tuple[set[str], bool] | None:
    """The instances that the incident of that service knows, once it knows enough of them."""
    for opened in daemon.journal.entries("IncidentOpened"):
        if opened.event["group_labels"] != {"service": service}:
            continue
        told = daemon.journal.entries("AlertsReceived", opened.incident)
        alerts = {a["labels"]["instance"] for entry in told for a in entry.event["alerts"]}
        incomplete = told[-1].event["incomplete"]
        return (alerts, incomplete) if len(alerts) >= ALERTS and not incomplete else None
    return None
