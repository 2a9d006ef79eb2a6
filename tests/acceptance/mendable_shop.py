"""A shop that fails until its `mend` has run, and the daemon over it that people look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.prometheus_double import PrometheusDouble, changed_at
from tests.acceptance.running import RULE, SETTINGS, Daemon, lay_out

BO = "bo's own"
ROSTER = """
people:
  ada: {name: Ada, token: env:STOPGAP_ADA_TOKEN, contact: [{console: true}]}
  bo: {name: Bo, token: env:STOPGAP_BO_TOKEN, contact: [{console: true}]}
teams:
  shop: {owners: [ada], lead: bo, policy: shop}
policies:
  shop: {tiers: [{notify: [ada], wait: 10m}]}
default_policy: shop
channels: {room: {console: true}}
audiences: {responders: {channels: [room], send: one_tap}}
"""
PLAN = """
  severity: {sev1: 50%, sev2: 5%}
recover:
  - {action: run_command, with: {argv: [./mend], target: shop}}
  - {action: run_command, with: {argv: [./mend, again], target: shop}}
verify: {settle: 100ms, hold: 1s, near_baseline: 1%, traffic: 30%, watch: 1s}
"""
ALERT = encoded(alert("shop"))


class MendableShop:
    """A daemon over a shop that fails until its `mend` has run."""

    def __init__(self, folder: Path, daemon: Daemon, prometheus: PrometheusDouble) -> None:
        self.folder = folder
        self.daemon = daemon
        self.prometheus = prometheus

    async def breaks(self, http: aiohttp.ClientSession, service: str = "shop") -> None:
        """It begins to fail, and Alertmanager says so."""
        self.prometheus.breaks(service, over=lambda: changed_at(self.folder / "mended"))
        body = encoded(alert(service))
        async with http.post(f"{self.daemon.url}/api/v1/alerts", data=body) as answer:
            assert answer.status == 200


@asynccontextmanager
async def a_mendable_shop(
    folder: Path, make_daemon: Callable[..., Daemon]
) -> AsyncIterator[MendableShop]:
    """The daemon runs, and nothing is broken yet."""
    async with PrometheusDouble().serving() as prometheus:
        lay_out(
            folder,
            settings=SETTINGS.replace("http://127.0.0.1:9", prometheus.url)
            + "commands: {allow: [[./mend], [./mend, again]]}\n",
            rules=RULE + PLAN,
            more={"rules/roster.yaml": ROSTER, "mend": "#!/bin/sh\ntouch mended\n"},
        )
        (folder / "mend").chmod(0o755)
        daemon = make_daemon(folder)
        daemon.start({"STOPGAP_BO_TOKEN": BO})
        yield MendableShop(folder, daemon, prometheus)
