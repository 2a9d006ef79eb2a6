"""Those who were called are told when it is over: once, and in a way that wakes nobody.

Pagers that keep state are resolved (`pager_sync`) and say so themselves. Mail, chat and the rest
only ever called, so whoever was called by them would not hear that they need not come.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import Decision, TellEnding
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Roster
from daemon.core.response.paging import STORM_PAGES, delivered_pages
from daemon.core.response.storm import Storm
from daemon.core.values.backoff import Backoff
from daemon.core.values.units import clock_time, format_duration

ENDING_TRIES = 5
STORM_OVER_AGAIN = timedelta(seconds=30)
"""How often an incident that is over and has carried a storm's page looks whether that is."""
_BACKOFF = Backoff(timedelta(seconds=30), timedelta(minutes=10))


def endings_due(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """Tell everybody who was called by a way that keeps no state that it has recovered, or, if it
    was closed without that, that it is closed. Each recovery is told once."""
    due = Decision()
    ending = _ending(incident)
    if ending is None:
        return due
    for person, method in _called_by(incident, roster).items():
        due |= _word_due(incident, person, method, ending, now)
    return due


def storm_endings_due(
    incident: Incident, storm: Storm | None, roster: Roster, now: datetime
) -> Decision:
    """Tell everybody whom the storm's page has called that the storm is over: once each, by the
    incident that has carried the last page to them, and not by each that was in it. `storm` is the
    one that goes on, None if that is forgotten, for nothing more is called for by its page."""
    due = Decision()
    if _ending(incident) is None:
        return due
    for person, page in _called_by_storm(incident, roster).items():
        if storm is not None and storm.newest_call(person) not in (None, page):
            continue  # another incident has called them since, and tells them
        if storm is not None and not storm.is_over:
            due |= Decision(wake_at=now + STORM_OVER_AGAIN)
            continue
        due |= _word_due(incident, person, page.delivered_by, "storm", now)
    return due


def _word_due(
    incident: Incident, person: str, method: str, ending: e.Ending, now: datetime
) -> Decision:
    """Tell them now, or again a while after it has failed."""
    word = incident.call_answers.word(person, ending)
    again = now if word is None or word.told else word.at + _BACKOFF.pause(word.failures)
    order = TellEnding(person, method, ending, incident.call_answers.recoveries)
    return Decision(wake_at=again) if now < again else Decision(effects=(order,))


def _ending(incident: Incident) -> e.Ending | None:
    if incident.recovered_at is not None:
        return "recovered"
    return "closed" if incident.closed is not None else None


def _called_by(incident: Incident, roster: Roster) -> dict[str, str]:
    """By which way each person is told who was called before the end, and not told since. A storm's
    page called for other incidents, too, so the end of the one that carries it is not theirs: they
    hear of the storm's (`storm_endings_due`)."""
    found: dict[str, str] = {}
    ended_at = incident.recovered_at or incident.closed_at
    for page in delivered_pages(incident.pages.values()):
        if page.queued.purpose in STORM_PAGES:
            continue
        person, method = page.queued.person, page.delivered_by
        word = incident.call_answers.words.get(person)
        told_since = word is not None and word.told and page.at <= word.at
        late = ended_at is not None and page.at > ended_at
        known = roster.people.get(person)
        if known is not None and known.is_told_quietly_by(method) and not (told_since or late):
            found[person] = method
    return found


def _called_by_storm(incident: Incident, roster: Roster) -> dict[str, PageState]:
    """The last page of the storm that this incident has carried to each person who is told quietly,
    and was not since."""
    found: dict[str, PageState] = {}
    for page in delivered_pages(incident.pages.values()):
        if page.queued.purpose not in STORM_PAGES:
            continue
        person, word = page.queued.person, incident.call_answers.word(page.queued.person, "storm")
        told_since = word is not None and word.told and page.at <= word.at
        known = roster.people.get(person)
        if known is not None and known.is_told_quietly_by(page.delivered_by) and not told_since:
            found[person] = page
    return found


def storm_ending_title(incident: Incident) -> str:
    """The end of the storm that this incident was one of, in one line."""
    since = "" if incident.storm is None else f" since {clock_time(incident.storm.began)}"
    return f"The storm{since} is over"


STORM_ENDING_TEXT = (
    "Its page asks nothing more of you. What of it still goes on is called for by itself."
)
"""What they are told of it who were called by the storm's page."""


def ending_text(incident: Incident) -> str:
    """What they are told: that nobody need come, when it was over and by what, and what is to
    come."""
    if incident.recovered_at is None:
        why = incident.closed.text if incident.closed is not None else ""
        if incident.organization.merged_into:
            return f"Not over, but {why}. People are called for that one; this one asks nothing."
        return f"Closed, nothing more is asked of you: {why}"
    step = incident.step(incident.recovered_by)
    how = f"after step {step.number}, {step.action}" if incident.recovered_by else "by itself"
    lasted = incident.recovered_at - (incident.confirmed_at or incident.opened_at)
    minutes = timedelta(minutes=max(round(lasted.total_seconds() / 60), 1))
    watched = "" if incident.closed is not None else " It is being watched for a relapse."
    return (
        f"Restored at {clock_time(incident.recovered_at)} {how}, "
        f"{format_duration(minutes)} after it was confirmed. Nothing more is asked of you.{watched}"
    )
