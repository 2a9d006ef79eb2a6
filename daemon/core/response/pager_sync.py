"""Which pagers that keep state must still be told that somebody came, or that it is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import Decision, Settle
from daemon.core.incident.events.pages import Settled
from daemon.core.incident.state import Incident, PagerAlertState, PageState
from daemon.core.response.call_answers import enough_came
from daemon.core.response.open_pages import still_relevant
from daemon.core.response.paging import STORM_ALERT, alert_of, delivered_pages
from daemon.core.values.backoff import Backoff

STATEFUL_PAGERS = ("pagerduty", "grafana_oncall", "opsgenie")
"""The kinds of pagers that go on calling by themselves."""
PAGER_TRIES = 10
PAGER_BACKOFF = Backoff(timedelta(seconds=30), timedelta(minutes=10))
"""How soon a pager that could not be told is tried again."""


def pager_states_due(incident: Incident, now: datetime, *, storm_waits: bool = False) -> Decision:
    """Every pager that took a page follows the incident: acknowledged, resolved.

    A later page to the same alert triggers it anew, so what it was told before is void then.
    `storm_waits`: incidents of its storm wait for people; once none does, its alert is over.
    """
    due = Decision()
    for (person, method, alert), newest in _stateful_alerts(incident).items():
        target = _target_state(incident, alert, newest)
        if alert == STORM_ALERT and not storm_waits:
            target = "resolved"
        synced = incident.pager_states.get((person, method, alert), PagerAlertState())
        if target is None or (synced.state == target and not _before_page(synced.at, newest)):
            continue
        at = now
        if synced.failed_at is not None and not _before_page(synced.failed_at, newest):
            if synced.given_up == target:
                continue
            at = synced.failed_at + PAGER_BACKOFF.pause(synced.failures)
        effect = Settle(person, method, alert, target)
        due |= Decision(wake_at=at) if now < at else Decision(effects=(effect,))
    return due


def _target_state(incident: Incident, alert: str, newest: PageState) -> Settled | None:
    """The state that the pager should have this alert in; None while it may go on calling.

    Who is called after the recovery is called for a reason, and not silenced by it.
    """
    restored = incident.recovered_at
    if incident.closed is not None or (restored is not None and newest.at <= restored):
        return "resolved"
    if not alert:
        there = newest.queued.person in incident.responders
        enough = there or enough_came(incident, newest.queued.acknowledgements)
        return "acknowledged" if incident.commander and enough else None
    seen = incident.people.seen.get(newest.queued.person)
    answered = seen is not None and newest.delivered_at is not None and seen > newest.delivered_at
    return "resolved" if answered or not still_relevant(incident, newest) else None


def _before_page(moment: datetime | None, page: PageState) -> bool:
    """Whether this was before the pager took the page, which triggered the alert anew."""
    return moment is None or (page.delivered_at is not None and moment < page.delivered_at)


def _stateful_alerts(incident: Incident) -> dict[tuple[str, str, str], PageState]:
    """The alerts of pagers that keep state, each with the newest page it took."""
    alerts: dict[tuple[str, str, str], PageState] = {}
    for page in delivered_pages(incident.pages.values()):
        if page.delivered_by.startswith(STATEFUL_PAGERS):
            alerts[(page.queued.person, page.delivered_by, alert_of(page.queued))] = page
    return alerts
