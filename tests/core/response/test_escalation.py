"""People are called until somebody comes: never silence before, never a call after."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event, fold
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.escalation import pages_due
from daemon.core.response.open_pages import retries_due, undelivered
from daemon.core.response.paging import direct_page, headline
from tests.core.build import (
    ACKNOWLEDGED,
    HOUR,
    MINUTE,
    NOW,
    ROSTER,
    SECOND,
    ago,
    confirmed,
    entries,
    finished,
    make_incident,
    make_problem,
    opening,
    page_queued,
    started,
)

TWICE = Roster.model_validate(
    {**ROSTER.model_dump(), "teams": {"shop": {"owners": ["ada"], "policy": "twice"}}}
)


def queued(incident: Incident, due: Decision, at: Any) -> Incident:
    for page in due.record:
        incident = apply_event(incident, at, page)
    return incident


def reached(page: str) -> e.PageDelivered:
    return e.PageDelivered(page=page, method="console", proof="written")


def failed(page: str, last: bool = True, temporary: bool = False) -> e.PageFailed:
    return e.PageFailed(
        page=page, method="webhook", error="refused", last=last, temporary=temporary
    )


def test_the_first_tier_is_called_at_once() -> None:
    due = pages_due(make_incident(), ROSTER, NOW)
    assert [(p.page, p.person, p.round, p.tier) for p in due.record] == [("r0.t0.ada", "ada", 0, 0)]
    assert due.wake_at == NOW + 5 * MINUTE
    assert due.record[0].text == "CheckoutFails · measuring now"


def test_the_next_tier_is_called_when_the_wait_is_over() -> None:
    incident = make_incident(page_queued())
    assert pages_due(incident, ROSTER, NOW) == Decision(wake_at=NOW + 5 * MINUTE)
    assert pages_due(incident, ROSTER, NOW + 5 * MINUTE - SECOND).record == ()
    due = pages_due(incident, ROSTER, NOW + 5 * MINUTE)
    assert [p.page for p in due.record] == ["r0.t1.bo", "r0.t1.cy"]


def test_the_wait_counts_from_the_real_call() -> None:
    """A daemon that was down for an hour calls the next tier once, not all that it missed."""
    incident = make_incident((ago(60), page_queued()))
    due = pages_due(incident, ROSTER, NOW)
    assert {p.tier for p in due.record} == {1}
    incident = queued(incident, due, NOW)
    assert pages_due(incident, ROSTER, NOW) == Decision(wake_at=NOW + 5 * MINUTE)


@pytest.mark.parametrize(
    ("ahead", "waits"), [(30 * SECOND, 5 * MINUTE + 30 * SECOND), (2 * MINUTE, None), (HOUR, None)]
)
def test_a_page_from_the_future_delays_nobody_for_as_long(
    ahead: timedelta, waits: timedelta | None
) -> None:
    """By a replica whose clock was ahead and that has died, or before the clock was set back."""
    incident = make_incident((NOW + ahead, page_queued()))
    due = pages_due(incident, ROSTER, NOW)
    if waits is not None:
        assert due == Decision(wake_at=NOW + waits)
        return
    assert [p.page for p in due.record] == ["r0.t1.bo", "r0.t1.cy"]
    # That is stamped by a clock that is right, and waited for as ever: no second call at once.
    incident = queued(incident, due, NOW)
    assert pages_due(incident, ROSTER, NOW + SECOND) == Decision(wake_at=NOW + 5 * MINUTE)


def test_the_first_page_waits_while_others_begin_beside_it_and_no_longer_than_the_hold() -> None:
    """A storm may come of them; whatever was measured meanwhile, nobody is left uncalled."""
    hold = 2 * SECOND
    measured = make_incident(confirmed())
    due = pages_due(measured, ROSTER, measured.opened_at, hold, gathers=True)
    assert due == Decision(wake_at=measured.opened_at + hold)
    assert pages_due(measured, ROSTER, measured.opened_at + hold, hold, gathers=True).record
    assert pages_due(measured, ROSTER, measured.opened_at, hold).record, "it began alone"
    assert pages_due(measured, ROSTER, measured.opened_at, gathers=True).record, "nothing is held"


def test_an_opening_from_the_future_holds_no_first_page() -> None:
    hold = 2 * SECOND
    opened = fold(entries((NOW + HOUR, opening())))
    assert pages_due(opened, ROSTER, NOW, hold).record
    a_little = fold(entries((NOW + SECOND, opening())))
    assert pages_due(a_little, ROSTER, NOW, hold) == Decision(wake_at=NOW + 3 * SECOND)


def test_a_tier_that_nobody_can_reach_gives_way_at_once() -> None:
    unreached = make_incident(page_queued(), failed("r0.t0.ada"))
    assert [p.tier for p in pages_due(unreached, ROSTER, NOW).record] == [1, 1]
    one_way_left = make_incident(page_queued(), failed("r0.t0.ada", last=False))
    assert pages_due(one_way_left, ROSTER, NOW).record == ()


def test_one_of_a_tier_who_is_reached_is_waited_for() -> None:
    tier = [page_queued(f"r0.t1.{who}", who, tier=1) for who in ("bo", "cy")]
    incident = make_incident(page_queued(), *tier, failed("r0.t1.bo"))
    assert pages_due(incident, ROSTER, NOW).record == ()


def test_rounds_are_kept_apart_even_if_nobody_can_be_reached() -> None:
    """No busy loop: the last tier's wait is kept before the first is called again."""
    tier = [page_queued(f"r0.t1.{who}", who, tier=1) for who in ("bo", "cy")]
    dead = [failed(f"r0.t1.{who}") for who in ("bo", "cy")]
    incident = make_incident(page_queued(), failed("r0.t0.ada"), *tier, *dead)
    assert pages_due(incident, ROSTER, NOW) == Decision(wake_at=NOW + 5 * MINUTE)
    due = pages_due(incident, ROSTER, NOW + 5 * MINUTE)
    assert [p.page for p in due.record] == ["r1.t0.ada"]


