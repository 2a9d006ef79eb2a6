"""Traces: what the SDK's adapter makes of spans, and how it is switched on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from daemon.adapters import tracing
from daemon.adapters.tracing import Tracing
from daemon.app.tracing import tracer_for
from daemon.config.settings import Settings, TracingSettings
from daemon.core.values.outcome import Permanent
from daemon.instrumentation import UNTRACED

TREE = Path(__file__).resolve().parents[2]


class Traced:
    """A tracer and what it has kept."""

    def __init__(self, sample: float = 1.0) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer = Tracing(SimpleSpanProcessor(self._exporter), sample, "1.2.3")

    def spans(self) -> dict[str, ReadableSpan]:
        """By name."""
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def traced() -> Traced:
    return Traced()


def delivers(traced: Traced, delivery: str, outcome: str = "stored") -> None:
    """A webhook came."""
    with traced.tracer.webhook(delivery) as said:
        said["stopgap.outcome"] = outcome


class TestIds:
    def test_two_daemons_give_the_same_incident_the_same_trace(self) -> None:
        first, second = Traced(), Traced()
        for traced in (first, second):
            delivers(traced, "d1")
            traced.tracer.opened("i1", ["d1"], {})
        for name in ("webhook", "incident"):
            assert first.spans()[name].context == second.spans()[name].context

    def test_incidents_and_deliveries_have_traces_of_their_own(self, traced: Traced) -> None:
        delivers(traced, "x")
        traced.tracer.opened("x", ["x", "y"], {"stopgap.rule": "r"})
        webhook, opened = traced.spans()["webhook"], traced.spans()["incident"]
        assert webhook.context.trace_id != opened.context.trace_id
        assert opened.links[0].context.trace_id == webhook.context.trace_id
        assert opened.links[0].context.span_id == webhook.context.span_id
        assert len(opened.links) == 2
        assert opened.attributes == {"stopgap.incident": "x", "stopgap.rule": "r"}

    @pytest.mark.parametrize("outcome", ["duplicate", ""])
    def test_what_was_not_stored_does_not_pose_as_what_was(
        self, traced: Traced, outcome: str
    ) -> None:
        delivers(traced, "d1")
        first = traced.spans()["webhook"].context
        delivers(traced, "d1", outcome)
        assert traced.spans()["webhook"].context.trace_id != first.trace_id

    def test_the_webhooks_span_has_its_length_and_kind(self, traced: Traced) -> None:
        delivers(traced, "d1")
        span = traced.spans()["webhook"]
        assert span.kind is SpanKind.SERVER
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


class TestSpans:
    def test_a_span_lies_in_the_one_under_way_and_else_under_its_incident(
        self, traced: Traced
    ) -> None:
        traced.tracer.opened("i1", [], {})
        with traced.tracer.span("define", {"a": 1}, incident="i1") as said:
            said["b"] = "later"
            with traced.tracer.span("query"):
                pass
        spans = traced.spans()
        define, query = spans["define"], spans["query"]
        assert define.parent is not None
        assert define.parent.span_id == spans["incident"].context.span_id
        assert query.parent is not None
        assert query.parent.span_id == define.context.span_id
        assert define.attributes == {"a": 1, "b": "later", "stopgap.incident": "i1"}

    def test_an_exception_passes_and_leaves_its_type_alone(self, traced: Traced) -> None:
        with pytest.raises(ValueError, match="hunter2"), traced.tracer.span("define"):
            raise ValueError("the password is hunter2")
        with pytest.raises(ValueError, match="hunter2"), traced.tracer.webhook("d1"):
            raise ValueError("the password is hunter2")
        for span in traced.spans().values():
            assert span.status.status_code is StatusCode.ERROR
            assert dict(span.attributes or {})["error.type"] == "ValueError"
            assert "hunter2" not in span.to_json()

    def test_the_resource_names_the_service(self, traced: Traced) -> None:
        delivers(traced, "d1")
        about = traced.spans()["webhook"].resource.attributes
        assert (about["service.name"], about["service.version"]) == ("stopgap", "1.2.3")

    def test_an_incident_is_traced_whole_or_not_at_all(self) -> None:
        some = Traced(sample=0.5)
        again = Traced(sample=0.5)
        kept = []
        for number in range(40):
            name = f"i{number}"
            some.tracer.opened(name, [], {})
            with again.tracer.span(name, incident=name):
                pass
            kept.append("incident" in some.spans())
            some._exporter.clear()
            assert (name in again.spans()) == kept[-1]
        assert 0 < sum(kept) < 40


# ── switching it on ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def collector() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A place that takes OTLP over HTTP."""
    sent: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        sent.append(await request.read())
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    async with TestServer(application) as server:
        yield str(server.make_url("/v1/traces")), sent


async def test_what_was_traced_is_sent_at_the_end_at_the_latest(
    collector: tuple[str, list[bytes]],
) -> None:
    url, sent = collector
    settings = Settings(tracing=TracingSettings(endpoint=url))
    async with tracer_for(settings, "1.2.3") as tracer:
        with tracer.span("define", incident="1124-0200-abcd"):
            pass
    body = b"".join(sent)
    assert b"define" in body
    assert b"1124-0200-abcd" in body
    assert b"stopgap" in body


async def test_a_collector_that_never_answers_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "LAST_SECONDS", 0.05)
    held = threading.Event()

    class Stuck(InMemorySpanExporter):
        def shutdown(self) -> None:
            held.wait(10)

    traced = Tracing(SimpleSpanProcessor(Stuck()), 1.0, "1.2.3")
    await traced.close()
    assert not held.is_set()
    held.set()


async def test_without_an_endpoint_there_is_nothing() -> None:
    async with tracer_for(Settings(), "1.2.3") as tracer:
        assert tracer is UNTRACED
        with tracer.span("define", {"a": 1}, incident="i1") as said:
            said["b"] = 2


async def test_without_opentelemetry_the_mend_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "daemon.adapters.tracing")
    settings = Settings(tracing=TracingSettings(endpoint="http://127.0.0.1:4318/v1/traces"))
    with pytest.raises(Permanent, match=r"pip install 'stopgap\[otel\]'"):
        async with tracer_for(settings, "1.2.3"):
            pass


def test_nobody_pays_for_it_who_does_not_use_it() -> None:
    script = (
        "import sys, daemon.app; sys.exit(any(m.startswith('opentelemetry') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=TREE, check=False).returncode == 0
