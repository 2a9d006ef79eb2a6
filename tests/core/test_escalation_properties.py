"""Whatever the policy, whatever fails and whoever comes and goes: nobody is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core import deeds
from daemon.core import events as e
from daemon.core.escalation import ESCALATION, pages_due, pending, tried_again, unattended
from daemon.core.incident import PageState
from daemon.core.roles import NotPossible
from daemon.core.roster import LAST_RESORT_WAIT, Roster
from daemon.core.schedules import Shift
from tests.core.build import MINUTE, NOW, SECOND
from tests.core.scene import ROUNDS, Scene

PEOPLE = ("ada", "bo", "cy", "dee", "eve")
STALE = 10 * MINUTE
SPAN = 300 * MINUTE

# ── policies ─────────────────────────────────────────────────────────────────────────────────

shifts = st.lists(
    st.tuples(
        st.integers(0, 250),
        st.integers(1, 60),
        st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True),
    ),
    max_size=4,
).map(
    lambda told: [
        Shift(NOW + begin * MINUTE, NOW + (begin + length) * MINUTE, tuple(people))
        for begin, length, people in told
    ]
)
tiers = st.fixed_dictionaries(
    {
        "notify": st.lists(
            st.sampled_from([*PEOPLE, "night", "day", "nobody", "pair"]), min_size=1, max_size=3
        ),
        "wait": st.sampled_from(["1m", "90s", "5m", "20m"]),
    }
)


@st.composite
def rosters(draw: st.DrawFn, repeat: st.SearchStrategy[int | None]) -> Roster:
    """One to four tiers of people, teams (one without owners) and schedules with gaps."""
    policy = {"tiers": draw(st.lists(tiers, min_size=1, max_size=4)), "repeat": draw(repeat)}
    roster = Roster.model_validate(
        {
            "people": {n: {"name": n, "contact": [{"console": True}]} for n in PEOPLE},
            "teams": {
                "shop": {"owners": ["cy"], "lead": "bo", "policy": "shop"},
                "nobody": {"owners": [], "policy": "shop"},
                "pair": {"owners": ["ada", "eve"], "policy": "shop"},
            },
            "schedules": {
                name: {"zone": "UTC", "calendar": {"file": "x.ics"}} for name in ("night", "day")
            },
            "policies": {"shop": policy},
            "default_policy": "shop",
        }
    )
    return roster.knowing({"night": draw(shifts), "day": draw(shifts)})


unbounded = rosters(st.none())
bounded = rosters(st.integers(0, 2))

# ── courses ──────────────────────────────────────────────────────────────────────────────────

seconds = st.sampled_from([0, 1, 30, 59, 60, 61, 299, 300, 301, 1200, 3600])
any_of = st.integers(0, 9)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), seconds),
        st.tuples(st.just("passes"), seconds),
        st.tuples(st.just("is_down"), seconds),
        st.tuples(st.just("delivers"), any_of),
        st.tuples(st.just("delivers"), any_of),
        st.tuples(st.just("fails_for_now"), any_of),
        st.tuples(st.just("fails_for_good"), any_of),
        st.tuples(st.just("acknowledges"), any_of),
        st.tuples(st.just("acknowledges_in_the_pager"), any_of),
        st.tuples(st.just("unacknowledges_in_the_pager"), any_of),
        st.tuples(st.just("leaves"), any_of),
        st.tuples(st.just("jumps"), any_of),
    ),
    max_size=30,
)


@dataclass(frozen=True)
class Call:
    """One page as it was queued."""

    at: datetime
    page: e.PageQueued
    campaign: int
    jumps: int


class Night(Scene):
    """The daemon wakes when it said it would, or is down; people do what they do."""

    def __init__(self, roster: Roster, *, restarts: bool = False) -> None:
        super().__init__(roster=roster)
        self.restarts = restarts
        self.queued: list[Call] = []
        self.down_at: list[datetime] = []
        self.longest = max(
            [t.wait for t in roster.policies["shop"].tiers] + [LAST_RESORT_WAIT],
        )
        self.wake()

    def does_all(self, course: list[tuple[str, int]]) -> None:
        for deed, number in course:
            getattr(self, f"{deed}_")(number)
            if self.restarts:
                self.incident = self.restarted()
            self.wake()

    def wake(self) -> datetime | None:
        """Decide until there is nothing to decide; returns when to wake up."""
        for _ in range(ROUNDS):
            due = pages_due(self.incident, self.roster, self.now)
            due |= tried_again(self.incident, self.now)
            if not due.pages:
                self.check()
                return due.again_at
            for page in due.pages:
                assert page.page not in self.incident.pages
                crew = self.incident.crew
                self.queued.append(Call(self.now, page, crew.campaign, len(crew.jumps)))
                self.happen(page)
        raise AssertionError("it calls without end")

    def check(self) -> None:
        """For a test to say what holds at every moment."""

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    def passes_(self, number: int) -> None:
        until = min(self.now + number * SECOND, NOW + SPAN)
        while True:
            wake_at = self.wake()
            if wake_at is None or wake_at > until:
                break
            assert wake_at > self.now
            self.now = wake_at
        self.now = max(until, self.now)

    def is_down_(self, number: int) -> None:
        self.now = min(self.now + number * SECOND, NOW + SPAN)
        self.down_at.append(self.now)

    def _waiting(self, number: int) -> PageState | None:
        waiting = pending(self.incident)
        return waiting[number % len(waiting)] if waiting else None

    def delivers_(self, number: int) -> None:
        if page := self._waiting(number):
            self.happen(e.PageDelivered(page=page.queued.page, method="console", proof="x"))

    def _fails(self, number: int, *, temporary: bool) -> None:
        if page := self._waiting(number):
            told = {"method": "console", "error": "x", "last": number != 9}
            self.happen(e.PageFailed(page=page.queued.page, temporary=temporary, **told))

    def fails_for_now_(self, number: int) -> None:
        self._fails(number, temporary=True)

    def fails_for_good_(self, number: int) -> None:
        self._fails(number, temporary=False)

    def acknowledges_(self, number: int) -> None:
        self.come(PEOPLE[number % len(PEOPLE)])

    def _says(self, said: str, person: str) -> None:
        report = deeds.Report(
            source="pagerduty",
            said=said,  # type: ignore[arg-type]
            person=person,
            who=person,
            occurred_at=self.now,
            reference=str(len(self.journal)),
        )
        self.happen(*deeds.heard(self.incident, report, self.now, STALE))

    def acknowledges_in_the_pager_(self, number: int) -> None:
        self._says("acknowledged", PEOPLE[number % len(PEOPLE)])

    def unacknowledges_in_the_pager_(self, number: int) -> None:
        self._says("unacknowledged", (*PEOPLE, "")[number % 6])

    def leaves_(self, _: int) -> None:
        if self.commander:
            self.leaves(self.commander)

    def jumps_(self, number: int) -> None:
        tier = number % len(self.roster.tiers("shop", self.now)) + 1
        try:
            events = deeds.jump(self.incident, self.roster, tier, "bo", self.now)
        except NotPossible:
            return
        self.does("bo", *events)


def escalated(night: Night) -> list[Call]:
    """The calls of the policy, without those that were tried again."""
    return [c for c in night.queued if c.page.reason == ESCALATION and not c.page.attempt]


def gaps(night: Night) -> list[tuple[datetime, datetime]]:
    """Between which moments nothing happened in a policy while the daemon was up."""
    moments = [call.at for call in escalated(night)]
    return [
        (a, b)
        for a, b in pairwise(sorted({*moments, night.now}))
        if not any(a < down <= b for down in night.down_at)
    ]


# ── (a) never silence ────────────────────────────────────────────────────────────────────────


class Attended(Night):
    def check(self) -> None:
        if self.commander:
            return
        due = pages_due(self.incident, self.roster, self.now)
        assert due.again_at is not None
        assert self.now < due.again_at <= self.now + self.longest
        waiting = [p for p in pending(self.incident) if p.queued.reason == ESCALATION]
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
        waiting = pending(self.incident)
        recent = [c for c in self.queued if self.now - c.at < self.longest]
        retried = tried_again(self.incident, self.now).again_at
        alarm = unattended(self.incident, self.roster, self.now)
        assert waiting or recent or retried or alarm
        assert not (waiting and alarm), "a page is being made"
        due = pages_due(self.incident, self.roster, self.now)
        assert bool(alarm) == (not waiting and due.again_at is None and retried is None)


@settings(max_examples=250)
@given(bounded, moves)
def test_a_bounded_policy_that_has_ended_is_found_within_the_wait(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Bounded(roster)
    night.does_all(course)
    repeat = roster.policies["shop"].repeat
    assert repeat is not None
    if night.commander or night.incident.crew.jumps:
        return
    # Everybody is reached from now on, and nobody comes: then it does end.
    night.passes_(0)
    for _ in range(40):
        while pending(night.incident):
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
        assert not [p for p in pending(self.incident) if p.queued.reason == ESCALATION]
        assert not pages_due(self.incident, self.roster, self.now).pages
        assert pages_due(self.incident, self.roster, self.now + SPAN).pages == ()
        assert not [
            page
            for page in tried_again(self.incident, self.now + SPAN).pages
            if page.reason == ESCALATION
        ]


@settings(max_examples=250)
@given(unbounded, moves)
def test_nobody_is_called_by_the_policy_while_somebody_commands(
    roster: Roster, course: list[tuple[str, int]]
) -> None:
    night = Commanded(roster)
    night.does_all(course)
    for before, after in pairwise(night.journal):
        if isinstance(after.event, e.PageQueued) and after.event.reason == ESCALATION:
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
