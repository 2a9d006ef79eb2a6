"""The daemon as a process: when it refuses to start, how it stops, what a signal does."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.prometheus_double import PrometheusDouble
from tests.acceptance.running import RULE, SETTINGS, Daemon, lay_out
from tests.acceptance.shop import ALERT, Shop
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop with v1 live."""
    async with PrometheusDouble().serving() as prometheus:
        yield Shop(tmp_path, prometheus)


async def _post(http: aiohttp.ClientSession, daemon: Daemon, body: bytes) -> int:
    async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
        return answer.status


async def _refuses(daemon: Daemon) -> str:
    """Start a daemon that must not start; returns the last line it says."""
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "Traceback" not in daemon.said()
    return daemon.said()


async def test_a_second_daemon_on_the_same_database_refuses_to_start(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    first = make_daemon(lay_out(tmp_path)).start()
    second = make_daemon(tmp_path)
    second.log = tmp_path / "second.log"
    said = await _refuses(second)
    assert first.process is not None
    assert f"in use by another daemon, process {first.process.pid}" in said
    assert await _post(http, first, encoded(alert())) == 200


async def test_a_daemon_starts_at_once_after_another_was_killed(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert daemon.stop() == 0


async def test_a_port_in_use_is_said_and_nothing_is_started(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = SETTINGS.replace("127.0.0.1:0", address)
        said = await _refuses(make_daemon(lay_out(tmp_path, settings=settings)))
    assert f"cannot listen on {address}: " in said
    assert "Address already in use" in said
    assert "`listen` in stopgap.yaml" in said


@pytest.mark.parametrize(
    ("broken", "line", "mend"),
    [
        (RULE.replace("sum(increase(errors", "sum(increase((errors"), 8, "not PromQL"),
        (RULE.replace("team: shop", "team: sjop"), 5, "no team 'sjop'"),
        (RULE + "recover: [{action: reboot}]\n", 13, "no action 'reboot'"),
        (RULE.replace("windows: [1s, 3s]", "windows: [1s, 3s"), 11, ""),
    ],
)
async def test_a_broken_rule_file_is_located_and_nothing_is_started(
    tmp_path: Path, make_daemon: MakeDaemon, broken: str, line: int, mend: str
) -> None:
    said = await _refuses(make_daemon(lay_out(tmp_path, rules=broken)))
    assert f"rules/rule.yaml:{line}:" in said
    assert mend in said


async def test_settings_that_make_no_sense_are_located(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    settings = SETTINGS + "inbox: {max_pending: many}\n"
    assert "stopgap.yaml:6:" in await _refuses(make_daemon(lay_out(tmp_path, settings=settings)))


async def test_a_damaged_database_is_refused_and_left_alone(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    lay_out(tmp_path)
    damaged = b"not a database at all, " * 1000
    (tmp_path / "stopgap.db").write_bytes(damaged)
    assert "is damaged or no SQLite database" in await _refuses(make_daemon(tmp_path))
    assert (tmp_path / "stopgap.db").read_bytes() == damaged


async def test_sigterm_lets_a_running_action_finish_and_journals_it(
    shop: Shop, http: aiohttp.ClientSession, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(shop.folder).start()
    await until("the daemon to see v1", lambda: shop.saw_v1(daemon))
    shop.deploys_v2()
    shop.held().touch()
    assert await _post(http, daemon, ALERT) == 200
    await until("the restart to begin", shop.restarts)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGTERM)
    await until(
        "it to wait", lambda: daemon.logged("waiting for actions, pages and updates to end")
    )
    with pytest.raises(aiohttp.ClientConnectionError):
        await _post(http, daemon, encoded(alert("too-late")))
    assert daemon.process.poll() is None
    assert not daemon.journal.entries("StepFinished")
    shop.held().unlink()
    assert await daemon.ended() == 0
    (finished,) = daemon.journal.entries("StepFinished")
    assert finished.event["outcome"]["reason"] == "rolled_back"
    assert shop.restarts() == ["began releases/v1", "ended releases/v1"]
    assert not daemon.journal.entries("StepVerified")
    daemon.start()
    await until("the review", lambda: daemon.journal.entries("ReviewWritten"), 20)
    assert len(daemon.journal.entries("StepStarted")) == 1
    assert daemon.stop() == 0


async def test_a_stop_is_over_by_its_deadline_whatever_hangs(
    shop: Shop, http: aiohttp.ClientSession, make_daemon: MakeDaemon
) -> None:
    settings = shop.folder / "stopgap.yaml"
    settings.write_text(settings.read_text() + "shutdown: 2s\n")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(shop.folder / "notify"))
    told.settimeout(60)
    daemon = make_daemon(shop.folder).start({"NOTIFY_SOCKET": str(shop.folder / "notify")})
    with closing(told):
        assert told.recv(100) == b"READY=1"
        await until("the daemon to see v1", lambda: shop.saw_v1(daemon))
        shop.deploys_v2()
        shop.held().touch()
        assert await _post(http, daemon, ALERT) == 200
        await until("the restart to begin", shop.restarts)
        address = daemon.url.removeprefix("http://").split(":")
        with closing(socket.create_connection((address[0], int(address[1])))) as endless:
            endless.sendall(b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            began = time.monotonic()
            assert daemon.stop() == 0
            took = time.monotonic() - began
        messages = _rest(told)
    assert took > 1, "the action had its share"
    [deadline] = re.findall(r"STOPPING=1\nEXTEND_TIMEOUT_USEC=(\d+)", messages)
    assert int(deadline) <= 2_000_000, "microseconds, and nothing has more"
    assert "WATCHDOG=1" in messages
    assert daemon.logged("stopped")
    shop.held().unlink()
    daemon.start()
    await until("the outcome", lambda: daemon.journal.entries("StepFinished"), 20)


def _rest(told: socket.socket) -> str:
    told.setblocking(False)
    messages = []
    while True:
        try:
            messages.append(told.recv(1000).decode())
        except BlockingIOError:
            return "\n".join(messages)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_an_idle_daemon_in_order(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession, number: signal.Signals
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    assert await _post(http, daemon, encoded(alert())) == 200
    await until("an incident", daemon.journal.incidents)
    assert daemon.stop(number) == 0
    assert daemon.logged("stopped")
    assert "Traceback" not in daemon.said()


async def test_sighup_with_broken_rules_keeps_the_old_ones_and_with_sound_ones_takes_them(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    assert daemon.process is not None
    rule = tmp_path / "rules/rule.yaml"
    rule.write_text(RULE.replace("windows", "widows"))
    daemon.process.send_signal(signal.SIGHUP)
    refused = "the old rules stay in force: the new ones are broken"
    await until("the refusal", lambda: daemon.logged(refused))
    assert "rule.yaml:10:" in daemon.logged(refused)[0]["error"]
    assert await _post(http, daemon, encoded(alert("by-the-old"))) == 200
    await until("an incident", lambda: "service-errors" in _rules(daemon))

    rule.write_text(RULE.replace("rule: service-errors", "rule: renamed"))
    daemon.process.send_signal(signal.SIGHUP)
    await until("the reload", lambda: daemon.logged("rules reloaded"))
    assert await _post(http, daemon, encoded(alert("by-the-new"))) == 200
    await until("an incident", lambda: "renamed" in _rules(daemon))
    assert daemon.stop() == 0


def _rules(daemon: Daemon) -> list[str]:
    return [opened.event["rule"] for opened in daemon.journal.entries("IncidentOpened")]
