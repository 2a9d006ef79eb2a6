"""What an incident does about its storm: it joins, leaves, or calls people for all of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import AcknowledgeStorm, Decision, earliest, recording
from daemon.core.incident import events as e
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Severity
from daemon.core.people.roster import Roster
from daemon.core.response.escalation import MOST_PAGE_HOLD
from daemon.core.response.open_pages import retries_due
from daemon.core.response.storm import Storm
from daemon.core.response.storm_calls import storm_calls_due, unanswered
from daemon.core.response.storm_growth import storm_growth
from daemon.core.response.storm_text import storm_text

_GRAVE: frozenset[Severity] = frozenset({"sev1", "sev2"})
"""What is called for by itself, where the storm's page told less."""
STORM_LOOK_AGAIN = timedelta(seconds=30)
"""How often it is looked whether a storm has grown."""


def storm_due(
    incident: Incident,
    storm: Storm,
    roster: Roster,
    now: datetime,
    hold: timedelta = timedelta(0),
) -> Decision:
    """What an incident does about its storm: it joins, leaves if it is graver than was told, and
    if it is the one that carries the storm's pages, calls people. The first page is held, so that
    it tells the numbers and more of the list: no longer than that of any of them is (`hold`)."""
    if incident.storm is None or incident.storm.storm != storm.name:
        alone = bool(incident.pages)
        return recording(e.StormJoined(storm=storm.name, began=storm.began, alone=alone))
    graver = _graver(incident, storm)
    if graver:
        return recording(e.StormLeft(text=graver))
    if storm.lead.id != incident.id:
        return Decision()
    held_until = _calls_since(storm) + hold
    if not storm.pages and now < held_until:
        return Decision(wake_at=held_until)
    return _lead_due(storm.as_of(incident), roster, now)


def _calls_since(storm: Storm) -> datetime:
    """Since when one of its incidents waits for a first page: before it was a storm, perhaps."""
    return min((m.clock_from for m in storm.held if not m.pages), default=storm.began)


def _graver(incident: Incident, storm: Storm) -> str:
    """Why it must be called for by itself; empty if the storm's page tells of it.

    Of a team's incidents that are equally grave one is: from then on people know how grave it is.
    What is no graver than most of a storm is told by its list alone.
    """
    team, severity = incident.opened.team, incident.severity
    if severity not in _GRAVE or not storm.pages:
        return ""
    told = storm.told_severity(team)
    if told and told <= severity:
        return ""
    untold = [
        (member.severity, member.opened_at, member.id)
        for member in (*storm.held, incident)
        if member.opened.team == team
        and member.severity
        and not member.commander
        and member.recovered_at is None
    ]
    if not untold or min(untold)[2] != incident.id:
        return ""
    return f"it is {severity}; the storm's page told {told or 'no severity'}"


def _lead_due(storm: Storm, roster: Roster, now: datetime) -> Decision:
    answered = unanswered(storm, roster, now)
    calls = storm_calls_due(storm, answered, roster, now)
    text = storm_text(storm, roster)
    pages = [_page(storm, "storm", person, text, *place) for person, place in calls.people.items()]
    told, next_at = storm_growth(storm, calls.people, roster, now)
    grown = [_page(storm, "storm_growth", person, text) for person, text in told.items()]
    effects = tuple(AcknowledgeStorm(person) for person in answered)
    ends = storm.joins_until
    wake_at = earliest(calls.wake_at, next_at, ends if ends > now else None, now + STORM_LOOK_AGAIN)
    return Decision((*pages, *grown), effects, wake_at)


def storm_unattended(storm: Storm, roster: Roster, now: datetime) -> str:
    """Why it is a defect of ours that incidents of this storm wait; empty if all is well."""
    answered = unanswered(storm, roster, now)
    if not storm.pages and now < storm.began + MOST_PAGE_HOLD:
        return ""
    if any(page.pending for page in storm.pages) or answered or not storm.waiting:
        return ""
    calls = storm_calls_due(storm, answered, roster, now)
    if calls.people:
        return "calls for a storm are due and are not being made"
    if calls.wake_at is None and not retries_due(storm.lead, now):
        return "nobody took a storm, and the escalation policies have come to their end"
    return ""


def _page(
    storm: Storm, purpose: Purpose, person: str, text: str, round_: int = 0, tier: int = 0
) -> e.PageQueued:
    before = {
        page.occasion
        for page in storm.pages
        if page.queued.purpose == purpose and page.queued.person == person
    }
    number = max(before, default=-1) + 1
    return e.PageQueued(
        page=page_id(purpose, storm.name, number, person),
        person=person,
        purpose=purpose,
        about=storm.name,
        occasion=number,
        text=text,
        round=round_,
        tier=tier,
    )
