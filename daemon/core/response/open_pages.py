"""Which pages are still to be delivered or tried again: those whose occasion is not over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from daemon.core.decision import Decision, recording
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of, step_asked_for
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Roster
from daemon.core.response.call_answers import SUMMONS, enough_came, has_declined
from daemon.core.response.escalation import MOST_PAGE_HOLD, pages_due
from daemon.core.response.milestones import MILESTONES, reached_at
from daemon.core.response.paging import facts_within, text_now
from daemon.core.values.backoff import Backoff

PAGE_BACKOFF = Backoff(timedelta(minutes=1), timedelta(minutes=15))
"""How soon a page that reached nobody is tried again."""
CALLED_AFTER_RECOVERY: Mapping[Purpose, str] = {
    "refired": "the alert fires again, and the metrics cannot tell whether the trouble is back",
    "role_request": "a person asks; what the daemon asked for itself is not needed any more",
    "jump": "a person calls for them",
    "update": "the audiences have to hear that it is over",
    "autonomy": "it is about the rule, and its next incident",
    "help": "a person asks for a team",
    "organized": "a person has given it to others just now",
    "storm": "it stands for other incidents, which are not over",
    "storm_growth": "it stands for other incidents, which are not over",
    "drill_over": "it tells that the drill was stopped",
    "other": "nobody knows what a journal from elsewhere called them for",
}
"""What people are still paged for while a restored service is watched, each with its reason. All
else is about trouble that is over; a relapse calls for it anew."""


RELEASED_WITHIN = timedelta(seconds=30)
"""So soon after the end of a maintenance window that held them calls must have begun."""


def still_relevant(incident: Incident, page: PageState) -> bool:
    """Whether this page still makes sense: its occasion is not over, and its person is still the
    one to hear of it. Once somebody commands, nobody else is woken; once service is restored, by
    the metrics, nobody is for what was wrong before (`CALLED_AFTER_RECOVERY` tells the rest)."""
    queued = page.queued
    if incident.closed is not None:
        # These are about what comes after it.
        return queued.purpose in {"autonomy", "drill_over", "organized"}
    if queued.purpose in SUMMONS and has_declined(incident, page):
        return False
    commands = queued.person == incident.commander
    restored = incident.recovered_at is not None
    match queued.purpose:
        case "escalation" | "unattended" | "snoozed":
            wanted = not restored and not enough_came(incident, queued.acknowledgements)
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
        case "storm" | "storm_growth":
            seen = incident.people.seen.get(queued.person)
            return seen is None or seen < page.at
        case "severity":
            return not restored and queued.person not in incident.responders
        case "jump":
            return queued.person not in incident.responders
        case "deputy":
            return _is_present(incident, page) and commands and not restored
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
            if request is None or not request.open:
                return False
            return bool(request.event.by) or incident.recovered_at is None
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
            missing = item is None or reached_at(incident, item) is None
            return missing and incident.recovered_at is None
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
        due |= Decision(wake_at=again_at) if now < again_at else recording(_retry(incident, page))
    return due


def _retry(incident: Incident, page: PageState) -> e.PageQueued:
    """The page once more, with the facts of now."""
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
    text = text_now(incident, queued)
    changes = {
        "page": name,
        "occasion": page.occasion,
        "attempt": attempt,
        "text": text,
        "facts": facts_within(incident, text),
    }
    return queued.model_copy(update=changes)


def unattended(incident: Incident, roster: Roster, now: datetime) -> str:
    """Why this incident is a defect of ours: nobody commands, and nobody is being called.

    Empty if all is well. A page is being made while it is pending, the first may be held for a
    moment, and a call is on its way while the policy still has one to come, or maintenance holds
    it until an announced end.
    """
    if incident.closed is not None or incident.commander or incident.recovered_at is not None:
        return ""
    held = incident.organization.held
    if undelivered(incident) or (held is not None and now < held.until + RELEASED_WITHIN):
        return ""
    if not incident.pages and now < incident.opened_at + MOST_PAGE_HOLD:
        return ""
    due = pages_due(incident, roster, now) | retries_due(incident, now)
    if due.record:
        return "calls are due and are not being made"
    if due.wake_at is None:
        return "nobody responded, and the escalation policy has come to its end"
    return ""
