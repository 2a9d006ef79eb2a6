"""Which pages are due, and when to look again. Pure: the journal holds what was queued when.

Everything here follows from three things: the tiers of a policy as they are at this moment, the
pages that were queued so far, and the clock. So a restart neither skips nor repeats a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident, PageState
from daemon.core.measurement.problem import MONITORING_OUTAGE
from daemon.core.people.roster import Called, Roster

ESCALATION = "escalation"
ENGAGED = "engage-"
"""The reason of pages to an expert team begins with this."""
UNATTENDED = "unattended-"
"""The reason of the auditor's pages begins with this."""
TRY_AGAIN = timedelta(minutes=1)
"""How soon a page that reached nobody is tried again; each further time takes twice as long."""
TRY_AGAIN_AT_MOST = timedelta(minutes=15)


@dataclass(frozen=True)
class Due:
    """The pages to queue now, and when the next may be due (None: none while nothing changes)."""

    pages: tuple[e.PageQueued, ...] = ()
    again_at: datetime | None = None

    def __or__(self, other: Due) -> Due:
        moments = [at for at in (self.again_at, other.again_at) if at is not None]
        return Due((*self.pages, *other.pages), min(moments, default=None))


@dataclass(frozen=True)
class _Campaign:
    """One policy being worked through, because of one `reason`."""

    incident: Incident
    reason: str
    prefix: str
    text: str
    tiers: Sequence[Called]
    repeat: int | None
    queued: Sequence[PageState]
    first_round: int


def pages_due(incident: Incident, roster: Roster, now: datetime) -> Due:
    """Escalate by the team's policy until somebody commands.

    The next tier is called when the last one's wait is over, or at once when nobody of it could
    be reached or is on call. The wait counts from when the tier was really called. Every page
    carries the facts of this moment. When command is vacated, the calling begins anew.
    """
    if incident.closed is not None or incident.commander:
        return Due()
    pages = [p for p in incident.pages.values() if p.queued.reason == ESCALATION]
    now_called = [p for p in pages if p.campaign == incident.crew.campaign]
    rounds = [p.queued.round for p in pages if p.campaign != incident.crew.campaign]
    campaign = _Campaign(
        incident=incident,
        reason=ESCALATION,
        prefix="",
        text=new_pages(incident),
        tiers=roster.tiers(incident.opened.team, now),
        repeat=roster.policy_for(incident.opened.team).repeat,
        queued=[p for p in now_called if p.queued.attempt == 0],
        first_round=max(rounds, default=-1) + 1,
    )
    jumps = incident.crew.jumps
    if len(jumps) > incident.crew.past_jumps and all(p.jumps < len(jumps) for p in now_called):
        return _jump(campaign, jumps[-1].tier, now)
    return _advance(campaign, now)


def engagements_due(incident: Incident, roster: Roster, now: datetime) -> Due:
    """Call the expert teams that were engaged, each by its own policy, until one of it answers."""
    due = Due()
    if incident.closed is not None or incident.recovered_at is not None:
        return due
    for team, engagement in incident.crew.engaged.items():
        if not engagement.answered_by:
            due |= team_due(incident, roster, team, now)
    return due


def team_due(incident: Incident, roster: Roster, team: str, now: datetime) -> Due:
    """What is due to an expert team that was engaged and has not answered."""
    reason = f"{ENGAGED}{team}"
    queued = [p for p in incident.pages.values() if p.queued.reason == reason]
    campaign = _Campaign(
        incident=incident,
        reason=reason,
        prefix=f"{reason}.",
        text=f"{incident.crew.engaged[team].event.packet}\n{new_pages(incident)}",
        tiers=roster.tiers(team, now),
        repeat=roster.policy_for(team).repeat,
        queued=[p for p in queued if p.queued.attempt == 0],
        first_round=0,
    )
    return _advance(campaign, now)


def _advance(campaign: _Campaign, now: datetime) -> Due:
    """The next tier of a policy, if it is time for it."""
    called, tiers = campaign.queued, campaign.tiers
    if not called:
        return _call(campaign, campaign.first_round, _next_tier(tiers, 0), now)
    round_, tier = max((p.queued.round, p.queued.tier) for p in called)
    latest = [p for p in called if (p.queued.round, p.queued.tier) == (round_, tier)]
    ends = max(p.at for p in latest) + tiers[min(tier, len(tiers) - 1)].wait
    unreachable = all(p.given_up for p in latest)
    following = _next_tier(tiers, tier + 1)
    if following is None:
        round_, following = round_ + 1, _next_tier(tiers, 0)
        # The wait between rounds is kept even if nobody can be reached: no busy loop.
        unreachable = False
        # A round that reached nobody was none: a pager's outage must not end the calling.
        reached = {p.queued.round for p in called if p.delivered_at is not None}
        if campaign.repeat is not None and len(reached) > campaign.repeat:
            # The end; but the last who were called have their time too.
            return Due(again_at=ends) if now < ends else Due()
    if now >= ends or unreachable:
        return _call(campaign, round_, following, now)
    return Due(again_at=ends)


