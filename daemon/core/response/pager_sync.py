"""Which pagers must still be told that somebody came, or that it is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.effects import Settle
from daemon.core.incident.events.pages import Settled
from daemon.core.incident.state import Incident, PageState, Settling
from daemon.core.response.escalation import alert_of, reached
from daemon.core.response.escalation import wanted as still_wanted

KEEP_STATE = ("pagerduty", "grafana_oncall", "opsgenie")
"""The kinds of pagers that go on calling by themselves."""
PAGER_TRIES = 10
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class Settlement:
    """The pagers to tell now, and when to look again."""

    effects: tuple[Settle, ...] = ()
    again_at: datetime | None = None


def settling(incident: Incident, now: datetime) -> Settlement:
    """Every pager that took a page follows the incident: acknowledged, resolved.

    A later page to the same alert triggers it anew, so what it was told before is void then.
    """
    effects: list[Settle] = []
    again: list[datetime] = []
    for (person, method, alert), newest in _rang(incident).items():
        wanted = _wanted(incident, alert, newest)
        told = incident.settling.get((person, method, alert), Settling())
        if wanted is None or (told.state == wanted and not _older(told.at, newest)):
            continue
        tried_since = told.failed_at is not None and not _older(told.failed_at, newest)
        if tried_since and told.given_up == wanted:
            continue
        at = now
        if told.failed_at is not None and tried_since:
            at = told.failed_at + min(_FIRST_PAUSE * 2 ** (told.failures - 1), _LONGEST_PAUSE)
        if now < at:
            again.append(at)
        else:
            effects.append(Settle(person, method, alert, wanted))
    return Settlement(tuple(effects), min(again, default=None))


def _wanted(incident: Incident, alert: str, newest: PageState) -> Settled | None:
    """The state that the pager should have this alert in; None while it may go on calling.

    Who is called after the recovery is called for a reason, and not silenced by it.
    """
    restored = incident.recovered_at
    if incident.closed is not None or (restored is not None and newest.at <= restored):
        return "resolved"
    if not alert:
        return "acknowledged" if incident.commander else None
    seen = incident.crew.seen.get(newest.queued.person)
    answered = seen is not None and newest.delivered_at is not None and seen > newest.delivered_at
    return "resolved" if answered or not still_wanted(incident, newest) else None


def _older(moment: datetime | None, page: PageState) -> bool:
    """Whether this was before the pager took the page, which triggered the alert anew."""
    return moment is None or (page.delivered_at is not None and moment < page.delivered_at)


def _rang(incident: Incident) -> dict[tuple[str, str, str], PageState]:
    """The alerts of pagers that keep state, each with the newest page it took."""
    rang: dict[tuple[str, str, str], PageState] = {}
    for page in reached(incident.pages.values()):
        if page.delivered_by.startswith(KEEP_STATE):
            rang[(page.queued.person, page.delivered_by, alert_of(page.queued))] = page
    return rang
