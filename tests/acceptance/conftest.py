"""Acceptance: the real daemon as a process; real Prometheus and Alertmanager where they matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.running import STARTED, Daemon

HERE = Path(__file__).parent
LAST_WORDS = 6000
LIMIT = 900
"""Seconds of one test, where a slow machine does several things at a time."""

MakeDaemon = Callable[..., Daemon]


LONGEST = ("test_demos", "test_people", "test_crash_loops", "test_crash_points")
"""The files that take longest, by waiting for what happens in real time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked `acceptance`, and what takes longest begins first."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            item.add_marker(pytest.mark.timeout(LIMIT))
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Show what the daemons said when a test fails."""
    report = yield
    if report.failed:
        for daemon in STARTED:
            words = daemon.log.read_text(errors="replace") if daemon.log.exists() else ""
            report.sections.append((f"daemon in {daemon.folder}", words[-LAST_WORDS:]))
    return report


@pytest.fixture
def make_daemon() -> Iterator[MakeDaemon]:
    """Makes daemons that do not outlive the test."""
    made: list[Daemon] = []

    def make(folder: Path, **how: Any) -> Daemon:
        made.append(Daemon(folder, **how))
        return made[-1]

    yield make
    for daemon in made:
        daemon.drop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session
