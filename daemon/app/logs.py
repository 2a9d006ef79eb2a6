"""How the daemon logs: one event a line, as JSON for machines or plainly for people.

The lines of libraries go the same way. As the last defence, whatever a line holds is looked over
for secrets: values under names like `token`, credentials in addresses, tokens of signed links.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from aiohttp.client_exceptions import ClientConnectionResetError
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, Processor

from daemon.config.settings import Settings
from daemon.web.seldom import Seldom

HIDDEN_KEYS = "…"
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:token|secret|password|passwd|authorization|cookie|credentials?|api[_-]?key)$"
)
_SECRETS = (
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]+(?=@)"), r"\1" + HIDDEN_KEYS),
    (re.compile(r"(?i)\b(bearer|basic|geniekey)(\s+)[\w.~+/=-]{12,}"), r"\1\2" + HIDDEN_KEYS),
    (re.compile(r"(?i)((?:token|secret|password|api[_-]?key)=)[^&\s\"']+"), r"\1" + HIDDEN_KEYS),
    # The id of a key, or, from before keys had ids, Wy: a JSON list in Base64.
    (re.compile(r"(/[ad]/)(?:[0-9a-f]{8}\.|Wy[\w-]+\.)[\w.-]+"), r"\1" + HIDDEN_KEYS),
)


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Set structlog and the standard library's logging up, on standard error or `stream`."""
    stream = sys.stderr if stream is None else stream
    level = getattr(logging, settings.log.level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.processors.format_exc_info,
        redacted,
        structlog.processors.JSONRenderer(default=str),
    ]
    if settings.log.format == "console":
        last[-1] = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        # Else each line, the unsaid ones too, makes its logger anew. A test's stream ends.
        cache_logger_on_first_use=stream is sys.stderr,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    # What libraries say below a warning is about themselves, and may hold what they send.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # An exporter warns at each of its tries, and says in the end that it has given up.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    # Anybody who reaches the port can send what is no HTTP.
    logging.getLogger("aiohttp.server").addFilter(NoHttp())
    logging.captureWarnings(capture=True)


class NoHttp(logging.Filter):
    """Of a request that is no HTTP only the kind of the mistake is told, once a minute. Its text
    repeats what was sent, a token with a wrong character perhaps; the sender has it as answer.
    Whoever has gone before they were answered is no defect, and not told of."""

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; it may be changed."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ClientConnectionResetError):
            return False
        if not isinstance(error, HttpProcessingError):
            return True
        kind = type(error).__name__
        count = self._seldom.due(kind, record.created)
        record.msg = f"{record.msg}: {kind}" + (
            f" ({count} since it was last said)" if count > 1 else ""
        )
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return count > 0


def redacted(_: Any, __: str, event: EventDict) -> EventDict:
    """A processor: the event without what looks like a secret."""
    return {name: _without_secrets(name, value) for name, value in event.items()}


def _without_secrets(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and value:
        return HIDDEN_KEYS
    if isinstance(value, str):
        for pattern, instead in _SECRETS:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, Mapping):
        return {str(key): _without_secrets(str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_without_secrets("", inner) for inner in value]
    return value