def _jump(campaign: _Campaign, tier: int, now: datetime) -> Due:
    """A person asked for this tier: it is called now, in a round of its own if need be."""
    position = _next_tier(campaign.tiers, min(tier, len(campaign.tiers) - 1))
    if position is None:
        position = _next_tier(campaign.tiers, 0)
    rounds = [p.queued.round for p in campaign.queued]
    later = [p for p in campaign.queued if p.queued.tier >= (position or 0)]
    last = max((p.queued.round for p in later), default=None)
    round_ = max(rounds, default=campaign.first_round)
    return _call(campaign, round_ + 1 if last == round_ else round_, position, now)


def _next_tier(tiers: Sequence[Called], begin: int) -> int | None:
    """The first tier from `begin` on that has anybody; empty ones are not waited for."""
    return next((i for i in range(begin, len(tiers)) if tiers[i].people), None)


def _call(campaign: _Campaign, round_: int, tier: int | None, now: datetime) -> Due:
    if tier is None:
        return Due()
    pages = tuple(
        e.PageQueued(
            page=f"{campaign.prefix}r{round_}.t{tier}.{person}",
            person=person,
            reason=campaign.reason,
            text=campaign.text,
            round=round_,
            tier=tier,
        )
        for person in campaign.tiers[tier].people
    )
    return Due(pages, now + campaign.tiers[tier].wait)


# ── calls outside a policy ───────────────────────────────────────────────────────────────────


def summons(
    incident: Incident,
    person: str,
    reason: str,
    text: str,
    *,
    asks: e.Asks = "acknowledge",
    about: str = "",
) -> tuple[e.PageQueued, ...]:
    """A page outside the escalation, once for each (reason, person)."""
    page = f"{reason}.{person}"
    if not person or page in incident.pages:
        return ()
    return (
        e.PageQueued(page=page, person=person, reason=reason, text=text, asks=asks, about=about),
    )


def tried_again(incident: Incident, now: datetime) -> Due:
    """The pages that reached nobody for a reason that may pass, queued once more after a while.

    Only while they are still wanted, and only the newest of its kind to the same person.
    """
    newest: dict[tuple[str, str], PageState] = {}
    for page in incident.pages.values():
        newest[(page.queued.reason, page.queued.person)] = page
    lost = [
        page
        for page in newest.values()
        if page.given_up and page.worth_trying and wanted(incident, page)
    ]
    due = Due()
    for page in lost:
        pause = min(TRY_AGAIN * 2**page.queued.attempt, TRY_AGAIN_AT_MOST)
        if now < page.at + pause:
            due |= Due(again_at=page.at + pause)
            continue
        attempt = page.queued.attempt + 1
        base = page.queued.page.removesuffix(f"+{page.queued.attempt}")
        changes = {"page": f"{base}+{attempt}", "attempt": attempt}
        due |= Due((page.queued.model_copy(update=changes),))
    return due


def wanted(incident: Incident, page: PageState) -> bool:
    """Whether this page still makes sense. Once somebody commands, nobody else is woken."""
    if incident.closed is not None:
        return False
    reason = page.queued.reason
    if reason == ESCALATION:
        return not incident.commander and page.campaign == incident.crew.campaign
    if reason.startswith(UNATTENDED):
        return not incident.commander
    if reason.startswith(ENGAGED):
        engaged = incident.crew.engaged.get(reason.removeprefix(ENGAGED))
        return engaged is None or not engaged.answered_by
    if page.queued.asks == "answer":
        request = incident.crew.requests.get(page.queued.about)
        return request is None or request.open
    if page.queued.asks == "send":
        update = incident.word.updates.get(page.queued.about)
        return update is None or not update.sent
    if page.queued.asks == "alive":
        asked = incident.crew.asked
        return asked is not None and asked.person == page.queued.person
    return True


def alert_of(page: e.PageQueued) -> str:
    """Which alert of a pager that keeps state the page belongs to; empty for the incident's own.

    All calls to respond are one alert. Whatever is asked of somebody who is there already is
    another: such pagers stay silent about an alert that was acknowledged.
    """
    return "" if page.reason == ESCALATION or page.reason.startswith(UNATTENDED) else page.page


def pending(incident: Incident) -> list[PageState]:
    """The pages that still have to be delivered, without those that nobody needs any more."""
    return [page for page in incident.pages.values() if page.pending and wanted(incident, page)]


def unattended(incident: Incident, roster: Roster, now: datetime) -> str:
    """Why this incident is a defect of ours: nobody commands, and nobody is being called.

    Empty if all is well. A page is being made while it is pending, and a call is on its way
    while the policy still has one to come.
    """
    if incident.closed is not None or incident.commander or incident.recovered_at is not None:
        return ""
    if any(page.pending for page in incident.pages.values() if wanted(incident, page)):
        return ""
    due = pages_due(incident, roster, now) | tried_again(incident, now)
    if due.pages:
        return "calls are due and are not being made"
    if due.again_at is None:
        return "nobody responded, and the escalation policy has come to its end"
    return ""


def reached(pages: Iterable[PageState]) -> list[PageState]:
    """Those that a pager took."""
    return [page for page in pages if page.delivered_at is not None]


def new_pages(incident: Incident) -> str:
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
