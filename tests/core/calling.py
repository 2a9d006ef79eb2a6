"""Any policy, and any course of a night: what the properties of the escalation are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.incident.state import PageState
from daemon.core.people.roster import LAST_RESORT_WAIT, Roster
from daemon.core.people.schedules import Shift
from daemon.core.response.command import NotPossible
from daemon.core.response.escalation import pages_due
from daemon.core.response.open_pages import retries_due, undelivered
from tests import commanding
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
            due |= retries_due(self.incident, self.now)
            if not due.record:
                self.check()
                return due.wake_at
            for page in due.record:
                assert page.page not in self.incident.pages
                crew = self.incident.people
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
        waiting = undelivered(self.incident)
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
        report = commanding.RecordPagerReport(
            source="pagerduty",
            state=said,  # type: ignore[arg-type]
            person=person,
            who=person,
            occurred_at=self.now,
            reference=str(len(self.journal)),
        )
        self.happen(*commanding.mark_heard(self.incident, report, self.now, STALE))

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
            events = commanding.jump(self.incident, self.roster, tier, "bo", self.now)
        except NotPossible:
            return
        self.does("bo", *events)


def escalated(night: Night) -> list[Call]:
    """The calls of the policy, without those that were tried again."""
    return [c for c in night.queued if c.page.purpose == "escalation" and not c.page.attempt]


def gaps(night: Night) -> list[tuple[datetime, datetime]]:
    """Between which moments nothing happened in a policy while the daemon was up."""
    moments = [call.at for call in escalated(night)]
    return [
        (a, b)
        for a, b in pairwise(sorted({*moments, night.now}))
        if not any(a < down <= b for down in night.down_at)
    ]
