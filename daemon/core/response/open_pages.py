"""Which pages are still to be delivered or tried again: those whose occasion is not over."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import Decision, recording
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of, step_asked_for
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Roster
from daemon.core.response.call_answers import SUMMONS, enough_came, has_declined
from daemon.core.response.escalation import pages_due
from daemon.core.response.milestones import MILESTONES, reached_at
from daemon.core.values.backoff import Backoff

PAGE_BACKOFF = Backoff(timedelta(minutes=1), timedelta(minutes=15))
"""How soon a page that reached nobody is tried again."""


def still_relevant(incident: Incident, page: PageState) -> bool:
    """Whether this page still makes sense: its occasion is not over, and its person is still the
    one to hear of it. Once somebody commands, nobody else is woken."""
    queued = page.queued
    if incident.closed is not None:
        # These are about what comes after it.
        return queued.purpose in {"autonomy", "drill_over"}
    if queued.purpose in SUMMONS and has_declined(incident, page):
        return False
    commands = queued.person == incident.commander
    restored = incident.recovered_at is not None
    match queued.purpose:
        case "escalation" | "unattended" | "snoozed":
            wanted = not enough_came(incident, queued.acknowledgements)
            there = bool(incident.commander) and queued.person in incident.responders
            return _is_present(incident, page) and wanted and not there
        case "approval":
            waits = incident.step(step_asked_for(queued.about)).status == "waiting"
            return _is_present(incident, page) and waits and commands and not restored
        case "relapse" | "verdict":
            return _is_present(incident, page) and not restored
        case "diagnosis":
            return _is_present(incident, page) and not restored and incident.diagnosis is not None
        case "refired":
            return _is_present(incident, page) and not incident.all_resolved
        case "severity":
            return not restored and queued.person not in incident.responders
        case "jump":
            return queued.person not in incident.responders
        case "deputy":
            return _is_present(incident, page) and commands
        case "vacancy":
            vacant = _is_present(incident, page) and queued.about not in incident.people.posts
            return vacant and commands and not restored
        case _:
            return _question_open(incident, page)


def _is_present(incident: Incident, page: PageState) -> bool:
    """Whether its occasion is the present one, and no later one has come."""
    return page.occasion == occasion_of(incident, page.queued.purpose, page.queued.about)


def _question_open(incident: Incident, page: PageState) -> bool:
    """Whether somebody still waits for what the page asks."""
    people, about = incident.people, page.queued.about
    match page.queued.purpose:
        case "engagement" | "unanswered":
            engaged = people.engaged.get(about)
            return engaged is not None and not engaged.answered_by and not incident.recovered_at
        case "role_request":
            request = people.requests.get(about)
            return request is not None and request.open
        case "update":
            update = incident.updates.by_name.get(about)
            return update is not None and not update.sent
        case "sign_of_life":
            sign_of_life, asked_at = people.sign_of_life_request, people.asked_at or page.at
            return (
                sign_of_life is not None
                and sign_of_life.person == page.queued.person
                and page.at >= asked_at
            )
        case "milestone":
            item = next((item for item in MILESTONES if item == about), None)
            return item is None or reached_at(incident, item) is None
        case _:
            return True


def undelivered(incident: Incident) -> list[PageState]:
    """The pages that still have to be delivered, without those that nobody needs any more."""
    pages = incident.pages.values()
    return [page for page in pages if page.pending and still_relevant(incident, page)]


def retries_due(incident: Incident, now: datetime) -> Decision:
    """The pages that reached nobody for a reason that may pass, queued once more after a while.

    Only while they are still relevant, and only the newest attempt of each.
    """
    newest: dict[tuple[Purpose, str, int, str], PageState] = {}
    for page in incident.pages.values():
        queued = page.queued
        newest[(queued.purpose, queued.about, page.occasion, queued.person)] = page
    due = Decision()
    for page in newest.values():
        if not (page.given_up and page.worth_trying and still_relevant(incident, page)):
            continue
        again_at = page.at + PAGE_BACKOFF.pause(page.queued.attempt + 1)
        due |= Decision(wake_at=again_at) if now < again_at else recording(_retry(page))
    return due


def _retry(page: PageState) -> e.PageQueued:
    queued, attempt = page.queued, page.queued.attempt + 1
    name = page_id(
        queued.purpose,
        queued.about,
        page.occasion,
        queued.person,
        round_=queued.round,
        tier=queued.tier,
        attempt=attempt,
    )
    changes = {"page": name, "occasion": page.occasion, "attempt": attempt}
    return queued.model_copy(update=changes)


def unattended(incident: Incident, roster: Roster, now: datetime) -> str:
    """Why this incident is a defect of ours: nobody commands, and nobody is being called.

    Empty if all is well. A page is being made while it is pending, and a call is on its way
    while the policy still has one to come.
    """
    if incident.closed is not None or incident.commander or incident.recovered_at is not None:
        return ""
    if undelivered(incident):
        return ""
    due = pages_due(incident, roster, now) | retries_due(incident, now)
    if due.record:
        return "calls are due and are not being made"
    if due.wake_at is None:
        return "nobody responded, and the escalation policy has come to its end"
    return ""
