"""Which pages still have to tell the numbers that came after them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import AmendPage, Decision
from daemon.core.incident.state import Incident, PageState
from daemon.core.response.open_pages import still_relevant
from daemon.core.response.paging import STORM_PAGES
from daemon.core.values.backoff import Backoff

AMEND_TRIES = 5
AMEND_BACKOFF = Backoff(timedelta(seconds=15), timedelta(minutes=2))
"""How soon a pager that did not take the numbers is tried again."""


def amendments_due(incident: Incident, now: datetime) -> Decision:
    """The newest page of each person that told no numbers, once there are some; once each.

    Whoever has come gets them too; nobody else is told of what is over or somebody else's. A
    storm's page tells of many incidents, and is kept current by itself.
    """
    if incident.measured_at is None or incident.closed is not None:
        return Decision()
    if incident.recovered_at is not None:
        return Decision()
    newest: dict[str, PageState] = {}
    for page in incident.pages.values():
        own = page.queued.asks == "acknowledge" and page.queued.purpose not in STORM_PAGES
        if own and page.delivered_at is not None:
            newest[page.queued.person] = page
    due = Decision()
    for person, page in newest.items():
        known = page.amendment
        concerned = person in incident.responders or still_relevant(incident, page)
        if not known.needed or known.over or not concerned:
            continue
        at = now
        if known.failed_at is not None:
            at = known.failed_at + AMEND_BACKOFF.pause(known.failures)
        effect = AmendPage(page.queued.page)
        due |= Decision(wake_at=at) if now < at else Decision(effects=(effect,))
    return due
