"""The adapter against the real Prometheus: the doubles of the contract suite do not lie."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.prometheus import Prometheus
from daemon.app import prometheus_for
from daemon.config.settings import Settings
from daemon.core.measurement.flavours import MetricsFlavour
from daemon.core.rules.matchers import Matcher, parse_matcher
from daemon.core.values.outcome import Permanent, Temporary
from daemon.measuring.upstream_alerts import upstream_alerting
from tests.acceptance import servers
from tests.acceptance.waiting import until
from tests.contract.papers import Papers
from tests.contract.test_cli_init import Runs
from tests.contract.test_cli_init import stopgap as stopgap  # a fixture
from tests.doubles.serving import on_loopback

SECOND = timedelta(seconds=1)
PENDING = """
groups:
- name: pay
  interval: 1s
  rules: [{alert: PayFails, expr: vector(1), for: 1h, labels: {service: pay}}]
"""
SELF = """
global: {scrape_interval: 1s}
scrape_configs: [{job_name: self, static_configs: [{targets: [SELF]}]}]
"""


@contextmanager
def asking(url: str, flavour: MetricsFlavour | None = "prometheus") -> Iterator[Prometheus]:
    """The adapter under test."""
    prometheus = Prometheus(url, timeout=5, concurrency=8, flavour=flavour)
    try:
        yield prometheus
    finally:
        prometheus.close()


async def test_the_real_one(tmp_path: Path) -> None:
    with servers.prometheus(tmp_path, SELF) as url, asking(url) as prometheus:

        async def ask(query: str) -> list[tuple[dict[str, str], list[float]]]:
            answer = await prometheus.instant(query, datetime.now(UTC))
            return [(dict(s.labels), [value for _, value in s.samples]) for s in answer.series]

        assert re.fullmatch(r"\d+\.\d+\.\d+.*", await prometheus.version())
        await until("a scrape", lambda: ask("up == 1"))
        assert await ask("vector(1) == 2") == []
        assert await ask("scalar(vector(7))") == [({}, [7.0])]
        assert await ask("vector(1) / 0") == [({}, [math.inf])]
        assert await ask("vector(-1) / 0") == [({}, [-math.inf])]
        assert math.isnan((await ask("vector(0) / 0"))[0][1][0])
        assert len(await ask("prometheus_http_requests_total or up")) > 1
        with pytest.raises(Permanent, match="not Prometheus's format"):
            await ask('"a string"')
        with pytest.raises(Permanent, match="parse error"):
            await ask("sum(((")
        end = datetime.now(UTC)
        with pytest.raises(Permanent, match="exceeded maximum resolution"):
            await prometheus.series("up", end - timedelta(days=9), end, SECOND)
        history = await prometheus.series("vector(1)", end - 3 * SECOND, end, SECOND)
        assert [value for _, value in history.series[0].samples] == [1, 1, 1, 1]
        assert abs(history.series[0].samples[-1][0] - end.timestamp()) < 0.001


async def test_alerts_that_began_since(tmp_path: Path) -> None:
    """The query for alerts of what a rule depends on: pending ones too, and no older ones."""
    began = datetime.now(UTC)
    (tmp_path / "alerts.yml").write_text(PENDING)
    config = SELF + "rule_files: [alerts.yml]\n"
    with servers.prometheus(tmp_path, config) as url, asking(url) as prometheus:
        pay, stock = ([parse_matcher(f"service={name}")] for name in ("pay", "stock"))

        async def alerting(*matchers: list[Matcher], since: datetime = began) -> bool:
            return await upstream_alerting(prometheus, matchers, since, datetime.now(UTC))

        await until("the alert", lambda: alerting(stock, pay))
        assert not await alerting(stock)

        async def was_there_before() -> bool:
            return not await alerting(pay, since=datetime.now(UTC) - SECOND)

        await until("the alert to be an old one", was_there_before)


async def test_the_real_alertmanager_tells_its_version(tmp_path: Path) -> None:
    config = "route: {receiver: none}\nreceivers: [{name: none}]\n"
    with servers.alertmanager(tmp_path, config) as url:
        async with aiohttp.ClientSession() as session:
            found = await Alertmanager(session, url, timeout=5).version()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", found)


class Shop:
    """A scrape target: its counter grows by ten a second."""

    def __init__(self) -> None:
        self.began = time.time()

    async def metrics(self, _: web.Request) -> web.Response:
        count = int((time.time() - self.began) * 10)
        return web.Response(text=f'orders_total{{service="shop"}} {count}\n')

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address."""
        application = web.Application()
        application.router.add_get("/metrics", self.metrics)
        async with on_loopback(application) as address:
            yield address.removeprefix("http://")


