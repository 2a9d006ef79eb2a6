"""Which pages a policy has due, and when to look again. Pure: the journal holds what was queued.

Everything here follows from three things: the tiers of a policy as they are at this moment, the
pages that were queued so far, and the clock. So a restart neither skips nor repeats a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Called, Roster
from daemon.core.response.call_answers import enough_came, has_declined, willing
from daemon.core.response.paging import headline


@dataclass(frozen=True)
class _Campaign:
    """One policy being worked through, for one occasion. `facts`: the part of `text` that tells
    how the incident stands. `called`: by it so far; `declined`: the pages whose person has said
    since that they cannot come."""

    purpose: Purpose
    about: str
    occasion: int
    text: str
    facts: str
    tiers: Sequence[Called]
    repeat: int | None
    called: Sequence[PageState]
    first_round: int
    declined: frozenset[str] = frozenset()
    acknowledgements: int = 1


CLOCKS_APART = timedelta(minutes=1)
"""So far the clocks of replicas may differ. A page from further in the future was stamped by a
clock that was wrong, and a wait that counted from it would last until that moment comes."""
MOST_PAGE_HOLD = timedelta(seconds=10)
"""The longest that a first page may be held for."""


def pages_due(
    incident: Incident,
    roster: Roster,
    now: datetime,
    hold: timedelta = timedelta(0),
    *,
    gathers: bool = False,
) -> Decision:
    """Escalate by the team's policy until somebody commands, and as many are there as it asks for,
    or service is restored.

    The next tier is called when the last one's wait is over, or at once when nobody of it could
    be reached or is on call. The wait counts from when the tier was really called. Every page
    carries the facts of this moment. When command is vacated, and after a relapse, the calling
    begins anew. The first page of all waits for the first measurement, so that it tells the
    problem: until so long after the opening (`hold`), whatever the measurement does. It waits so
    long, too, while others begin to alert beside it (`gathers`), and from the end of a maintenance
    that held it, which releases others: they may be a storm, one page.
    """
    policy = roster.policy_for(incident.opened.team)
    over = incident.closed is not None or incident.recovered_at is not None
    if over or enough_came(incident, policy.acknowledgements):
        return Decision()
    occasion = occasion_of(incident, "escalation")
    # Whoever is there without anybody commanding is called all the same.
    there = incident.responders if incident.commander else ()
    pages = [page for page in incident.pages.values() if page.is_for("escalation")]
    present = [page for page in pages if page.occasion == occasion]
    facts = headline(incident)
    former_rounds = [page.queued.round for page in pages if page.occasion != occasion]
    campaign = _Campaign(
        purpose="escalation",
        about="",
        occasion=occasion,
        text=facts,
        facts=facts,
        tiers=willing(incident, roster.tiers(incident.opened.team, now), there),
        repeat=policy.repeat,
        called=[page for page in present if page.queued.attempt == 0],
        first_round=max(former_rounds, default=-1) + 1,
        declined=_declined(incident, present),
        acknowledgements=policy.acknowledgements,
    )
    if incident.commander:  # a jump calls people by itself then
        return _advance(campaign, now)
    jumps = incident.people.jumps
    served = any(p.is_for("jump") and p.occasion == len(jumps) for p in incident.pages.values())
    asked = len(jumps) > incident.people.past_jumps and not served
    if asked and all(p.jumps < len(jumps) for p in present):
        return _jump(campaign, jumps[-1].tier, now)
    held_until = held_for_others(incident, hold, now)
    unmeasured = bool(incident.rule) and incident.problem is None
    released = incident.organization.released_at is not None
    if held_until is not None and not pages and (gathers or unmeasured or released):
        return Decision(wake_at=held_until)
    return _advance(campaign, now)


def held_for_others(incident: Incident, hold: timedelta, now: datetime) -> datetime | None:
    """Until when the first page waits while others begin beside it; None if that is over."""
    held_until = incident.clock_from + hold
    # An opening that was stamped by a clock minutes ahead holds nothing until then.
    return held_until if incident.clock_from - hold <= now < held_until else None


def engagements_due(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """Call the expert teams that were engaged, each by its own policy, until one of it answers."""
    due = Decision()
    if incident.closed is not None or incident.recovered_at is not None:
        return due
    for team, engagement in incident.people.engaged.items():
        if not engagement.answered_by:
            due |= team_due(incident, roster, team, now)
    return due


def team_due(incident: Incident, roster: Roster, team: str, now: datetime) -> Decision:
    """What is due to an expert team that was engaged and has not answered. Whoever asked for it is
    not called by it, even if they are of that team."""
    pages = [page for page in incident.pages.values() if page.is_for("engagement", team)]
    facts = headline(incident)
    engaged = incident.people.engaged[team].event
    campaign = _Campaign(
        purpose="engagement",
        about=team,
        occasion=occasion_of(incident, "engagement", team),
        text=f"{engaged.packet}\n{facts}",
        facts=facts,
        tiers=willing(incident, roster.tiers(team, now), (engaged.person,)),
        repeat=roster.policy_for(team).repeat,
        called=[page for page in pages if page.queued.attempt == 0],
        first_round=0,
        declined=_declined(incident, pages),
    )
    return _advance(campaign, now)


def _declined(incident: Incident, pages: Sequence[PageState]) -> frozenset[str]:
    return frozenset(page.queued.page for page in pages if has_declined(incident, page))


def _advance(campaign: _Campaign, now: datetime) -> Decision:
    """The next tier of a policy, if it is time for it."""
    called, tiers = campaign.called, campaign.tiers
    if not called:
        return _call(campaign, campaign.first_round, _next_tier(tiers, 0), now)
    round_, tier = max((p.queued.round, p.queued.tier) for p in called)
    latest = [p for p in called if (p.queued.round, p.queued.tier) == (round_, tier)]
    begun = max(p.at for p in latest)
    # Nobody knows when it really was: somebody is called too early rather than much too late.
    wait = tiers[min(tier, len(tiers) - 1)].wait
    ends = begun + wait if begun - now <= CLOCKS_APART else now
    unreachable = all(p.given_up or p.queued.page in campaign.declined for p in latest)
    following = _next_tier(tiers, tier + 1)
    if following is None:
        round_, following = round_ + 1, _next_tier(tiers, 0)
        # The wait between rounds is kept even if nobody can be reached: no busy loop.
        unreachable = False
        # A round that reached nobody was none: a pager's outage must not end the calling, nor
        # must a round that everybody declined.
        rounds = {
            p.queued.round
            for p in called
            if p.delivered_at is not None and p.queued.page not in campaign.declined
        }
        if campaign.repeat is not None and len(rounds) > campaign.repeat:
            # The end; but the last who were called have their time too.
            return Decision(wake_at=ends) if now < ends else Decision()
    if now >= ends or unreachable:
        return _call(campaign, round_, following, now)
    return Decision(wake_at=ends)


def _jump(campaign: _Campaign, tier: int, now: datetime) -> Decision:
    """A person asked for this tier: it is called now, in a round of its own if need be."""
    position = _next_tier(campaign.tiers, min(tier, len(campaign.tiers) - 1))
    if position is None:
        position = _next_tier(campaign.tiers, 0)
    rounds = [p.queued.round for p in campaign.called]
    later = [p for p in campaign.called if p.queued.tier >= (position or 0)]
    last = max((p.queued.round for p in later), default=None)
    round_ = max(rounds, default=campaign.first_round)
    return _call(campaign, round_ + 1 if last == round_ else round_, position, now)


def _next_tier(tiers: Sequence[Called], begin: int) -> int | None:
    """The first tier from `begin` on that has anybody; empty ones are not waited for."""
    return next((i for i in range(begin, len(tiers)) if tiers[i].people), None)


def _call(campaign: _Campaign, round_: int, tier: int | None, now: datetime) -> Decision:
    if tier is None:
        return Decision()
    pages = tuple(
        e.PageQueued(
            page=page_id(
                campaign.purpose,
                campaign.about,
                campaign.occasion,
                person,
                round_=round_,
                tier=tier,
            ),
            person=person,
            purpose=campaign.purpose,
            about=campaign.about,
            occasion=campaign.occasion,
            text=campaign.text,
            facts=campaign.facts,
            round=round_,
            tier=tier,
            acknowledgements=campaign.acknowledgements,
        )
        for person in campaign.tiers[tier].people
    )
    return Decision(record=pages, wake_at=now + campaign.tiers[tier].wait)
