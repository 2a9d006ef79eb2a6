"""What the adapter makes of Prometheus: of every kind of answer, and of none."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from time import perf_counter
from typing import Any

import pytest
from aiohttp import web

from daemon.adapters.http_access import HttpAccess
from daemon.adapters.prometheus import Prometheus
from daemon.core.measurement.query_result import Unmeasurable, one_number
from daemon.core.values.outcome import Permanent, Temporary
from tests.acceptance.prometheus_double import PrometheusDouble, matrix, vector
from tests.acceptance.waiting import until

NOW = datetime(2026, 3, 1, 14, 3, 20, 123456, tzinfo=UTC)
TOKEN = "the-bearer-token-itself"
PASSWORD = "the-password-itself"
QUERY = 'sum(rate(requests_total{service="shop"}[1m]))'
SECOND = timedelta(seconds=1)


@pytest.fixture
async def double() -> AsyncIterator[PrometheusDouble]:
    async with PrometheusDouble().serving() as serving:
        yield serving


@contextmanager
def asking(url: str, timeout: float = 60.0, concurrency: int = 4) -> Iterator[Prometheus]:
    """The adapter under test, with a token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    prometheus = Prometheus(HttpAccess(url, headers=headers), timeout, concurrency)
    try:
        yield prometheus
    finally:
        prometheus.close()


def answers(
    double: PrometheusDouble, content: Any, status: int = 200, kind: str = "application/json"
) -> None:
    """The double answers everything with that."""
    text = content if isinstance(content, str) else json.dumps(content)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, content_type=kind)

    double.instead = handler


def sample(value: str, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [1767225600.5, value]}


