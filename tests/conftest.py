"""What all tests share."""

import asyncio
import gc
import os
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.compiled_once import compile_once
from tests.decisions.matrix import DECISION, matrix
from tests.postgresql import place, postgresql, postgresql_place

__all__ = ["place", "postgresql", "postgresql_place"]

# The same examples in every run: a test that fails here fails everywhere.
settings.register_profile(
    "stopgap",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("stopgap")

# A hundred daemons are started: each compiling all of its source again is a fifth of that. And each
# worker need not rewrite the asserts of all tests again, either.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Nothing here trusts the system's authorities, and to read them takes 50 ms for each client.
os.environ["SSL_CERT_FILE"] = os.devnull

compile_once()

# While ten thousand tests are collected there is no garbage, only more and more to look through.
gc.disable()

# pytest-asyncio asks for the current event loop before each test. On Python 3.11 that makes one
# which nobody closes, unless it was said that there is none.
asyncio.set_event_loop(None)

# What is logged belongs beside a failed test, not into what a command has printed.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands and the daemon set logging up for their whole process; a test is not all of it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_collection_finish() -> None:
    """What is there now stays: the collector need not look at it again after each test."""
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how the written decisions came out, whichever worker they were played by."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind)]
    decisions = [
        (str(said[0]), bool(said[1]))
        for report in reports
        for name, said in getattr(report, "user_properties", ())
        if name == DECISION and report.when == "call"
    ]
    if decisions:
        terminalreporter.section("decisions")
        for line in matrix(decisions):
            terminalreporter.write_line(line)
