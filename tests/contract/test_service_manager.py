"""What systemd is told, over a real datagram socket: a path, or an abstract name."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.adapters.service_manager import ServiceManager
from daemon.app.service import ServiceReport
from daemon.config.settings import Settings
from daemon.watching.liveness import Liveness

UNIT = Path(__file__).parents[2] / "deploy" / "stopgap.service"
_ANALYZE = shutil.which("systemd-analyze")


class _Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """What has come since the last time."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@contextmanager
def _listening(address: str) -> Iterator[_Systemd]:
    systemd = _Systemd(address)
    try:
        yield systemd
    finally:
        systemd.socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[_Systemd]:
    """It listens at a path."""
    with _listening(str(tmp_path / "notify")) as listening:
        yield listening


class _Store:
    def __init__(self) -> None:
        self.seconds = 0.0

    def unanswered(self) -> float:
        return self.seconds


def _report(systemd: _Systemd, fault: list[str], trouble: str = "") -> ServiceReport:
    liveness = Liveness(_Store(), lambda _: "".join(fault))
    return ServiceReport(ServiceManager(systemd.environ), liveness, lambda: 3, lambda: trouble)


def test_each_message_is_as_sd_notify_has_it(systemd: _Systemd) -> None:
    manager = ServiceManager(systemd.environ)
    manager.ready()
    manager.well()
    manager.status("two\nlines  are one")
    manager.stopping(20)
    manager.reloading()
    *plain, reloading = systemd.heard()
    assert plain == [
        "READY=1",
        "WATCHDOG=1",
        "STATUS=two lines are one",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000",
    ]
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading)


def test_an_abstract_socket_does_as_well(tmp_path: Path) -> None:
    with _listening(f"@stopgap-test-{tmp_path.name}") as systemd:
        ServiceManager(systemd.environ).ready()
        assert systemd.heard() == ["READY=1"]


def test_without_systemd_nothing_is_told_and_nothing_fails() -> None:
    manager = ServiceManager({})
    manager.ready()
    assert not manager.listens
    assert manager.watchdog is None


def test_a_socket_that_is_gone_hinders_nothing(tmp_path: Path) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    manager.ready()
    manager.well()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_ours_alone(environ: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager(environ, pid=7).watchdog == seconds


async def test_a_stuck_daemon_gives_no_sign_and_says_why(systemd: _Systemd) -> None:
    fault: list[str] = []
    report = _report(systemd, fault)
    report.look()
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=3 open incidents"]
    report.look()
    assert systemd.heard() == ["WATCHDOG=1"], "the same line is not told again"
    fault.append("the conductor has not gone round")
    report.look()
    assert systemd.heard() == ["STATUS=3 open incidents; the conductor has not gone round"]
    fault.clear()
    report.look()
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=3 open incidents"]


async def test_a_store_in_trouble_is_told_and_no_reason_to_restart(systemd: _Systemd) -> None:
    _report(systemd, [], "the disk of stopgap.db is full").look()
    assert systemd.heard() == [
        "WATCHDOG=1",
        "STATUS=3 open incidents; the disk of stopgap.db is full",
    ]


async def test_a_reload_begins_and_ends(systemd: _Systemd) -> None:
    report = _report(systemd, [])
    with report.reloading():
        (begun,) = systemd.heard()
    assert begun.startswith("RELOADING=1\n")
    assert systemd.heard() == ["READY=1"]


async def test_what_stops_is_not_stuck(systemd: _Systemd) -> None:
    report = _report(systemd, ["its parts have ended"])
    report.stopping(20)
    report.look()
    assert systemd.heard() == [
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000",
        "STATUS=stopping",
        "WATCHDOG=1",
    ]


@pytest.mark.skipif(_ANALYZE is None, reason="systemd is not installed")
def test_the_unit_is_sound(tmp_path: Path) -> None:
    # Its program and user are those of another machine.
    text = UNIT.read_text().replace("/opt/stopgap/bin/stopgap", "/bin/true")
    text = text.replace("#LoadCredential=", "LoadCredential=")
    unit = tmp_path / "stopgap.service"
    unit.write_text(text)
    done = subprocess.run(
        [_ANALYZE or "", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "stopgap.service" in line]
    assert ours == []


def test_the_unit_gives_a_stop_the_time_that_it_may_take() -> None:
    unit = UNIT.read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) > Settings().shutdown.total_seconds()