def test_a_bounded_policy_ends_after_its_rounds() -> None:
    incident = make_incident(page_queued(), reached("r0.t0.ada"))
    due = pages_due(incident, TWICE, NOW + 5 * MINUTE)
    assert [p.page for p in due.record] == ["r1.t0.ada"]
    second = apply_event(queued(incident, due, NOW), NOW, reached("r1.t0.ada"))
    assert pages_due(second, TWICE, NOW + MINUTE) == Decision(wake_at=NOW + 5 * MINUTE)
    assert pages_due(second, TWICE, NOW + 99 * MINUTE) == Decision()


def test_a_round_that_reached_nobody_does_not_count() -> None:
    """An outage of the pager must not end the calling."""
    incident = make_incident(page_queued(), failed("r0.t0.ada"))
    for round_ in range(1, 5):
        now = NOW + round_ * 5 * MINUTE
        due = pages_due(incident, TWICE, now)
        assert [p.page for p in due.record] == [f"r{round_}.t0.ada"]
        incident = apply_event(queued(incident, due, now), now, failed(f"r{round_}.t0.ada"))


def test_a_shortened_policy_goes_on() -> None:
    incident = make_incident(page_queued("r0.t7.bo", "bo", tier=7))
    assert [p.page for p in pages_due(incident, ROSTER, NOW + 5 * MINUTE).record] == ["r1.t0.ada"]


def test_nobody_is_called_after_an_acknowledgement_or_the_end() -> None:
    later = NOW + 99 * MINUTE
    assert pages_due(make_incident(*ACKNOWLEDGED), ROSTER, later) == Decision()
    closed = e.IncidentClosed(reason="by_person", text="x")
    assert pages_due(make_incident(closed), ROSTER, later) == Decision()


(LEAD_CALLED,) = direct_page(make_incident(), "bo", "severity", "come", "sev1")
"""A page outside the policy."""


def test_a_direct_page_does_not_count_as_escalation() -> None:
    call = LEAD_CALLED
    assert [p.page for p in pages_due(make_incident(call), ROSTER, NOW).record] == ["r0.t0.ada"]


