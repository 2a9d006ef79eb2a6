"""A real daemon with a collector of traces: what arrives there, over HTTP."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import SETTINGS, TOKEN, Daemon, lay_out
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]


def spans_of(bodies: list[bytes]) -> list[Span]:
    """All spans that these requests carry."""
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    resources = [resource for request in requests for resource in request.resource_spans]
    return [span for about in resources for scope in about.scope_spans for span in scope.spans]


async def test_what_is_traced_arrives_and_a_stop_sends_the_rest(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    async with TestServer(application) as collector:
        chosen = f"tracing: {{endpoint: '{collector.make_url('/v1/traces')}'}}\n"
        daemon = make_daemon(lay_out(tmp_path, settings=SETTINGS + chosen)).start()
        async with http.post(f"{daemon.url}/api/v1/alerts", data=encoded(alert())) as answer:
            assert answer.status == 200
        await until("a measurement", lambda: daemon.journal.entries("ProblemDefined"))
        await until("a page", lambda: daemon.journal.entries("PageDelivered"))
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)
        assert await daemon.ended() == 0
    spans = {span.name: span for span in spans_of(bodies)}
    assert {"webhook", "inbox", "incident", "decide", "page", "define", "query"} <= spans.keys()
    assert spans["incident"].links[0].span_id == spans["webhook"].span_id
    assert spans["define"].trace_id == spans["incident"].trace_id
    assert spans["define"].parent_span_id == spans["incident"].span_id
    assert TOKEN.encode() not in b"".join(bodies)