async def test_the_real_victoria_metrics(tmp_path: Path) -> None:
    """What it is known by, that its answers are of now, and that a dead target is not fresh."""
    async with AsyncExitStack() as stack:
        shop = Shop()
        target = AsyncExitStack()
        address = await target.enter_async_context(shop.serving())
        stack.push_async_callback(target.aclose)
        config = SELF.replace("self", "shop").replace("SELF", repr(address))
        url = stack.enter_context(servers.victoria_metrics(tmp_path, config))
        prometheus = stack.enter_context(asking(url, None))

        async def ask(query: str) -> list[float]:
            answer = await prometheus.instant(query, datetime.now(UTC))
            return [series.samples[-1][1] for series in answer.series]

        found = await prometheus.server()
        assert (found.flavour, await prometheus.version()) == ("victoriametrics", found.version)
        assert timedelta(0) <= found.repeats <= 32 * SECOND
        await until("scrapes", lambda: ask("count_over_time(orders_total[1m]) > 12"), 40)
        assert await ask("vector(0) / 0") == []
        [newest] = await ask(found.newest("orders_total"))
        assert time.time() - newest < 8
        plainly = await prometheus.newest(plainly=True)
        assert plainly is None or datetime.now(UTC) - plainly > 25 * SECOND

        end = datetime.now(UTC)
        [series] = (await prometheus.series("orders_total", end - 60 * SECOND, end, SECOND)).series
        assert abs(series.samples[-1][0] - end.timestamp()) < 0.002
        # Repeated for half a minute, the newest value would be three hundred less.
        late = (end.timestamp() - shop.began) * 10 - series.samples[-1][1]
        assert late < 80
        [grown] = await ask("increase(orders_total[5s] offset 5s)")
        assert 40 <= grown <= 60
        with pytest.raises(Permanent, match="refused the query"):
            await ask("sum(((")

        await target.aclose()

        async def gone() -> bool:
            return not await ask(found.newest("orders_total"))

        await until("the dead target to be noticed", gone, 20)
        assert await ask("max(timestamp(orders_total))")

        async def down() -> bool:
            return await ask('up{job="shop"}') == [0]

        await until("its `up` to be 0", down)


WEB = """
tls_server_config: {cert_file: server.crt, key_file: server.key}
basic_auth_users: {stopgap: $2b$12$/GX9m/tqdvdDjMid9oQ.YO3ywN6qqFyTFx.iNW6os4eBqxFbF275q}
"""
BEHIND = SELF.replace(
    "job_name: self,",
    "job_name: self, scheme: https, tls_config: {ca_file: ca.crt}, "
    "basic_auth: {username: stopgap, password_file: password},",
)


async def test_one_that_wants_a_password_over_tls_of_an_own_authority(
    tmp_path: Path, stopgap: Runs
) -> None:
    """Its own TLS and basic auth: the client and `stopgap doctor` pass, a stranger does not."""
    papers = Papers(tmp_path)
    papers.authority()
    papers.certified("server")
    (tmp_path / "password").write_text("the-password\n")
    with servers.prometheus(tmp_path, BEHIND, web=WEB) as url:
        known = {
            "url": url,
            "username": "stopgap",
            "password": "file:password",
            "headers": {"X-Scope-OrgID": "shop"},
            "tls": {"ca": "ca.crt"},
        }
        strange = {**known, "username": "somebody"}

        def client(given: dict[str, Any]) -> Prometheus:
            chosen = {"prometheus": given, "base": tmp_path}
            return prometheus_for(Settings.model_validate(chosen), {})

        with closing(client(known)) as prometheus:

            async def scraped() -> bool:
                try:
                    return bool((await prometheus.instant("up == 1", datetime.now(UTC))).series)
                except Temporary:
                    return False  # it is just starting

            await until("a scrape", scraped)
            long = "up{job!~'" + "|".join(f"job-{n}" for n in range(20_000)) + "'}"
            assert (await prometheus.instant(long, datetime.now(UTC))).series
            assert not prometheus.gets
        refused = pytest.raises(Permanent, match=r"401.*does not accept who we are")
        with closing(client(strange)) as prometheus, refused:
            await prometheus.instant("up", datetime.now(UTC))
        (tmp_path / "stopgap.yaml").write_text(json.dumps({"prometheus": known}))
        looked = await asyncio.to_thread(stopgap, tmp_path, "doctor", "--json")
        found = [o for o in json.loads(looked.out)["findings"] if o["check"] == "prometheus"]
        assert {one["state"] for one in found} == {"ok"}, found
        assert "the-password" not in looked.out + looked.err
