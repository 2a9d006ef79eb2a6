"""A shop that is deployed as a folder of releases, the rule that rolls it back, and its daemon.

The shop is no process here: it fails while `current` leads to v2, as far as Prometheus's double
can tell, and its restart command only notes that it ran.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import cache
from pathlib import Path

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.prometheus_double import NEVER, PrometheusDouble, changed_at
from tests.acceptance.running import RULE, SETTINGS, Daemon, lay_out, run_command

SERVICE = "shop"
ALERT = encoded(alert(SERVICE))
ROLLBACK = """
changes:
  releases: {directory: shop}
recover:
  - action: release_rollback
    with: {directory: shop, restart: [./restart, shop]}
    when: suspect_change
    approval: automatic
verify: {settle: 100ms, hold: 1s, near_baseline: 1%, traffic: 30%, watch: 1s}
"""
RESTART = """#!/bin/sh
echo "began $(readlink shop/current)" >> restarts
while [ -e hold ]; do sleep 0.02; done
echo "ended $(readlink shop/current)" >> restarts
"""


@cache
def approvals() -> str:
    """What `stopgap approve` writes for the rollback; the same in every folder, so done once."""
    with tempfile.TemporaryDirectory() as name:
        folder = _laid_out(Path(name), "http://127.0.0.1:9")
        run_command(folder, "approve", "service-errors", "--step", "1", "--by", "ada")
        return (folder / "rules/approvals.yaml").read_text()


def _laid_out(folder: Path, prometheus: str) -> Path:
    lay_out(
        folder,
        settings=SETTINGS.replace("http://127.0.0.1:9", prometheus)
        + "commands: {allow: [[./restart, shop]]}\n",
        rules=RULE + ROLLBACK,
        more={"restart": RESTART, "shop/releases/v1/x": "", "shop/releases/v2/x": ""},
    )
    (folder / "restart").chmod(0o755)
    return folder


class Shop:
    """The shop in `folder`, which becomes the folder of a daemon too."""

    def __init__(self, folder: Path, prometheus: PrometheusDouble) -> None:
        self.folder = folder
        self.prometheus = prometheus
        _laid_out(folder, prometheus.url)
        (folder / "rules/approvals.yaml").write_text(approvals())
        self._link("v1", 3600)

    def deploys_v2(self) -> None:
        """v2 goes live, and fails from then on until v1 is back."""
        self._link("v2", 2)
        self.prometheus.breaks(SERVICE, ago=2, over=self._mended_at)

    def _mended_at(self) -> float:
        """When v1 went live again."""
        return changed_at(self.folder / "shop/current") if self.live() == "v1" else NEVER

    def live(self) -> str:
        """The release that `current` leads to."""
        return (self.folder / "shop/current").resolve().name

    def restarts(self) -> list[str]:
        """What the restart command has noted."""
        path = self.folder / "restarts"
        return path.read_text().splitlines() if path.exists() else []

    def held(self) -> Path:
        """A file; while it is there, the restart command does not end."""
        return self.folder / "hold"

    def saw_v1(self, daemon: Daemon) -> bool:
        """Whether the daemon knows that v1 was live."""
        return any(line["item"] == "v1" for line in daemon.logged("change seen"))

    def _link(self, release: str, ago: float) -> None:
        fresh = self.folder / "shop/current.new"
        fresh.symlink_to(Path("releases") / release)
        at = time.time() - ago
        os.utime(fresh, (at, at), follow_symlinks=False)
        fresh.replace(self.folder / "shop/current")