def test_a_person_is_paged_once_for_each_occasion() -> None:
    (page,) = direct_page(make_incident(), "bo", "diagnosis", "come")
    assert (page.page, page.person) == ("diagnosis-0.bo", "bo")
    assert (page.purpose, page.about, page.occasion) == ("diagnosis", "", 0)
    assert direct_page(make_incident(page), "bo", "diagnosis", "come") == ()
    assert direct_page(make_incident(page), "ada", "diagnosis", "come")
    assert direct_page(make_incident(page), "bo", "diagnosis", "come", occasion=1)
    assert direct_page(make_incident(page), "bo", "relapse", "come")
    assert direct_page(make_incident(), "", "diagnosis", "come") == ()


def test_a_direct_page_that_reached_nobody_is_sent_again_after_a_while() -> None:
    call = LEAD_CALLED
    assert retries_due(make_incident(call), NOW) == Decision()
    assert retries_due(make_incident(call, reached("severity-sev1.bo")), NOW) == Decision()
    lost = make_incident(call, failed("severity-sev1.bo", temporary=True))
    assert retries_due(lost, NOW) == Decision(wake_at=NOW + MINUTE)
    due = retries_due(lost, NOW + MINUTE)
    assert [(p.page, p.person, p.about) for p in due.record] == [
        ("severity-sev1.bo+1", "bo", "sev1")
    ]
    again = queued(lost, due, NOW + MINUTE)
    assert retries_due(again, NOW + 9 * MINUTE) == Decision()
    gone = apply_event(again, NOW + MINUTE, failed("severity-sev1.bo+1", temporary=True))
    assert retries_due(gone, NOW + 2 * MINUTE) == Decision(wake_at=NOW + 3 * MINUTE)
    assert [p.page for p in retries_due(gone, NOW + 3 * MINUTE).record] == ["severity-sev1.bo+2"]


def test_what_was_refused_for_good_is_not_tried_again() -> None:
    call = LEAD_CALLED
    lost = make_incident(call, failed("severity-sev1.bo"))
    assert retries_due(lost, NOW + HOUR) == Decision()
    # One of two ways may be back later, so the page is worth trying.
    half = make_incident(
        call,
        failed("severity-sev1.bo", last=False, temporary=True),
        failed("severity-sev1.bo"),
    )
    assert [p.page for p in retries_due(half, NOW + MINUTE).record] == ["severity-sev1.bo+1"]


def test_the_pauses_between_the_tries_of_a_page_grow_up_to_a_bound() -> None:
    incident, now = make_incident(page_queued()), NOW
    incident = apply_event(incident, now, failed("r0.t0.ada", temporary=True))
    pauses = []
    for _ in range(7):
        again = retries_due(incident, now).wake_at
        assert again is not None
        pauses.append((again - now) / MINUTE)
        now = again
        (page,) = retries_due(incident, now).record
        incident = apply_event(incident, now, page)
        incident = apply_event(incident, now, failed(page.page, temporary=True))
    assert pauses == [1, 2, 4, 8, 15, 15, 15]


def test_a_page_that_nobody_needs_any_more_is_not_tried_again() -> None:
    lost = make_incident(page_queued(), failed("r0.t0.ada", temporary=True))
    assert retries_due(lost, NOW + MINUTE).record
    for event in (ACKNOWLEDGED[1], e.IncidentClosed(reason="by_person", text="x")):
        assert retries_due(apply_event(lost, NOW, event), NOW + MINUTE) == Decision()


def test_pages_wait_until_they_are_delivered_or_given_up() -> None:
    delivered = e.PageDelivered(page="r0.t0.ada", method="console", proof="written")
    assert len(undelivered(make_incident(page_queued()))) == 1
    assert len(undelivered(make_incident(page_queued(), failed("r0.t0.ada", last=False)))) == 1
    assert undelivered(make_incident(page_queued(), delivered)) == []
    assert undelivered(make_incident(page_queued(), failed("r0.t0.ada"))) == []


