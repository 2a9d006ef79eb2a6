"""Leases and shares: who may act, and how many incidents each takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.values.lease import (
    ClockReading,
    HeldLease,
    keeps_new,
    renew_every,
    share_of,
    to_take,
)

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LEASE = timedelta(seconds=15)
HELD = HeldLease(ClockReading(100, NOON), LEASE)


def later(monotonic: float, wall: float) -> ClockReading:
    """So many seconds later by each clock."""
    return ClockReading(100 + monotonic, NOON + timedelta(seconds=wall))


@pytest.mark.parametrize(
    ("monotonic", "wall", "holds"),
    [
        (0, 0, True),
        (11.9, 11.9, True),
        (12, 12, False),  # a fifth before the store lets another one begin
        (5, 40, False),  # the machine was paused, and its monotonic clock with it
        (40, 5, False),  # the time of day was set back
        (5, -3600, True),
    ],
)
def test_the_clock_that_went_further_is_believed(
    monotonic: float, wall: float, holds: bool
) -> None:
    assert HELD.holds(later(monotonic, wall)) is holds


def test_it_is_renewed_at_least_twice_before_its_holder_has_to_stop() -> None:
    assert HELD.holds(later(2 * renew_every(LEASE).total_seconds(), 10))


@pytest.mark.parametrize(
    ("own", "orphans", "incidents", "replicas", "left_over", "taken"),
    [
        (0, 3, 3, 1, False, 3),  # alone it takes all
        (4, 4, 12, 2, False, 2),  # half of twelve are six
        (0, 4, 12, 2, False, 4),
        (7, 4, 12, 2, False, 0),  # it has more than its share
        (7, 4, 12, 2, True, 4),  # and yet nobody else takes them
        (0, 1, 1, 3, False, 1),
        (5, 0, 10, 2, True, 0),
    ],
)
def test_each_takes_its_part_of_what_is_nobody_s(
    own: int, orphans: int, incidents: int, replicas: int, left_over: bool, taken: int
) -> None:
    assert to_take(own, orphans, incidents, replicas, left_over=left_over) == taken


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
@pytest.mark.parametrize("incidents", [1, 2, 10, 99])
def test_all_shares_together_are_enough(incidents: int, replicas: int) -> None:
    assert share_of(incidents, replicas) * replicas >= incidents


def test_one_that_gets_all_alerts_leaves_some_to_the_others() -> None:
    own = 0
    while keeps_new(own, own, replicas=2):
        own += 1
    assert own == 11, (
        "its half of twelve and five: so few, and the first page of the next comes a second later"
    )
    assert keeps_new(1_000, 1_000, replicas=1)