class TestAnswers:
    """What is an answer, and which."""

    async def test_the_value_of_a_series_with_its_labels(self, double: PrometheusDouble) -> None:
        answers(double, vector(sample("12.5", service="shop")))
        with asking(double.url) as prometheus:
            answer = await prometheus.instant(QUERY, NOW)
        (series,) = answer.series
        assert (answer.query, series.labels) == (QUERY, {"service": "shop"})
        assert series.samples == [(1767225600.5, 12.5)]

    async def test_the_head_and_the_form_of_a_query_are_sent_at_once(
        self, double: PrometheusDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers(double, vector(sample("12.5")))
        sent: list[bytes] = []
        send = HTTPConnection.send

        def recorded(connection: HTTPConnection, data: bytes) -> None:
            sent.append(data)
            send(connection, data)

        monkeypatch.setattr(HTTPConnection, "send", recorded)
        with asking(double.url) as prometheus:
            for _ in range(2):  # the second by the connection of the first
                await prometheus.instant("up", NOW)
        assert len(sent) == 2
        assert all(one.startswith(b"POST ") and b"\r\n\r\nquery=up&" in one for one in sent)

    async def test_nothing(self, double: PrometheusDouble) -> None:
        answers(double, vector())
        with asking(double.url) as prometheus:
            assert (await prometheus.instant(QUERY, NOW)).series == []

    async def test_several_series_are_all_there(self, double: PrometheusDouble) -> None:
        answers(double, vector(*(sample(str(n), pod=f"p{n}") for n in range(3))))
        with asking(double.url) as prometheus:
            answer = await prometheus.instant(QUERY, NOW)
        assert [s.samples[0][1] for s in answer.series] == [0, 1, 2]
        assert [s.labels for s in answer.series] == [{"pod": f"p{n}"} for n in range(3)]

    @pytest.mark.parametrize(("text", "value"), [("+Inf", math.inf), ("-Inf", -math.inf)])
    async def test_infinity(self, double: PrometheusDouble, text: str, value: float) -> None:
        answers(double, vector(sample(text)))
        with asking(double.url) as prometheus:
            assert (await prometheus.instant(QUERY, NOW)).series[0].samples[0][1] == value

    async def test_not_a_number(self, double: PrometheusDouble) -> None:
        answers(double, vector(sample("NaN")))
        with asking(double.url) as prometheus:
            assert math.isnan((await prometheus.instant(QUERY, NOW)).series[0].samples[0][1])

    @pytest.mark.parametrize("kind", ["histogram", "histograms"])
    async def test_a_native_histogram_is_refused_by_name_and_with_the_mend(
        self, double: PrometheusDouble, kind: str
    ) -> None:
        """As Prometheus 3.5 answers of a histogram without classic buckets."""
        body = {"count": "3", "sum": "0.5", "buckets": [[0, "0.1", "0.2", "3"]]}
        sampled: Any = [1767225600.5, body] if kind == "histogram" else [[1767225600.5, body]]
        found = {"metric": {"__name__": "latency_seconds", "job": "shop"}, kind: sampled}
        whole = vector if kind == "histogram" else matrix
        answers(double, whole(sample("1"), found) if kind == "histogram" else whole(found))
        with asking(double.url) as prometheus:
            with pytest.raises(Permanent, match=r"^latency_seconds is a native histogram,") as told:
                await prometheus.instant("latency_seconds", NOW)
            assert "histogram_quantile(0.99, …)" in str(told.value)
            assert "histogram_count(…)" in str(told.value)
            found["metric"] = {"job": "shop"}
            answers(double, whole(found))
            with pytest.raises(Permanent, match=r"the answer to rate\(latency\[1m\]\) is a native"):
                await prometheus.series("rate(latency[1m])", NOW, NOW, SECOND)

    @pytest.mark.parametrize(
        ("said", "hint"),
        [
            ('1:2: parse error: unexpected string "\\"a.b\\"" in label matching, expected', True),
            ('1:9: parse error: unexpected string "\\"a.b\\"" in grouping opts, expected', True),
            ('1:9: parse error: unexpected string "\\"a.b\\""', False),
            ("1:9: parse error: unexpected identifier in label matching", False),
        ],
    )
    async def test_who_does_not_know_quoted_names_is_told_to_be_too_old(
        self, double: PrometheusDouble, said: str, hint: bool
    ) -> None:
        refusal = {"status": "error", "errorType": "bad_data", "error": said}
        answers(double, refusal, status=400)
        with asking(double.url) as prometheus, pytest.raises(Permanent) as told:
            await prometheus.instant('{"a.b"="x"}', NOW)
        assert ("from 3.0 on" in str(told.value)) == hint

    async def test_a_scalar_is_one_series_without_labels(self, double: PrometheusDouble) -> None:
        data = {"resultType": "scalar", "result": [1767225600.5, "3"]}
        answers(double, {"status": "success", "data": data})
        with asking(double.url) as prometheus:
            (series,) = (await prometheus.instant("scalar(up)", NOW)).series
        assert (series.labels, series.samples) == ({}, [(1767225600.5, 3.0)])

    async def test_warnings_come_with_the_answer_they_belong_to(
        self, double: PrometheusDouble
    ) -> None:
        async def handler(request: web.Request) -> web.Response:
            query = str((await request.post())["query"])
            partial = {"warnings": ["a store is away"]} if query == "partial" else {}
            return web.json_response(vector(sample("1"), **partial))

        double.instead = handler
        with asking(double.url, concurrency=2) as prometheus:
            queries = [QUERY, "partial"] * 10
            got = await asyncio.gather(*(prometheus.instant(query, NOW) for query in queries))
        assert [answer.warnings for answer in got] == [(), ("a store is away",)] * 10

    async def test_a_warning_of_another_shape_is_one_too(self, double: PrometheusDouble) -> None:
        answers(double, vector(sample("1"), warnings={"store": "away"}))
        with asking(double.url) as prometheus:
            assert len((await prometheus.instant(QUERY, NOW)).warnings) == 1

    @pytest.mark.parametrize(
        "said",
        [
            {"warnings": ["PromQL info: metric might not be a counter: x"]},  # 2.53
            {"infos": ["PromQL info: metric might not be a counter: x"]},  # 3.x
        ],
    )
    async def test_a_hint_about_the_query_is_no_warning(
        self, double: PrometheusDouble, said: dict[str, list[str]]
    ) -> None:
        answers(double, vector(sample("7"), **said))
        with asking(double.url) as prometheus:
            answer = await prometheus.instant(QUERY, NOW)
        assert answer.warnings == ()
        assert answer.hints == ("PromQL info: metric might not be a counter: x",)
        assert one_number(answer) == 7

    async def test_what_else_is_warned_of_is_partial_whatever_hints_are_beside_it(
        self, double: PrometheusDouble
    ) -> None:
        other = "PromQL warning: encountered a mix of histograms and floats"
        answers(double, vector(sample("7"), warnings=["PromQL info: fixed", other]))
        with asking(double.url) as prometheus:
            answer = await prometheus.instant(QUERY, NOW)
        assert (answer.warnings, answer.hints) == ((other,), ("PromQL info: fixed",))
        with pytest.raises(Unmeasurable, match="partial"):
            one_number(answer)

    async def test_a_history_oldest_first(self, double: PrometheusDouble) -> None:
        answers(double, matrix({"metric": {}, "values": [[1, "1"], [2, "NaN"], [3, "3"]]}))
        with asking(double.url) as prometheus:
            answer = await prometheus.series(QUERY, NOW - 2 * SECOND, NOW, SECOND)
        assert [at for at, _ in answer.series[0].samples] == [1, 2, 3]

    async def test_the_question_is_asked_to_the_millisecond_with_the_token(
        self, double: PrometheusDouble
    ) -> None:
        answers(double, vector())
        with asking(double.url + "/") as prometheus:
            await prometheus.instant(QUERY, NOW)
            await prometheus.series(QUERY, NOW - timedelta(minutes=1), NOW, SECOND / 4)
        instant, history = double.asked
        assert (instant.path, history.path) == ("/api/v1/query", "/api/v1/query_range")
        assert instant.method == history.method == "POST"
        assert not instant.query_string
        assert not history.query_string
        assert dict(await instant.post()) == {"query": QUERY, "time": f"{NOW.timestamp():.3f}"}
        assert dict(await history.post()) == {
            "query": QUERY,
            "start": f"{NOW.timestamp() - 60:.3f}",
            "end": f"{NOW.timestamp():.3f}",
            "step": "0.250",
        }
        assert instant.headers["Authorization"] == f"Bearer {TOKEN}"


REFUSED = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected )"}


