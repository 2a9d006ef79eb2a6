"""The systems that the daemon depends on, asked for their version over a real connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.prometheus import Prometheus
from daemon.core.ports.metrics import Peer
from daemon.core.values.outcome import Permanent, Temporary
from tests.doubles.serving import nobody_there

GOOD = {
    "prometheus": {"status": "success", "data": {"version": "3.5.0"}},
    "alertmanager": {"versionInfo": {"version": "0.28.1"}, "cluster": {}},
}
BOTH = pytest.mark.parametrize("name", GOOD)
Answer = Callable[[], web.Response]


@asynccontextmanager
async def peer(name: str, url: str) -> AsyncIterator[Peer]:
    async with aiohttp.ClientSession() as session:
        if name == "alertmanager":
            yield Alertmanager(session, url, 2)
            return
        prometheus = Prometheus(url, 2, 1)
        yield prometheus
        prometheus.close()


@asynccontextmanager
async def answering(name: str, answer: Answer) -> AsyncIterator[Peer]:
    async def handler(request: web.Request) -> web.Response:
        assert request.path in {"/at/api/v1/status/buildinfo", "/at/api/v2/status"}
        return answer()

    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    async with TestServer(application) as server, peer(name, str(server.make_url("/at/"))) as found:
        yield found


@BOTH
async def test_it_tells_its_version(name: str) -> None:
    async with answering(name, lambda: web.json_response(GOOD[name])) as asked:
        assert isinstance(asked, Peer)
        assert await asked.version() in {"3.5.0", "0.28.1"}


@BOTH
async def test_trouble_of_its_own_is_temporary(name: str) -> None:
    async with answering(name, lambda: web.Response(status=503)) as asked:
        with pytest.raises(Temporary, match="answered 503"):
            await asked.version()


@BOTH
@pytest.mark.parametrize("said", [{}, [], {"data": None, "versionInfo": 1}])
async def test_something_else_at_the_address_is_permanent(name: str, said: Any) -> None:
    async with answering(name, lambda: web.json_response(said)) as asked:
        with pytest.raises(Permanent, match="format"):
            await asked.version()


@BOTH
async def test_a_page_is_not_taken_for_it(name: str) -> None:
    async with answering(name, lambda: web.Response(text="<p>", content_type="text/html")) as asked:
        with pytest.raises(Permanent, match="is not"):
            await asked.version()


@BOTH
async def test_nobody_there_is_temporary_and_names_no_password(name: str) -> None:
    with nobody_there() as address, pytest.raises(Temporary, match="cannot be reached") as caught:
        async with peer(name, f"http://user:hunter2@{address}") as asked:
            await asked.version()
    assert "hunter2" not in str(caught.value)


async def test_what_answers_promql_without_being_prometheus_has_no_version() -> None:
    async with answering("prometheus", lambda: web.Response(status=404)) as asked:
        assert await asked.version() == ""
