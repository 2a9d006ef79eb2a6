"""Whatever the policy, whatever fails and whoever comes and goes: nobody is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings

from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from daemon.core.response.escalation import pages_due
from daemon.core.response.open_pages import retries_due, unattended, undelivered
from tests.core.calling import SPAN, Call, Night, bounded, escalated, gaps, moves, unbounded

# ── (a) never silence ────────────────────────────────────────────────────────────────────────


class Attended(Night):
    def check(self) -> None:
        if self.commander:
            return
        due = pages_due(self.incident, self.roster, self.now)
        assert due.wake_at is not None
        assert self.now < due.wake_at <= self.now + self.longest
        waiting = [p for p in undelivered(self.incident) if p.queued.purpose == "escalation"]
        recent = [c for c in escalated(self) if self.now - c.at <= self.longest]
        assert waiting or recent
        assert unattended(self.incident, self.roster, self.now) == ""


@settings(max_examples=250)
@given(unbounded, moves)
def test_it_is_never_silent_while_nobody_commands(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Attended(roster)
    night.does_all(course)
    alone = not any(isinstance(x.event, e.CommanderAppointed) for x in night.journal)
    for a, b in gaps(night):
        assert not alone or b - a <= night.longest


class Bounded(Night):
    def check(self) -> None:
        if self.commander:
            assert unattended(self.incident, self.roster, self.now) == ""
            return
        waiting = undelivered(self.incident)
        recent = [c for c in self.queued if self.now - c.at < self.longest]
        retried = retries_due(self.incident, self.now).wake_at
        alarm = unattended(self.incident, self.roster, self.now)
        assert waiting or recent or retried or alarm
        assert not (waiting and alarm), "a page is being made"
        due = pages_due(self.incident, self.roster, self.now)
        assert bool(alarm) == (not waiting and due.wake_at is None and retried is None)


@settings(max_examples=250)
@given(bounded, moves)
def test_a_bounded_policy_that_has_ended_is_found_within_the_wait(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Bounded(roster)
    night.does_all(course)
    repeat = roster.policies["shop"].repeat
    assert repeat is not None
    if night.commander or night.incident.people.jumps:
        return
    # Everybody is reached from now on, and nobody comes: then it does end.
    night.passes_(0)
    for _ in range(40):
        while undelivered(night.incident):
            night.delivers_(0)
        night.passes_(1200)
    night.now += timedelta(hours=9)
    night.wake()
    assert "has come to its end" in unattended(night.incident, roster, night.now)


# ── (b) never a call while somebody commands ─────────────────────────────────────────────────


class Commanded(Night):
    def check(self) -> None:
        if not self.commander:
            return
        assert not [p for p in undelivered(self.incident) if p.queued.purpose == "escalation"]
        assert not pages_due(self.incident, self.roster, self.now).record
        assert pages_due(self.incident, self.roster, self.now + SPAN).record == ()
        assert not [
            page
            for page in retries_due(self.incident, self.now + SPAN).record
            if page.purpose == "escalation"
        ]


@settings(max_examples=250)
@given(unbounded, moves)
def test_nobody_is_called_by_the_policy_while_somebody_commands(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Commanded(roster)
    night.does_all(course)
    for before, after in pairwise(night.journal):
        if isinstance(after.event, e.PageQueued) and after.event.purpose == "escalation":
            assert not isinstance(before.event, e.CommanderAppointed)


# ── (c) restarts ─────────────────────────────────────────────────────────────────────────────


@settings(max_examples=200)
@given(unbounded | bounded, moves)
def test_a_restart_at_any_point_changes_nothing(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    steady, shaky = Night(roster), Night(roster, restarts=True)
    steady.does_all(course)
    shaky.does_all(course)
    assert shaky.queued == steady.queued
    assert shaky.incident == steady.incident == steady.restarted()
    names = [call.page.page for call in steady.queued]
    assert len(set(names)) == len(names)


# ── (d) order ────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=250)
@given(unbounded | bounded, moves)
def test_tiers_follow_each_other_and_only_a_jump_goes_back(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Night(roster)
    night.does_all(course)
    batches: dict[tuple[Any, ...], Call] = {}
    for call in escalated(night):
        batches.setdefault((call.campaign, call.page.round, call.page.tier), call)
    for a, b in pairwise(batches.values()):
        earlier, later = (a.page.round, a.page.tier), (b.page.round, b.page.tier)
        if a.campaign != b.campaign:
            assert b.page.round == a.page.round + 1
            if b.jumps == a.jumps:
                tiers = roster.tiers("shop", b.at)
                first = next(n for n, tier in enumerate(tiers) if tier.people)
                assert b.page.tier == first, "it begins anew"
            continue
        assert later > earlier
        if a.jumps == b.jumps:
            assert b.page.round - a.page.round in {0, 1}


@given(unbounded, moves)
def test_everybody_of_a_tier_is_called_together(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Night(roster)
    night.does_all(course)
    for call in escalated(night):
        people = roster.tiers("shop", call.at)[call.page.tier].people
        together = [
            c.page.person
            for c in escalated(night)
            if replace(c, page=call.page) == call
            and (c.page.round, c.page.tier) == (call.page.round, call.page.tier)
        ]
        assert tuple(together) == people
