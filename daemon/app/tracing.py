"""Traces, where the settings ask for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.config.settings import Settings
from daemon.core.values.outcome import Permanent
from daemon.instrumentation import UNTRACED, Tracer


def require_tracing(settings: Settings) -> None:
    """Raises Permanent if OpenTelemetry is wanted and not installed."""
    if settings.tracing.endpoint is None:
        return
    try:
        import daemon.adapters.tracing  # noqa: F401
    except ImportError as error:
        raise Permanent(
            f"`tracing.endpoint` is set, but OpenTelemetry is not installed ({error.name}); "
            "pip install 'stopgap[otel]', or take the setting out"
        ) from None


@asynccontextmanager
async def tracer_for(settings: Settings, version: str) -> AsyncIterator[Tracer]:
    """The tracer of the settings, which sends what is left at its end.

    Raises Permanent if OpenTelemetry is wanted and not installed.
    """
    chosen = settings.tracing
    if chosen.endpoint is None:
        yield UNTRACED
        return
    require_tracing(settings)
    from daemon.adapters.tracing import Tracing, otlp

    tracing = Tracing(otlp(chosen.endpoint, settings.outgoing.policy), chosen.sample, version)
    try:
        yield tracing
    finally:
        await tracing.close()
