"""The real daemon as a real process, `stopgap run`, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.forked import Forked
from tests.acceptance.journal import JournalFile
from tests.acceptance.waiting import until, wait_until
from tests.loopback import IN_ENVIRONMENT

TREE = Path(__file__).resolve().parents[2]
STARTED: list[Daemon] = []
"""Every daemon that was made and not yet dropped; a failed test shows what they said."""
TOKEN = "ada's own"
READY_WITHIN = 20
END_WITHIN = 60

SETTINGS = """
listen: 127.0.0.1:0
prometheus: {url: "http://127.0.0.1:9", timeout: 1s, max_age: 10s}
recovery: {budget: 1000, cooldown: 10m}
log: {format: json, level: info}
"""
ROSTER = """
people:
  ada: {name: Ada, token: env:STOPGAP_ADA_TOKEN, contact: [{console: true}]}
teams:
  shop: {owners: [ada], lead: ada, policy: shop}
policies:
  shop: {tiers: [{notify: [ada], wait: 10m}]}
default_policy: shop
"""
RULE = """
rule: service-errors
match: ['alertname="ErrorsHigh"']
group_by: [service]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(errors_total{service="$service"}[$window]))
  total: sum(increase(requests_total{service="$service"}[$window]))
  windows: [1s, 3s]
  baseline: 1m
  confirm: {drop: 2%, traffic: 60/m}
"""


def lay_out(
    folder: Path, *, settings: str = SETTINGS, rules: str = RULE, more: Mapping[str, str] = {}
) -> Path:
    """Write stopgap.yaml, the roster and one rule file; `more` maps further paths to texts."""
    texts = {"stopgap.yaml": settings, "rules/roster.yaml": ROSTER, "rules/rule.yaml": rules}
    for name, text in {**texts, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


FRESH = ("-m", "daemon")
"""The program of a daemon in an interpreter of its own, as its users start it."""


class Daemon:
    """One daemon in `folder`, which `lay_out` has prepared. `start` may be called again.

    `program`: what the interpreter runs; None: forked, with its imports done (`Forked`).
    """

    def __init__(self, folder: Path, program: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.program = program
        self.journal = JournalFile(folder / "stopgap.db")
        self.log = folder / "daemon.log"
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.url = ""
        self._said_before = 0
        STARTED.append(self)

    def start(
        self,
        env: Mapping[str, str] | None = None,
        limit: Callable[[], None] | None = None,
        program: Sequence[str] | None = None,
        more: Sequence[str] = (),
    ) -> Daemon:
        """Start it, and wait until it listens. `more` are further options of `run`."""
        self.spawn(env, limit, program, more)
        wait_until("the daemon to listen", self._listens, READY_WITHIN)
        return self

    def spawn(
        self,
        env: Mapping[str, str] | None = None,
        limit: Callable[[], None] | None = None,
        program: Sequence[str] | None = None,
        more: Sequence[str] = (),
    ) -> subprocess.Popen[bytes] | Forked:
        """Start it and wait for nothing. `limit` is called in the child before it runs."""
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        arguments = ["run", "-c", "stopgap.yaml", *more]
        surroundings = {**environment(), **(env or {})}
        program = program or self.program
        if program is None and limit is None:
            self.process = Forked(arguments, self.folder, surroundings, self.log)
            return self.process
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(program or FRESH), *arguments],
                cwd=self.folder,
                env=surroundings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=limit,
            )
        return self.process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and wait for its end; returns its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(END_WITHIN)

    async def ended(self) -> int:
        """Wait until it ends by itself; returns its exit code."""
        assert self.process is not None
        process = self.process
        await until("the daemon to end", lambda: process.poll() is not None, END_WITHIN)
        return process.wait()

    def said(self) -> str:
        """What it has written since its latest start."""
        return self.log.read_bytes()[self._said_before :].decode(errors="replace")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log since the latest start that say that."""
        lines = (line for line in self.said().splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line.get("event") == event]

    def drop(self) -> None:
        """Make sure that it does not run any more."""
        STARTED.remove(self)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _listens(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}: {self.said()}")
        listening = self.logged("listening")  # read once: it may be written at this moment
        for line in listening:
            self.url = "http://{}:{}".format(*line["address"])
        return bool(listening)


def run_command(folder: Path, *arguments: str) -> str:
    """Run `stopgap` with these arguments in the folder; returns what it says."""
    with tempfile.TemporaryDirectory() as kept:
        said, errors = Path(kept, "said"), Path(kept, "errors")
        code = Forked(arguments, folder, environment(), said, errors).wait(END_WITHIN)
        told = said.read_text()
        assert code == 0, told + errors.read_text()
    return told


def environment() -> dict[str, str]:
    """The environment of a daemon: ours, without the settings of another Stopgap."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("STOPGAP_")}
    return {**inherited, **IN_ENVIRONMENT, "PYTHONPATH": str(TREE), "STOPGAP_ADA_TOKEN": TOKEN}
