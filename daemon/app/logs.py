"""How the daemon logs: one event a line, as JSON for machines or plainly for people."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from daemon.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Set structlog up, on standard error."""
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log.format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, settings.log.level.upper())
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