@pytest.mark.parametrize(
    ("incident", "text"),
    [
        (make_incident(opening("")), "no rule matches it: nothing is measured"),
        (make_incident(), "CheckoutFails · measuring now"),
        (
            make_incident(e.ProblemDefined(problem=make_problem("no_data", "targets_down"))),
            "not confirmed: targets down",
        ),
        (
            make_incident(
                e.ProblemDefined(
                    problem=make_problem("no_data", "own_targets_down", text="its targets are down")
                )
            ),
            "CheckoutFails · not confirmed: own targets down · its targets are down",
        ),
        (
            make_incident(
                e.ProblemDefined(
                    problem=make_problem(
                        "query_error", "query_rejected", text="eu answers 403: who are we?; see x"
                    )
                )
            ),
            "CheckoutFails · not confirmed: query rejected · eu answers 403: who are we?",
        ),
        (make_incident(confirmed()), "checkout: success rate 99.0 % → 79.0 %"),
        (make_incident(confirmed(), started()), "release_rollback is running"),
        (make_incident(confirmed(), started(), finished()), "is being verified"),
    ],
)
def test_a_page_carries_the_facts_of_its_moment(incident: Incident, text: str) -> None:
    assert text in headline(incident)


class Night:
    """An incident at night: the daemon wakes, pages fail or arrive, the daemon restarts."""

    def __init__(self, seed: int, roster: Roster = ROSTER) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a simulation
        self.roster = roster
        self.now = NOW
        self.incident = make_incident()
        self.calls: list[tuple[Any, e.PageQueued]] = []

    def wake(self) -> Decision:
        due = pages_due(self.incident, self.roster, self.now)
        for page in due.record:
            self.calls.append((self.now, page))
            assert page.page not in self.incident.pages
            self.incident = apply_event(self.incident, self.now, page)
        return due

    def deliver(self) -> None:
        for page in undelivered(self.incident):
            event: e.Event
            if self.chance.random() < 0.5:
                event = e.PageDelivered(page=page.queued.page, method="console", proof="x")
            else:
                event = failed(page.queued.page, last=self.chance.random() < 0.7)
            self.incident = apply_event(self.incident, self.now, event)

    def pass_time(self) -> None:
        self.now += timedelta(seconds=self.chance.choice([0, 1, 60, 299, 300, 301, 3600]))


@given(st.integers(0, 10**6))
def test_it_is_never_silent_while_nobody_has_come(seed: int) -> None:
    """Whatever fails, a moment is always set at which somebody is called anew."""
    night = Night(seed)
    for _ in range(30):
        due = night.wake()
        assert due.wake_at is not None
        assert due.record or due.wake_at > night.now
        assert due.wake_at - night.now <= 5 * MINUTE
        if night.chance.random() < 0.5:
            night.deliver()
        night.pass_time()
    assert len(night.calls) >= 2
    gaps = [b[0] - a[0] for a, b in zip(night.calls, night.calls[1:], strict=False)]
    assert max(gaps) <= 5 * MINUTE + timedelta(hours=1)


@given(st.integers(0, 10**6), st.integers(0, 20))
def test_nobody_is_called_once_somebody_has_come(seed: int, arrival: int) -> None:
    night = Night(seed)
    for turn in range(30):
        if turn == arrival:
            for event in ACKNOWLEDGED:
                night.incident = apply_event(night.incident, night.now, event)
        due = night.wake()
        if turn >= arrival:
            assert due == Decision()
        night.deliver()
        night.pass_time()


@given(st.integers(0, 10**6))
def test_tiers_follow_each_other_also_over_restarts(seed: int) -> None:
    """Each tier of each round once, in order; waking again at the same moment adds nothing."""
    night = Night(seed)
    for _ in range(30):
        night.wake()
        assert night.wake().record == ()
        again = pages_due(fold(entries(*[(at, p) for at, p in night.calls])), ROSTER, night.now)
        if not any(p.given_up for p in night.incident.pages.values()):
            assert again.record == ()
        night.deliver()
        night.pass_time()
    places = [(page.round, page.tier) for _, page in night.calls]
    assert places == sorted(places)
    steps = list(dict.fromkeys(places))
    assert steps == [(n // 2, n % 2) for n in range(len(steps))]


@given(st.integers(0, 10**6))
def test_a_bounded_policy_keeps_its_bound(seed: int) -> None:
    night = Night(seed, TWICE)
    for _ in range(30):
        pages = night.incident.pages.values()
        rounds = {page.queued.round for page in pages if page.delivered_at is not None}
        due = night.wake()
        assert len(rounds) < 2 or due.record == ()
        assert len(rounds) >= 2 or due.wake_at is not None
        night.deliver()
        night.pass_time()
