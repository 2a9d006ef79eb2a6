"""Durable intake against a bare handler: the same bodies, the same client, in one run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.deliveries import alert, delivery
from tests.acceptance.running import FRESH, Daemon, lay_out
from tests.acceptance.waiting import wait_until

pytestmark = pytest.mark.bench

HERE = Path(__file__).parent
BODIES = 3000
ALERTS = 20
CONNECTIONS = 32
AIM = 0.6
FLOOR = 0.08
"""Below this something is wrong, however slow and busy the machine."""


@pytest.fixture
def bare() -> Iterator[str]:
    """The yardstick, running."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(HERE / "bare.py"), str(port)])
    wait_until("the bare handler", lambda: not _refused(port))
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """The daemon, running, with an inbox that takes all of it."""
    settings = 'listen: 127.0.0.1:0\nprometheus: {url: "http://127.0.0.1:9"}\n'
    running = Daemon(lay_out(tmp_path, settings=settings), FRESH)
    running.start()
    yield running
    running.stop()
    running.drop()


def _refused(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) != 0


def _bodies(path: Path, round_: int) -> Path:
    """A file of distinct notifications; each round starts its alerts later."""
    with path.open("w") as file:
        for number in range(BODIES):
            started = round_ * BODIES + number
            alerts = [alert("shop", started=started, pod=f"shop-{n}") for n in range(ALERTS)]
            file.write(json.dumps(delivery(*alerts)) + "\n")
    return path


def _rate(url: str, bodies: Path) -> float:
    ended = subprocess.run(
        [sys.executable, str(HERE / "load.py"), url, str(bodies), str(CONNECTIONS)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ended.stdout)


def test_durable_intake_keeps_up_with_a_bare_handler(
    bare: str, daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = []
    for round_ in range(3):
        bodies = _bodies(tmp_path / "bodies", round_)
        yardstick = _rate(f"{bare}/api/v1/alerts", bodies)
        durable = _rate(f"{daemon.url}/api/v1/alerts", bodies)
        rounds.append((yardstick, durable, durable / yardstick))
    with capsys.disabled():
        print(f"\n{BODIES} bodies of {ALERTS} alerts, {CONNECTIONS} connections")  # noqa: T201
        for yardstick, durable, ratio in rounds:
            print(  # noqa: T201
                f"  bare {yardstick:7.0f}/s   durable {durable:7.0f}/s   "
                f"ratio {ratio:.2f} (aim {AIM})"
            )
    assert max(ratio for _, _, ratio in rounds) >= FLOOR
