"""The fold of the numbers that follow a page."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.amendments import Amendment
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_amendment(incident: Incident, at: datetime, event: e.AmendmentEvent) -> Incident:
    """The incident after one more of these events."""
    page = incident.pages[event.page]
    before = page.amendment
    match event:
        case e.PageAmended():
            after = replace(before, over=True)
        case e.PageNotAmended():
            after = Amendment(
                needed=before.needed,
                failures=before.failures + 1,
                failed_at=at,
                over=event.last,
            )
        case _:
            assert_never(event)
    pages = {**incident.pages, event.page: replace(page, amendment=after)}
    return replace(incident, pages=pages)
