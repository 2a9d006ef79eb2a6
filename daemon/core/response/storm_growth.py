"""A storm that has grown: who is told again, and which pages its own stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from datetime import datetime, timedelta

from daemon.core.decision import earliest
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Roster
from daemon.core.response.open_pages import still_relevant
from daemon.core.response.storm import STORM_GATHER, Storm
from daemon.core.response.storm_text import storm_text
from daemon.core.values.backoff import Backoff

STORM_GROWTH = Backoff(timedelta(minutes=1), timedelta(minutes=5))
"""So long after a page of a storm the same person gets the next, where it has only grown: whoever
is called knows that it is a storm."""
_HELD: frozenset[Purpose] = frozenset(
    {
        "approval",
        "deputy",
        "diagnosis",
        "milestone",
        "refired",
        "role_request",
        "severity",
        "sign_of_life",
        "update",
        "vacancy",
    }
)
"""What a storm's page tells for all its incidents, instead of a page for each."""


def storm_growth(
    storm: Storm, called: Container[str], roster: Roster, now: datetime
) -> tuple[dict[str, str], datetime | None]:
    """Person → what they are told, and when to look again: those for whom there is twice as much
    of it as they were told of, be it incidents or questions that are not put one by one. The
    questions are gathered first: whoever takes all of it at once takes one after the other."""
    last: dict[str, PageState] = {}
    for page in storm.pages:
        if page.delivered_at is not None:
            last[page.queued.person] = page
    asks = _held_asks(storm)
    told_now: dict[str, str] = {}
    next_at: datetime | None = None
    for person in dict.fromkeys((*last, *asks)):
        mine, told = asks.get(person, ()), last.get(person)
        unasked = [page for page in mine if told is None or page.at > told.at]
        asked_then = len(mine) - len(unasked)
        grown = told is not None and len(storm.members) >= 2 * max(1, storm.opened_by(told.at))
        more = bool(unasked) and len(mine) >= 2 * asked_then
        if person in called or not (grown or more):
            continue
        free_at = storm.free_at(person, now, STORM_GATHER if more else STORM_GROWTH)
        if more:
            free_at = max(free_at, min(page.at for page in unasked) + STORM_GATHER.first)
        if now < free_at:
            next_at = earliest(next_at, free_at)
            continue
        kinds = Counter(page.queued.purpose for page in mine)
        told_now[person] = storm_text(storm, roster, kinds)
    return told_now, next_at


def _held_asks(storm: Storm) -> dict[str, list[PageState]]:
    """Person → the pages about its incidents that the storm's page stands for."""
    found: dict[str, list[PageState]] = {}
    for member in storm.members:
        for page in member.pages.values():
            if is_told_by_storm(member, page, storm) and still_relevant(member, page):
                found.setdefault(page.queued.person, []).append(page)
    return found


def is_told_by_storm(incident: Incident, page: PageState, storm: Storm | None) -> bool:
    """Whether a page that waits is not delivered, for the storm's page tells that something waits:
    of an incident that it calls for, and of one that is called for by itself where its Commander
    has others of the storm, too. What a person asks of another is never held."""
    if storm is None or not (storm.is_held(incident) or page.queued.person in storm.commanders):
        return False
    return can_be_told_by_storm(incident, page)


def can_be_told_by_storm(incident: Incident, page: PageState) -> bool:
    """Whether a page that waits is one of those for which a storm's page stands."""
    queued = page.queued
    request = incident.people.requests.get(queued.about)
    by_person = queued.purpose == "role_request" and request is not None and request.event.by
    return page.pending and queued.purpose in _HELD and not by_person
