"""What somebody who was called answers beside coming: "not me", or "again in a quarter of an hour".

Neither leaves anybody uncalled. Who declines is passed over from then on, and the next tier is
called at once if nobody else of theirs may still come; once all have declined, all are called
again, round by round. Who asks for another call is waited for as somebody who has not answered:
the policy goes on meanwhile, and they are called again when the time has come.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.decision import Decision, recording
from daemon.core.incident import events as e
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Called, Roster
from daemon.core.response.command import Command, CommandSituation, NotPossible, optional_text
from daemon.core.response.paging import direct_page, headline
from daemon.core.values.units import format_duration

SNOOZES: tuple[timedelta, ...] = (timedelta(minutes=5), timedelta(minutes=15))
"""For how long a call can be put off with one tap."""
LONGEST_CALL_SNOOZE = timedelta(minutes=60)
SUMMONS: frozenset[Purpose] = frozenset(
    {"escalation", "engagement", "unattended", "severity", "jump", "snoozed", "storm"}
)
"""The purposes of calls that want somebody to come, and so can be declined."""


def enough_came(incident: Incident, acknowledgements: int) -> bool:
    """Whether somebody commands and so many people are there. After the recovery one is enough:
    nobody is woken for the number's sake."""
    if not incident.commander:
        return False
    there = max(len(incident.responders), 1)  # a deputy commands, and may not have answered
    return incident.recovered_at is not None or there >= acknowledgements


def is_summoned(incident: Incident, person: str) -> bool:
    """Whether this person was called to come, and is not there."""
    called = any(
        page.queued.purpose in SUMMONS and page.queued.person == person
        for page in incident.pages.values()
    )
    return called and person not in incident.responders


def has_declined(incident: Incident, page: PageState) -> bool:
    """Whether the person of this page has declined since it was queued."""
    return incident.call_answers.declined_since(page.queued.person, page.at)


def willing(
    incident: Incident, tiers: Sequence[Called], there: Collection[str] = ()
) -> list[Called]:
    """The tiers of this calling without those who declined in it; with them, if that is nobody.
    Those who are `there` need no call."""
    campaign, declined = incident.people.campaign, incident.call_answers.declined
    away = {person for person, answer in declined.items() if answer.campaign == campaign}
    return without_declined(tiers, away, there)


def without_declined(
    tiers: Sequence[Called], declined: Collection[str], there: Collection[str]
) -> list[Called]:
    """The tiers without those who `declined`; with them, if that is nobody. Those who are `there`
    need no call."""
    found = _without(tiers, {*declined, *there})
    return found if any(tier.people for tier in found) else _without(tiers, there)


def _without(tiers: Sequence[Called], people: Collection[str]) -> list[Called]:
    return [
        tier.model_copy(update={"people": tuple(p for p in tier.people if p not in people)})
        for tier in tiers
    ]


def snoozed_calls_due(
    incident: Incident, roster: Roster, now: datetime, elsewhere: Collection[str] = ()
) -> Decision:
    """Call again whoever put their call off, when the time has come and they are still needed.
    `elsewhere`: who is called again by the page of a storm."""
    due = Decision()
    if incident.closed is not None or incident.recovered_at is not None:
        return due
    wanted = roster.policy_for(incident.opened.team).acknowledgements
    if enough_came(incident, wanted):
        return due
    for person, snoozed in incident.call_answers.snoozed.items():
        here = person in incident.responders or person not in roster.people or person in elsewhere
        if here or snoozed.campaign != incident.people.campaign:
            continue  # a calling that began anew has called them
        if now < snoozed.until:
            due |= Decision(wake_at=snoozed.until)
            continue
        page = direct_page(incident, person, "snoozed", headline(incident), person)
        due |= recording(*page)
    return due


def _summoned(incident: Incident, person: str, what: str) -> None:
    """Raises NotPossible unless this person was called to come, and is not there."""
    if person in incident.responders:
        raise NotPossible(
            f"you respond already, so there is no call to {what}; "
            f"`stopgap leave {incident.id}` takes you off it"
        )
    if not is_summoned(incident, person) and incident.storm is not None:
        raise NotPossible(
            f"it is called for by the page of a storm, so there is no call of its own to {what}; "
            f"use the link in that page, or the incident that it names"
        )
    if not is_summoned(incident, person):
        raise NotPossible(f"you were not called for this incident, so there is nothing to {what}")


@dataclass(frozen=True)
class DeclineCall(Command):
    """Say that you cannot come: whoever is next is called at once."""

    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        person = situation.person
        _summoned(incident, person, "decline")
        newest = max(
            page.at
            for page in incident.pages.values()
            if page.queued.purpose in SUMMONS and page.queued.person == person
        )
        if incident.call_answers.declined_since(person, newest):
            return ()
        reason = optional_text(self.reason)
        return (e.CallDeclined(person=person, via=situation.via, reason=reason),)


@dataclass(frozen=True)
class SnoozeCall(Command):
    """Be called again after a while; the policy goes on meanwhile, as without an answer."""

    last: timedelta = SNOOZES[0]

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        _summoned(incident, situation.person, "snooze")
        if not timedelta(minutes=1) <= self.last <= LONGEST_CALL_SNOOZE:
            raise NotPossible(
                f"a call is put off for 1m to {format_duration(LONGEST_CALL_SNOOZE)}; "
                f"`stopgap decline {incident.id}` has the next one called instead"
            )
        until = situation.now + self.last
        return (e.CallSnoozed(person=situation.person, until=until, via=situation.via),)
