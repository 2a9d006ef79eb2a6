"""The door of the running daemon: it opens for alerts though others hold it, and over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import re
import resource
import shutil
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import SETTINGS, Daemon, lay_out
from tests.acceptance.waiting import until
from tests.contract.papers import Papers

MakeDaemon = Callable[..., Daemon]
HANDLES = 64
ANEW = {"Connection": "close"}
HALF = b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Le"


def _few_handles() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (HANDLES, HANDLES))


async def test_half_requests_without_end_keep_no_alert_out_and_fill_no_log(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start(limit=_few_handles)
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as stack:
        for number in range(5 * HANDLES):
            half = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            half.sendall(HALF)
            if number % 100 == 0:
                body = encoded(alert(f"shop-{number}"))
                async with http.post(
                    f"{daemon.url}/api/v1/alerts", data=body, headers=ANEW
                ) as answer:
                    assert answer.status == 200
        async with http.get(f"{daemon.url}/metrics", headers=ANEW) as answer:
            said = await answer.text()
    assert 'stopgap_http_connections_dropped_total{reason="room"}' in said
    assert (
        daemon.logged(
            "fewer connections than `connections.max` fit into the limit of file handles"
        )[0]["connections"]
        == HANDLES // 4
    )
    assert len(daemon.logged("connections that waited were closed to make room for others")) == 1
    grave = [x for x in daemon.said().splitlines() if re.search('"level": "(warning|error)"', x)]
    assert len(grave) < 10


async def test_it_serves_https_and_a_renewed_certificate_after_a_signal(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    papers = Papers(tmp_path)
    papers.authority()
    for name in ("server", "renewed"):
        papers.certified(name)
    daemon = make_daemon(
        lay_out(tmp_path, settings=f"{SETTINGS}tls: {{certificate: server.crt, key: server.key}}\n")
    )
    daemon.start()
    url, trusting = daemon.url.replace("http:", "https:"), papers.client()

    address = ("127.0.0.1", int(url.rpartition(":")[2]))

    async def shown() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, address)

    before = await shown()
    body = encoded(alert("over-tls"))
    async with http.post(f"{url}/api/v1/alerts", data=body, ssl=trusting) as answer:
        assert answer.status == 200
    with pytest.raises(aiohttp.ClientError):
        await http.get(f"{url}/-/ready")
    for ending in ("crt", "key"):
        shutil.copy(tmp_path / f"renewed.{ending}", tmp_path / f"server.{ending}")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    await until("the certificate", lambda: daemon.logged("certificate read again"))
    assert await shown() != before


async def test_a_key_that_does_not_fit_is_told_at_the_start(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    papers = Papers(tmp_path)
    papers.authority()
    for name in ("server", "other"):
        papers.certified(name)
    settings = f"{SETTINGS}tls: {{certificate: server.crt, key: other.key}}\n"
    daemon = make_daemon(lay_out(tmp_path, settings=settings))
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "is not the key of `tls.certificate`" in daemon.said()
    assert "Traceback" not in daemon.said()
