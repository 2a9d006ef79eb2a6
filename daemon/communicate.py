"""The outbox: a queued page is delivered by the person's best way that works.

The page was journaled before this begins, and every try is journaled after it, so a restart
goes on with the way that is next. A way that fails hands over to the next at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from daemon.casebook import Casebook
from daemon.core import events as e
from daemon.core.incident import Incident
from daemon.core.outcome import Permanent, Temporary
from daemon.core.ports import Page, Pager

log = structlog.get_logger()

DEADLINE_SECONDS = 10.0

Ways = Mapping[str, Sequence[tuple[str, Pager]]]
"""Person → (name of the way, pager), in order of preference."""


async def deliver(book: Casebook, incident: str, page: str, ways: Ways, link: str) -> None:
    """Deliver one queued page, or journal that nobody could be reached by it."""
    state = (await book.load(incident)).pages[page]
    person = state.queued.person
    left = [way for way in ways.get(person, ()) if way[0] not in state.failed_methods]
    if not left:
        failed = e.PageFailed(page=page, method="none", error="no way to reach them", last=True)
        await _note(book, incident, failed)
        return
    for position, (method, pager) in enumerate(left):
        call = _page(await book.load(incident), page, link, book)
        event: e.Event
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                proof = await pager.page(call)
            event = e.PageDelivered(page=page, method=method, proof=proof)
        except Exception as error:  # whatever a pager's library raises, the next way is tried
            expected = isinstance(error, Temporary | Permanent | TimeoutError)
            if not expected:
                log.exception("a pager crashed", incident=incident, method=method)
            text = str(error) if expected else f"crashed: {type(error).__name__}"
            text = text or f"no answer within {DEADLINE_SECONDS:.0f}s"
            log.warning("page failed", incident=incident, person=person, method=method, error=text)
            last = position + 1 == len(left)
            event = e.PageFailed(page=page, method=method, error=text, last=last)
        await _note(book, incident, event)
        if isinstance(event, e.PageDelivered):
            return


async def _note(book: Casebook, incident: str, event: e.Event) -> None:
    await book.record(incident, lambda _: (event,))


def _page(incident: Incident, page: str, link: str, book: Casebook) -> Page:
    queued = incident.pages[page].queued
    return Page(
        incident=incident.id,
        page=page,
        person=queued.person,
        title=incident.title,
        text=queued.text,
        severity=incident.severity,
        link=f"{link}/api/v1/incidents/{incident.id}",
        at=book.clock(),
    )
