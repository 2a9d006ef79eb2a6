"""Leases of replicas: until when one may act, and how many incidents each takes. Pure.

A lease is reckoned in the database's clock, which no replica can read without asking. So each
counts from the moment before it asked, by its own clocks, and stops a margin earlier: whatever the
answer took on its way, it has stopped before the database would let another one begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DEFAULT_LEASE = timedelta(seconds=15)
LEAST_LEASE = timedelta(seconds=3)
"""A shorter one would end while a busy database answers."""
_RENEWALS = 3
"""So many times a lease is asked for anew before it ends."""
_MARGIN = 5
"""This part of a lease is left for what is under way to end in."""
_SLACK = 5
"""So many incidents above its share a replica keeps that it has opened itself: the next one to
take them would be up to a second later with the first page."""


@dataclass(frozen=True)
class ClockReading:
    """What a process reads at one moment: `monotonic`, in seconds, goes on while the machine
    sleeps where the system has such a clock; `wall` is the time of day.
    """

    monotonic: float
    wall: datetime


@dataclass(frozen=True)
class HeldLease:
    """A lease of that length that was granted to us; `asked` is before the asking."""

    asked: ClockReading
    length: timedelta

    def left(self, now: ClockReading) -> timedelta:
        """For how long its holder may act yet. Either clock may have stood still, in a virtual
        machine that was paused or a computer that slept, so the one that went further is believed.
        """
        passed = timedelta(seconds=now.monotonic - self.asked.monotonic)
        acts_for = self.length - self.length / _MARGIN
        return acts_for - max(passed, now.wall - self.asked.wall)

    def holds(self, now: ClockReading) -> bool:
        """Whether its holder may act."""
        return self.left(now) > timedelta(0)


def renew_every(lease: timedelta) -> timedelta:
    """How often a lease is asked for anew."""
    return lease / _RENEWALS


def share_of(incidents: int, replicas: int) -> int:
    """How many of so many open incidents each of these replicas conducts, rounded up: together
    they can take all."""
    return -(-incidents // max(replicas, 1))


def to_take(own: int, orphans: int, incidents: int, replicas: int, *, left_over: bool) -> int:
    """How many incidents without a living owner a replica takes that conducts `own` of all the
    open `incidents`. Nothing is taken from the living: a replica that joins gets its part of what
    comes, and of the dead's.

    `left_over`: some were without an owner when it looked before, too. Whoever should have taken
    them does not, so this one does.
    """
    if left_over:
        return orphans
    return max(0, min(orphans, share_of(incidents, replicas) - own))


def keeps_new(own: int, incidents: int, replicas: int) -> bool:
    """Whether a replica conducts the incident that it opens now, rather than leave it to those
    that have fewer."""
    share = share_of(incidents + 1, replicas)
    return own < share + max(_SLACK, share // 4)
