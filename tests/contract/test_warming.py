"""What is loaded in advance may fail: it is told, and the daemon goes on."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from daemon.app import warming
from daemon.core.incident.events import Draft, Entry, IncidentOpened


async def test_events_can_be_read_and_written_after_it() -> None:
    await warming.warm_up()
    assert all(model.__pydantic_complete__ for model in (Draft, Entry, IncidentOpened))


async def test_what_cannot_be_loaded_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "_LATE", ("daemon.no_such_module",))
    with capture_logs() as lines:
        await warming.warm_up()
    assert [line["why"] for line in lines] == ["No module named 'daemon.no_such_module'"]
