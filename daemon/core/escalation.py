"""Which pages are due, and when to look again. Pure: the journal holds what was queued when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.events import PageQueued
from daemon.core.incident import Incident, PageState
from daemon.core.problem import MONITORING_OUTAGE
from daemon.core.roster import Policy, Roster

ESCALATION = "escalation"
SUMMON_AGAIN = timedelta(minutes=1)
"""How soon a page that nobody could be reached by is tried again."""


@dataclass(frozen=True)
class Due:
    """The pages to queue now, and when the next may be due (None: none while nothing changes)."""

    pages: tuple[PageQueued, ...]
    again_at: datetime | None


def pages_due(incident: Incident, roster: Roster, now: datetime) -> Due:
    """Escalate by the team's policy until somebody acknowledges.

    The next tier is called when the last one's wait is over, or at once when nobody of it could
    be reached. The wait counts from when the tier was really called, so a restart neither skips
    nor repeats one. Every page carries the facts of this moment.
    """
    if incident.responders or incident.closed is not None:
        return Due((), None)
    policy = roster.policy_for(incident.opened.team)
    called = [p for p in incident.pages.values() if p.queued.reason == ESCALATION]
    if not called:
        return _call(incident, roster, policy, 0, 0, now)
    last_round, last_tier = max((p.queued.round, p.queued.tier) for p in called)
    latest = [p for p in called if (p.queued.round, p.queued.tier) == (last_round, last_tier)]
    ends = max(p.at for p in latest) + policy.tiers[min(last_tier, len(policy.tiers) - 1)].wait
    unreachable = all(p.given_up for p in latest)
    next_round, next_tier = last_round, last_tier + 1
    if next_tier >= len(policy.tiers):
        next_round, next_tier = last_round + 1, 0
        # The wait between rounds is kept even if nobody can be reached: no busy loop.
        unreachable = False
    # A round that reached nobody was none: a pager's outage must not end the calling.
    rounds = {p.queued.round for p in called if p.delivered_at is not None}
    if policy.repeat is not None and next_tier == 0 and len(rounds) > policy.repeat:
        return Due((), None)
    if now >= ends or unreachable:
        return _call(incident, roster, policy, next_round, next_tier, now)
    return Due((), ends)


def summons_again(incident: Incident, now: datetime) -> Due:
    """The pages outside the escalation that reached nobody, queued once more after a while."""
    latest: dict[tuple[str, str], PageState] = {}
    for page in incident.pages.values():
        if page.queued.reason != ESCALATION:
            latest[(page.queued.reason, page.queued.person)] = page
    lost = [page for page in latest.values() if page.given_up]
    due = tuple(
        page.queued.model_copy(
            update={
                "page": f"{page.queued.reason}.{page.queued.person}.{page.queued.round + 2}",
                "round": page.queued.round + 1,
            }
        )
        for page in lost
        if now >= page.at + SUMMON_AGAIN
    )
    again = [page.at + SUMMON_AGAIN for page in lost if now < page.at + SUMMON_AGAIN]
    return Due(due, min(again, default=None))


def summons(incident: Incident, person: str, reason: str, text: str) -> tuple[PageQueued, ...]:
    """A page outside the escalation, once for each (reason, person)."""
    page = f"{reason}.{person}"
    if not person or page in incident.pages:
        return ()
    return (PageQueued(page=page, person=person, reason=reason, text=text),)


def pending(incident: Incident) -> list[PageState]:
    """The pages that still have to be delivered. Once somebody responds, nobody else is woken."""
    return [
        page
        for page in incident.pages.values()
        if page.pending and not (incident.responders and page.queued.reason == ESCALATION)
    ]


def _call(
    incident: Incident, roster: Roster, policy: Policy, round_: int, tier: int, now: datetime
) -> Due:
    pages = tuple(
        PageQueued(
            page=f"r{round_}.t{tier}.{person}",
            person=person,
            reason=ESCALATION,
            text=facts(incident),
            round=round_,
            tier=tier,
        )
        for person in roster.called(policy.tiers[tier])
    )
    return Due(pages, now + policy.tiers[tier].wait)


def facts(incident: Incident) -> str:
    """The incident in one line, as it stands now."""
    parts = [incident.title]
    if incident.problem is None and incident.rule:
        parts.append("measuring now")
    elif incident.problem is not None and incident.confirmed is None:
        parts.append(f"not confirmed: {incident.problem.reason}")
        if incident.problem.reason in MONITORING_OUTAGE:
            parts.append("the monitoring is out, so nothing can be judged and nothing will be done")
    if not incident.rule:
        parts.append("no rule matches it: nothing is measured, nothing will be done by itself")
    running = incident.running or incident.verifying
    if running is not None:
        parts.append(f"{running.action} is {'running' if incident.running else 'being verified'}")
    return " · ".join(parts)
