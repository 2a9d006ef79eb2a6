"""A disk without room for the store: the webhook says 503, and all goes on once there is room."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import SETTINGS, Daemon, lay_out
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]
FILE_LIMIT = 512 << 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    argv = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S607 - the PATH's


async def test_a_full_disk_is_503_and_passes(
    small_disk: Path, tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    settings = SETTINGS + "store: disk/stopgap.db\n"
    daemon = make_daemon(lay_out(tmp_path, settings=settings))
    daemon.journal.path = small_disk / "stopgap.db"
    daemon.start()
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"")

    def fill() -> None:
        with ballast.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    with pytest.raises(OSError, match="No space left"):
        fill()
    refused = await _until_refused(http, daemon)
    assert "full" in refused["detail"]
    await until("somebody to be called", lambda: _calls(daemon))
    for again in range(20):
        assert (await _post(http, daemon, f"still-refused-{again}"))[0] == 503
    async with http.get(f"{daemon.url}/-/ready") as answer:
        assert answer.status == 503
    assert _calls(daemon) == ["the disk of Stopgap's store is full"]
    ballast.unlink()
    await _goes_on(http, daemon)


async def test_a_file_that_may_not_grow_is_503_and_passes(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, resource.RLIM_INFINITY))

    daemon = make_daemon(lay_out(tmp_path)).start(limit=limit)
    refused = await _until_refused(http, daemon)
    assert "nothing was acknowledged" in refused["detail"]
    assert daemon.process is not None
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, unlimited)
    await _goes_on(http, daemon)


def _calls(daemon: Daemon) -> list[str]:
    """The titles of the calls about the store."""
    return [page["title"] for page in daemon.logged("PAGE") if page["incident"] == "store"]


async def _post(http: aiohttp.ClientSession, daemon: Daemon, instance: str) -> tuple[int, Any]:
    padding = "x" * 8000
    body = encoded(alert("shop", instance=instance, padding=padding))
    async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def _until_refused(http: aiohttp.ClientSession, daemon: Daemon) -> dict[str, str]:
    """Post until the disk is full, and a little longer; returns the answer of 503."""
    for number in range(1000):
        status, answer = await _post(http, daemon, f"taken-{number}")
        if status != 200:
            break
    for again in range(3):
        status, answer = await _post(http, daemon, f"refused-{again}")
        assert status == 503, answer
    refused: dict[str, str] = answer
    return refused


async def _goes_on(http: aiohttp.ClientSession, daemon: Daemon) -> None:
    """There is room again: new deliveries are taken, and what was taken reaches the incident."""
    acknowledged: set[str] = set()

    async def taken() -> bool:
        status, _ = await _post(http, daemon, f"later-{len(acknowledged)}")
        if status == 200:
            acknowledged.add(f"later-{len(acknowledged)}")
        return len(acknowledged) == 3

    await until("deliveries to be taken again", taken)
    await until("the inbox to be empty", lambda: daemon.journal.unprocessed() == 0, 20)
    told = [a["labels"]["instance"] for _, a in daemon.journal.alerts()]
    assert acknowledged <= set(told)
    assert len(told) == len(set(told))
    assert len(daemon.journal.incidents()) == 1
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.said()
