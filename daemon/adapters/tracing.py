"""Traces through OpenTelemetry's SDK: `daemon.instrumentation.Tracer`. Needs `stopgap[otel]`.

Each delivery has a trace and each incident has one, for a delivery can concern many incidents
and an incident hears of many deliveries. The first span of an incident's trace is linked with
those of the webhooks that opened it; everything done for it later, up to the action, lies under
that span. Inbox and journal lie between, and perhaps a restart: so the ids of both first spans
are made of the delivery's and the incident's own ids, and nothing has to be stored to find them
again. The sampler decides by the trace's id alone, so it decides the same after a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Literal

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from daemon.adapters.outgoing.pinned_requests import PinnedAdapter
from daemon.core.values.outgoing import SCHEMES, OutgoingPolicy

_Attributes = dict[str, str | int | float | bool]
_INCIDENT = "stopgap.incident"
LAST_SECONDS = 2.0
"""How long the end of the daemon waits for the collector."""
_chosen: ContextVar[SpanContext | None] = ContextVar("stopgap-span-ids", default=None)


def otlp(endpoint: str, outgoing: OutgoingPolicy) -> SpanProcessor:
    """Sends spans in batches, from a thread of its own, to an OTLP/HTTP endpoint: where `outgoing`
    lets it be, or on this machine if the settings say so literally."""
    session, policy = requests.Session(), outgoing.at("tracing").trusting(endpoint)
    for scheme in SCHEMES:
        session.mount(f"{scheme}://", PinnedAdapter(policy))
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, session=session))


class _Ids(RandomIdGenerator):
    """Random, but for spans whose ids are chosen."""

    def generate_span_id(self) -> int:
        chosen = _chosen.get()
        return super().generate_span_id() if chosen is None else chosen.span_id

    def generate_trace_id(self) -> int:
        chosen = _chosen.get()
        return super().generate_trace_id() if chosen is None else chosen.trace_id


class Tracing:
    """The spans of one daemon. `sample`: the share of traces that are kept, 0…1."""

    def __init__(self, processor: SpanProcessor, sample: float, version: str) -> None:
        about = {"service.name": "stopgap", "service.version": version}
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(sample),
            resource=Resource.create(about),
            id_generator=_Ids(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("stopgap", version)

    async def close(self) -> None:
        """Send what waits, and end; a collector that is away delays a stop by little."""
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="traces-close", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await done.wait()

    @contextmanager
    def webhook(self, delivery: str) -> Iterator[_Attributes]:
        """The first span of a delivery's trace. What was not stored as new never leads to an
        incident: it gets a trace with ids of no meaning."""
        attributes: _Attributes = {}
        began = time.time_ns()
        failure: BaseException | None = None
        try:
            yield attributes
        except BaseException as error:
            failure = error
            raise
        finally:
            # Made at its end, when it is known whether the delivery was new.
            stored = attributes.get("stopgap.outcome") == "stored"
            ids = _first_of("delivery", delivery) if stored else None
            span = self._first("webhook", ids, attributes, kind=SpanKind.SERVER, start=began)
            _mark(span, failure)
            span.end()

    def opened(self, incident: str, deliveries: Sequence[str], attributes: _Attributes) -> None:
        """The first span of an incident's trace; it has no length, for others come after it."""
        links = [Link(_first_of("delivery", delivery)) for delivery in deliveries]
        ids = _first_of("incident", incident)
        self._first("incident", ids, {_INCIDENT: incident, **attributes}, links=links).end()

    @contextmanager
    def span(
        self,
        name: str,
        attributes: _Attributes | None = None,
        *,
        delivery: str = "",
        incident: str = "",
    ) -> Iterator[_Attributes]:
        """A span; failed by an exception's type, for its text may hold anything."""
        merged: _Attributes = {**(attributes or {}), **({_INCIDENT: incident} if incident else {})}
        span = self._tracer.start_span(name, self._context(delivery, incident))
        failure: BaseException | None = None
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                yield merged
            except BaseException as error:
                failure = error
                raise
            finally:
                span.set_attributes(merged)
                _mark(span, failure)
                span.end()

    def _context(self, delivery: str, incident: str) -> Context | None:
        """None is the span under way."""
        if trace.get_current_span().get_span_context().is_valid:
            return None
        if delivery:
            return _under(_first_of("delivery", delivery))
        return _under(_first_of("incident", incident)) if incident else None

    def _first(
        self,
        name: str,
        ids: SpanContext | None,
        attributes: _Attributes,
        *,
        links: Sequence[Link] = (),
        kind: SpanKind = SpanKind.INTERNAL,
        start: int | None = None,
    ) -> Span:
        before = _chosen.set(ids)
        try:
            return self._tracer.start_span(
                name, Context(), kind=kind, attributes=attributes, links=links, start_time=start
            )
        finally:
            _chosen.reset(before)


def _first_of(kind: Literal["delivery", "incident"], name: str) -> SpanContext:
    """The ids of the first span of a trace, made of what it is about."""
    digest = hashlib.sha256(f"stopgap/{kind}/{name}".encode()).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16]),
        span_id=int.from_bytes(digest[16:24]),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _under(parent: SpanContext) -> Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


def _mark(span: Span, failure: BaseException | None) -> None:
    if failure is not None:
        span.set_attribute("error.type", type(failure).__name__)
        span.set_status(Status(StatusCode.ERROR))
