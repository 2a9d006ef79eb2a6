"""Which server answers PromQL, and that each is asked as it needs to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from daemon.adapters.prometheus import Prometheus
from daemon.adapters.prometheus_errors import query_refusal
from daemon.core.measurement.flavours import MetricsFlavour
from daemon.core.ports.metrics import DescribedMetrics
from daemon.core.values.outcome import Permanent, Temporary
from tests.doubles.promql_servers import (
    BUILD,
    PromqlServer,
    ThanosServer,
    VictoriaMetricsServer,
    cortex,
    mimir,
)

SECOND = timedelta(seconds=1)


@contextmanager
def asking(url: str, flavour: MetricsFlavour | None = None) -> Iterator[Prometheus]:
    """The adapter under test."""
    prometheus = Prometheus(url, 5, 8, flavour=flavour)
    try:
        yield prometheus
    finally:
        prometheus.close()


def only_version(server: PromqlServer) -> PromqlServer:
    """As newer VictoriaMetrics tell it, behind a gateway that hands on no headers of theirs."""
    server.build, server.headers = {"version": "2.24.0"}, {}
    return server


class TestWhichItIs:
    """Found out by asking."""

    @pytest.mark.parametrize(
        ("server", "flavour", "told"),
        [
            (PromqlServer(), "prometheus", "version 2.53.3"),
            (PromqlServer(version="3.5.3"), "prometheus", "version 3.5.3"),
            (VictoriaMetricsServer(), "victoriametrics", "X-Server-Hostname"),
            (only_version(VictoriaMetricsServer()), "victoriametrics", "MetricsQL"),
            (mimir(), "mimir", "Grafana Mimir"),
            (ThanosServer(), "thanos", "version 0.36.1"),
            (ThanosServer(build={}), "thanos", "/api/v1/stores"),
            (cortex(), "cortex", "version 1.18.1"),
            (PromqlServer(build=[]), "prometheus", "does not tell"),
        ],
    )
    async def test_each_is_known(
        self, server: PromqlServer, flavour: MetricsFlavour, told: str
    ) -> None:
        async with server.serving():
            with asking(server.url) as prometheus:
                found = await prometheus.server()
        assert isinstance(prometheus, DescribedMetrics)
        assert found.flavour == flavour
        assert told in found.told_by

    async def test_it_is_asked_once_and_then_only_queries_are(self) -> None:
        async with PromqlServer().serving() as server:
            with asking(server.url) as prometheus:
                for _ in range(3):
                    await prometheus.instant("x", datetime.now(UTC))
        assert server.paths() == [BUILD, *["/api/v1/query"] * 3]

    async def test_a_flavour_that_is_set_is_not_asked_for(self) -> None:
        async with PromqlServer().serving() as server:
            with asking(server.url, "prometheus") as prometheus:
                await prometheus.instant("x", datetime.now(UTC))
        assert server.paths() == ["/api/v1/query"]

    async def test_after_a_lost_connection_only_another_version_is_looked_at_anew(self) -> None:
        server = PromqlServer()
        port = unused_port()
        now = datetime.now(UTC)
        with asking(f"http://127.0.0.1:{port}") as prometheus:
            with pytest.raises(Temporary, match="cannot be reached"):
                await prometheus.instant("x", now)
            async with server.serving(port):
                await prometheus.instant("x", now)
            with pytest.raises(Temporary, match="cannot be reached"):
                await prometheus.instant("x", now)
            async with server.serving(port):
                await prometheus.instant("x", now)
            assert server.paths() == [BUILD, "/api/v1/query"] * 2
            with pytest.raises(Temporary, match="cannot be reached"):
                await prometheus.instant("x", now)
            async with ThanosServer().serving(port):
                assert (await prometheus.server()).flavour == "thanos"

    async def test_who_cannot_tell_now_is_asked_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("daemon.adapters.prometheus_flavour._AGAIN_SECONDS", 0)
        server = ThanosServer()
        with monkeypatch.context() as starting:
            starting.setattr(server, "answer", lambda path, form: (503, {"error": "starting"}))
            async with server.serving():
                with asking(server.url) as prometheus:
                    assert (await prometheus.server()).told_by == "it does not tell what it is"
                    starting.undo()
                    assert (await prometheus.server()).flavour == "thanos"


class TestVictoriaMetrics:
    """Its answers lag; asked rightly they do not."""

    async def test_an_instant_answer_is_of_now(self) -> None:
        async with VictoriaMetricsServer().serving() as server:
            with asking(server.url) as prometheus:
                now = datetime.now(UTC)
                [series] = (await prometheus.instant("x", now)).series
                plainly = await prometheus.newest(plainly=True)
                ours = await prometheus.newest(plainly=False)
        assert series.samples[-1][1] == pytest.approx(now.timestamp(), abs=0.01)
        assert plainly is not None
        assert ours is not None
        assert ours - plainly > 29 * SECOND

    @pytest.mark.parametrize(("offset", "repeats"), [(30.0, 31), (12.0, 13), (0.0, 0)])
    async def test_the_lag_of_ranges_is_measured(self, offset: float, repeats: int) -> None:
        async with VictoriaMetricsServer(offset=offset).serving() as server:
            with asking(server.url) as prometheus:
                found = await prometheus.server()
        assert abs(found.repeats.total_seconds() - repeats) <= 1

    @pytest.mark.parametrize(("points", "step"), [(9, 5), (100, 5), (20, 1), (4, 2.5), (300, 15)])
    @pytest.mark.parametrize("newer", [False, True])
    async def test_a_range_has_its_newest_values_on_the_grid_that_was_asked_for(
        self, points: int, step: float, newer: bool
    ) -> None:
        async with VictoriaMetricsServer(newer=newer).serving() as server:
            with asking(server.url) as prometheus:
                await prometheus.server()
                server.asked.clear()
                end, apart = datetime.now(UTC), timedelta(seconds=step)
                answer = await prometheus.series("x", end - points * apart, end, apart)
        [series] = answer.series
        expected = [(end - (points - n) * apart).timestamp() for n in range(points + 1)]
        assert [at for at, _ in series.samples] == pytest.approx(expected, abs=0.002)
        assert [value for _, value in series.samples] == pytest.approx(expected, abs=0.002)
        assert all(form["nocache"] == "1" for _, form in server.asked)
        assert len(server.asked) == 1 if newer else len(server.asked) <= 42

    async def test_a_mistake_in_a_query_is_permanent(self) -> None:
        async with VictoriaMetricsServer().serving() as server:
            with (
                asking(server.url) as prometheus,
                pytest.raises(Permanent, match="refused the query: 422: unexpected token"),
            ):
                await prometheus.instant("(", datetime.now(UTC))

    async def test_it_is_reachable_though_it_tells_no_version(self) -> None:
        async with VictoriaMetricsServer().serving() as server:
            with asking(server.url) as prometheus:
                assert await prometheus.version() == ""
                assert (await prometheus.server()).title == "VictoriaMetrics"

    async def test_what_a_part_of_a_cluster_could_not_read_is_partial(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = VictoriaMetricsServer()
        whole = server.instant
        monkeypatch.setattr(
            server, "instant", lambda form: (200, {**whole(form)[1], "isPartial": True})
        )
        async with server.serving():
            with asking(server.url) as prometheus:
                answer = await prometheus.instant("x", datetime.now(UTC))
        [warning] = answer.warnings
        assert "isPartial" in warning


class TestOthers:
    """By their documentation."""

    async def test_thanos_may_not_leave_out_a_store(self) -> None:
        async with ThanosServer(away=True).serving() as server:
            with asking(server.url) as prometheus, pytest.raises(Temporary, match="store-1"):
                await prometheus.instant("x", datetime.now(UTC))
        assert server.asked[-1][1]["partial_response"] == "false"

    async def test_what_it_leaves_out_all_the_same_is_partial(self) -> None:
        async with ThanosServer(away=True).serving() as server:
            with asking(server.url, "prometheus") as prometheus:
                answer = await prometheus.instant("x", datetime.now(UTC))
        [warning] = answer.warnings
        assert "store-1" in warning

    @pytest.mark.parametrize("made", [mimir, cortex])
    async def test_how_far_it_is_behind_is_measured(self, made: Any) -> None:
        async with made(scraped_ago=17.0).serving() as server:
            with asking(server.url) as prometheus:
                found = await prometheus.server()
        assert abs(found.behind - 18 * SECOND) <= SECOND

    async def test_an_outage_is_no_lag(self) -> None:
        async with mimir(scraped_ago=900.0).serving() as server:
            with asking(server.url) as prometheus:
                assert (await prometheus.server()).behind == timedelta(minutes=2)

    async def test_without_its_prefix_the_address_is_wrong(self) -> None:
        async with mimir().serving() as server:
            with (
                asking(server.url.removesuffix("/prometheus")) as prometheus,
                pytest.raises(Permanent, match=r"under …/prometheus"),
            ):
                await prometheus.instant("x", datetime.now(UTC))

    async def test_without_a_tenant_it_says_which_header_is_missing(self) -> None:
        async with mimir(tenant=True).serving() as server:
            with asking(server.url) as prometheus, pytest.raises(Permanent, match="X-Scope-OrgID"):
                await prometheus.instant("x", datetime.now(UTC))


class TestRefusals:
    """What waited too long, or met somebody who is away, is asked again; a mistake is not."""

    @pytest.mark.parametrize(
        ("status", "kind", "text"),
        [
            (503, "timeout", "query timed out in expression evaluation"),
            (422, "execution", "query timed out in query queue"),
            (400, "bad_data", "query timed out in query queue"),
            (422, "422", "timeout exceeded before starting the query processing"),
            (422, "execution", "expanding series: context deadline exceeded"),
            (422, "execution", "proxy Series(): rpc error: code = Unavailable desc = away"),
            (429, "too_many_requests", "too many outstanding requests"),
            (503, "", "couldn't start executing the request in 10.000 seconds"),
            (422, "canceled", "query was canceled"),
        ],
    )
    def test_temporary(self, status: int, kind: str, text: str) -> None:
        body = f'{{"status":"error","errorType":"{kind}","error":"{text}"}}'.encode()
        found = query_refusal(status, body, "http://metrics")
        assert isinstance(found, Temporary)
        assert "http://metrics" in str(found)
        assert text in str(found)

    @pytest.mark.parametrize(
        ("status", "kind", "text"),
        [
            (400, "bad_data", "parse error: unexpected )"),
            (422, "execution", "query processing would load too many samples into memory"),
            (422, "422", "unexpected token"),
            (422, "execution", "found duplicate series for the match group"),
        ],
    )
    def test_permanent(self, status: int, kind: str, text: str) -> None:
        body = f'{{"status":"error","errorType":"{kind}","error":"{text}"}}'.encode()
        found = query_refusal(status, body, "http://metrics")
        assert isinstance(found, Permanent)
        assert text in str(found)

    def test_what_is_no_json_is_told_as_it_is(self) -> None:
        assert "gateway" in str(query_refusal(502, b"<h1>Bad gateway</h1>", "http://metrics"))