class TestFailures:
    """What is worth another try, what is not, and what is never said."""

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    async def test_a_server_in_trouble_is_temporary(
        self, double: PrometheusDouble, status: int
    ) -> None:
        answers(double, "out of memory", status, "text/plain")
        with asking(double.url) as prometheus, pytest.raises(Temporary, match=str(status)):
            await prometheus.instant(QUERY, NOW)
        assert len(double.asked) == 1, "the conductor tries again, not the library"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
    async def test_a_refusal_is_permanent_and_tells_why(
        self, double: PrometheusDouble, status: int
    ) -> None:
        answers(double, REFUSED, status)
        with asking(double.url) as prometheus, pytest.raises(Permanent, match="unexpected"):
            await prometheus.instant(QUERY, NOW)

    @pytest.mark.parametrize(
        "content",
        [
            "<html><body>Please log in</body></html>",
            "",
            "{",
            "[]",
            "null",
            '"text"',
            "17",
            {"status": "success"},
            {"status": "success", "data": None},
            {"status": "success", "data": {}},
            {"status": "success", "data": {"result": None}},
            {"status": "success", "data": {"result": 7}},
            {"status": "success", "data": {"result": {"a": 1}}},
            {"status": "success", "data": {"resultType": "string", "result": [1, "text"]}},
            vector({"metric": {}}),
            vector({"value": [1, "1"]}),
            vector({"metric": None, "value": [1, "1"]}),
            vector({"metric": {}, "value": [1]}),
            vector({"metric": {}, "value": [1, "one"]}),
        ],
        ids=lambda content: (content if isinstance(content, str) else json.dumps(content))[-40:],
    )
    @pytest.mark.parametrize("kind", ["application/json", "text/html"])
    async def test_another_format_is_permanent_and_says_where(
        self, double: PrometheusDouble, content: Any, kind: str
    ) -> None:
        answers(double, content, kind=kind)
        with asking(double.url) as prometheus:
            with pytest.raises(Permanent, match=f"the answer of {double.url} is not Prometheus"):
                await prometheus.instant(QUERY, NOW)
            with pytest.raises(Permanent, match="is the address right"):
                await prometheus.series(QUERY, NOW - SECOND, NOW, SECOND)

    async def test_nobody_there_is_temporary(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            url = f"http://127.0.0.1:{gone.getsockname()[1]}"
        with asking(url) as prometheus, pytest.raises(Temporary, match="cannot be reached"):
            await prometheus.instant(QUERY, NOW)

    async def test_a_connection_that_breaks_off_is_temporary(
        self, double: PrometheusDouble
    ) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"status": "suc')
            assert request.transport is not None
            request.transport.close()
            return response

        double.instead = handler
        with asking(double.url) as prometheus, pytest.raises(Temporary):
            await prometheus.instant(QUERY, NOW)

    async def test_slower_than_the_deadline_is_a_timeout_at_the_deadline(
        self, double: PrometheusDouble
    ) -> None:
        double.delay = 5.0
        begin = perf_counter()
        with asking(double.url, timeout=0.2) as prometheus, pytest.raises(TimeoutError):
            await prometheus.instant(QUERY, NOW)
        assert perf_counter() - begin < 2

    async def test_an_answer_that_trickles_is_a_timeout_too(self, double: PrometheusDouble) -> None:
        going = True

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while going:
                await response.write(b" ")
                await asyncio.sleep(0.05)
            return response

        double.instead = handler
        begin = perf_counter()
        with asking(double.url, timeout=0.3) as prometheus, pytest.raises(TimeoutError):
            await prometheus.instant(QUERY, NOW)
        going = False
        assert perf_counter() - begin < 2

    async def test_waiting_for_a_free_thread_counts_into_the_deadline(
        self, double: PrometheusDouble
    ) -> None:
        ends = asyncio.Event()

        async def first_alone(_: web.Request) -> web.Response:
            if len(double.asked) > 1:
                await ends.wait()
            return web.json_response(vector())

        double.instead = first_alone
        with asking(double.url, timeout=2.0, concurrency=1) as prometheus:
            asked = [prometheus.instant(QUERY, NOW) for _ in range(3)]
            got = await asyncio.gather(*asked, return_exceptions=True)
        ends.set()
        assert [isinstance(one, TimeoutError) for one in got] == [False, True, True]

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 500])
    async def test_no_secret_is_in_any_error(self, double: PrometheusDouble, status: int) -> None:
        async def handler(request: web.Request) -> web.Response:
            headers = {"Location": f"http://127.0.0.1:9/{TOKEN}"} if status == 302 else {}
            text = f"debug: {dict(request.headers)}"
            return web.Response(text=text, status=status, headers=headers)

        double.instead = handler
        with asking(double.url) as prometheus:
            said = await _said(prometheus)
        with asking(double.url.replace("//", f"//me:{PASSWORD}@")) as prometheus:
            said += await _said(prometheus)
        with asking(f"http://me:{PASSWORD}@127.0.0.1:9") as prometheus:
            said += await _said(prometheus)
        assert "127.0.0.1" in said
        assert TOKEN not in said
        assert PASSWORD not in said


async def _said(prometheus: Prometheus) -> str:
    """Everything that a log could show of the failure of a query."""
    with pytest.raises((Temporary, Permanent)) as caught:
        await prometheus.instant(QUERY, NOW)
    return str(caught.value) + "".join(traceback.format_exception(caught.value, chain=True))


async def test_closing_gives_up_what_waits(double: PrometheusDouble) -> None:
    double.delay = 0.3
    with asking(double.url, timeout=2, concurrency=1) as prometheus:
        running = asyncio.create_task(prometheus.instant(QUERY, NOW))
        waiting = asyncio.create_task(prometheus.instant(QUERY, NOW))
        await until("a question", lambda: double.asked)
    await asyncio.wait([running, waiting], timeout=1)
    assert waiting.cancelled() or waiting.exception() is not None
    assert running.done()
    assert len(double.asked) == 1
