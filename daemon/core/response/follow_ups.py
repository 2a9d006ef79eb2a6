"""When the owner of a follow-up is reminded, and when it goes to the tracker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from daemon.core.incident import events as e
from daemon.core.incident.learning import FollowUp
from daemon.core.values.backoff import Backoff

WORKING_HOURS = timedelta(hours=8)
"""For so long after the hour of reminders somebody may be reminded; what comes up later waits for
the next day."""
PUSH_TRIES = 10
PUSH_BACKOFF = Backoff(timedelta(minutes=1), timedelta(hours=6))
"""How soon a follow-up that its tracker did not take is tried again: ten tries are a day."""


@dataclass(frozen=True)
class ReminderTiming:
    """When people are reminded: so long `before` the due day and on it, from the hour `at` on in
    that time zone."""

    before: timedelta
    at: time
    zone: ZoneInfo

    def today(self, now: datetime) -> date:
        """The day there."""
        return now.astimezone(self.zone).date()

    def awake(self, now: datetime) -> bool:
        """Whether a reminder may come now."""
        there = now.astimezone(self.zone)
        begins = datetime.combine(there.date(), self.at, self.zone)
        return begins <= there < begins + WORKING_HOURS


def reminder_due(
    follow_up: FollowUp, timing: ReminderTiming, now: datetime
) -> e.ReminderOccasion | None:
    """What its owner should be reminded of now; None for nothing.

    Who took it on within the days before hears of it on the day alone.
    """
    if not follow_up.open or follow_up.due is None or not timing.awake(now):
        return None
    today, begins = timing.today(now), follow_up.due - timing.before
    if today >= follow_up.due:
        return None if follow_up.heard_of("due") else "due"
    if today < begins or timing.today(follow_up.added_at) >= begins:
        return None
    return None if follow_up.heard_of("before") else "before"


def push_due(follow_up: FollowUp, now: datetime) -> bool:
    """Whether it should be made an issue now."""
    if not follow_up.open or follow_up.tracker or follow_up.given_up:
        return False
    failed_at = follow_up.failed_at
    return failed_at is None or now >= failed_at + PUSH_BACKOFF.pause(follow_up.failures)
