"""Durable intake beside the durable floor and an earlier build: the same bodies, in one run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.acceptance.deliveries import alert, delivery
from tests.acceptance.running import FRESH, Daemon, lay_out
from tests.acceptance.waiting import wait_until
from tests.bench.servers import cpu_seconds, listening
from tests.bench.table import Aim, Row

HERE = Path(__file__).parent
CONNECTIONS = 32
SETTINGS = 'listen: 127.0.0.1:0\nprometheus: {url: "http://127.0.0.1:9"}\n'
DRAINED_WITHIN = 120
SETTLED_WITHIN = 30
"""Seconds. A build that goes on about open incidents for ever is measured as it is then."""
LEAST_OF_FLOOR, LEAST_OF_BASE, MOST_CPU = 0.75, 4.0, 3.0


@dataclass
class Server:
    """Whatever takes the bodies. Each round adds the bodies a second, and the milliseconds of
    processor that one takes until all were answered and until all were worked off."""

    url: str
    pid: int
    daemon: Daemon | None = None
    rates: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    worked_off: list[float] = field(default_factory=list)

    def takes(self, path: Path, bodies: int) -> None:
        """One round: these bodies, by so many connections."""
        before = cpu_seconds(self.pid)
        ended = subprocess.run(
            [sys.executable, HERE / "load.py", f"{self.url}/api/v1/alerts", path, str(CONNECTIONS)],
            capture_output=True,
            text=True,
            check=True,
        )
        self.rates.append(float(ended.stdout))
        self.answered.append((cpu_seconds(self.pid) - before) / bodies * 1000)
        if self.daemon is not None:
            journal = self.daemon.journal
            wait_until("the inbox", lambda: not journal.unprocessed(), DRAINED_WITHIN)
        self.worked_off.append((cpu_seconds(self.pid) - before) / bodies * 1000)

    def forget(self) -> None:
        """Begin anew: what came before was no measurement."""
        for rounds in (self.rates, self.answered, self.worked_off):
            rounds.clear()


def intake_rows(
    folder: Path, builds: Mapping[str, Path], bodies: int, rounds: int, opened: int
) -> Iterator[Row]:
    """The rows of the table; `opened`: so many incidents are open during the last of them."""
    for alerts in (20, 1, 200):
        count = bodies if alerts <= 20 else max(1, bodies // 8)
        yield from _rows(folder / f"alerts-{alerts}", builds, count, alerts, rounds, 0)
    yield from _rows(folder / "opened", builds, bodies, 20, rounds, opened)


def _rows(
    folder: Path, builds: Mapping[str, Path], bodies: int, alerts: int, rounds: int, opened: int
) -> Iterator[Row]:
    folder.mkdir()
    with ExitStack() as stack:
        servers = {"floor": stack.enter_context(_floor(folder / "floor.log"))}
        for build, tree in builds.items():
            servers[build] = stack.enter_context(_daemon(folder / build, tree))
        for server in servers.values():
            if opened and server.daemon is not None:
                _open(folder / "opening", server, opened)
        for number in range(-1, rounds):  # in turn: a busy moment of the machine meets all of them
            path = _bodies(folder / "bodies", number, bodies, alerts)
            for server in servers.values():
                server.takes(path, bodies)
                if number < 0:  # what is made once is made
                    server.forget()
    what = f"intake, {alerts} alerts a body" + (f", {opened} incidents open" if opened else "")
    aims = (Aim("floor", least=LEAST_OF_FLOOR), Aim("base", least=LEAST_OF_BASE))
    usual = alerts == 20 and not opened
    rates = {name: median(server.rates) for name, server in servers.items()}
    yield Row(what, "bodies a second", rates, aims if usual else ())
    cpu = {name: min(server.answered) for name, server in servers.items()}
    yield Row("  processor until answered", "ms a body", cpu)
    cpu = {name: min(server.worked_off) for name, server in servers.items()}
    yield Row("  processor in all", "ms a body", cpu, (Aim("floor", most=MOST_CPU),))


@contextmanager
def _floor(log: Path) -> Iterator[Server]:
    with listening(lambda port: (sys.executable, HERE / "floor.py", str(port), log)) as (url, pid):
        yield Server(url, pid)


@contextmanager
def _daemon(folder: Path, tree: Path) -> Iterator[Server]:
    daemon = Daemon(lay_out(folder, settings=SETTINGS), FRESH)
    try:
        daemon.start({"PYTHONPATH": str(tree)})
        assert daemon.process is not None
        yield Server(daemon.url, daemon.process.pid, daemon)
        daemon.stop()
    finally:
        daemon.drop()


def _bodies(path: Path, round_: int, bodies: int, alerts: int) -> Path:
    """A file of distinct notifications; each round starts its alerts later."""
    with path.open("w") as file:
        for number in range(bodies):
            started = round_ * bodies + number
            told = [alert("shop", started=started, pod=f"shop-{n}") for n in range(alerts)]
            file.write(json.dumps(delivery(*told)) + "\n")
    return path


def _open(path: Path, server: Server, incidents: int) -> None:
    """So many groups fire, and everybody is called for."""
    assert server.daemon is not None
    with path.open("w") as file:
        for number in range(incidents):
            file.write(json.dumps(delivery(alert(f"s{number}"))) + "\n")
    server.takes(path, incidents)
    journal = server.daemon.journal
    opened = lambda: journal.count("IncidentOpened") >= incidents  # noqa: E731
    wait_until("the incidents", opened, DRAINED_WITHIN)
    before, deadline = -1.0, time.monotonic() + SETTLED_WITHIN
    while cpu_seconds(server.pid) - before > 0.1 and time.monotonic() < deadline:
        before = cpu_seconds(server.pid)
        time.sleep(1)
