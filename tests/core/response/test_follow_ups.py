"""When people are reminded of follow-ups, and when trackers are asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.core.incident.learning import FollowUp
from daemon.core.reporting.follow_up_texts import issue_draft, reminder
from daemon.core.response.follow_ups import (
    PUSH_BACKOFF,
    ReminderTiming,
    push_due,
    reminder_due,
)

BERLIN = ReminderTiming(timedelta(days=2), time(9), ZoneInfo("Europe/Berlin"))
ADDED = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
DUE = date(2026, 12, 10)


def follow_up(**more: Any) -> FollowUp:
    given = {"number": 1, "title": "test it", "owner": "ada", "due": DUE}
    return FollowUp.model_validate({**given, "added_at": ADDED, "added_by": "bo", **more})


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    """A time in December there, as the daemon has it."""
    return datetime(2026, 12, day, hour, minute, tzinfo=BERLIN.zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (berlin(7, 12), None),
        (berlin(8, 8, 59), None),
        (berlin(8, 9), "before"),
        (berlin(8, 16, 59), "before"),
        (berlin(8, 17), None),
        (berlin(9, 2), None),
        (berlin(9, 9), "before"),  # nobody could be told the day before
        (berlin(10, 3), None),
        (berlin(10, 9), "due"),
        (berlin(14, 9), "due"),  # the daemon was down meanwhile
        (berlin(14, 22), None),
    ],
)
def test_a_reminder_comes_in_working_hours_before_and_on_the_day(
    now: datetime, due: str | None
) -> None:
    assert reminder_due(follow_up(), BERLIN, now) == due


def test_nobody_is_reminded_twice_of_the_same_day() -> None:
    heard = follow_up(reminded=(f"before {DUE}", f"due {DUE}"))
    for day in range(8, 16):
        assert reminder_due(heard, BERLIN, berlin(day, 10)) is None
    moved = follow_up(reminded=(f"before {DUE}",), due=date(2026, 12, 20))
    assert reminder_due(moved, BERLIN, berlin(18, 10)) == "before"


def test_who_took_it_on_shortly_before_hears_of_it_on_the_day_alone() -> None:
    late = follow_up(added_at=berlin(8, 10))
    assert reminder_due(late, BERLIN, berlin(8, 11)) is None
    assert reminder_due(late, BERLIN, berlin(9, 11)) is None
    assert reminder_due(late, BERLIN, berlin(10, 11)) == "due"


@pytest.mark.parametrize("more", [{"due": None}, {"status": "done"}, {"status": "dropped"}])
def test_nobody_is_reminded_of_what_has_no_day_or_is_over(more: dict[str, Any]) -> None:
    assert reminder_due(follow_up(**more), BERLIN, berlin(10, 10)) is None


def test_a_reminder_says_what_and_how_to_answer() -> None:
    due = [
        reminder("1123-x", follow_up(), date(2026, 12, day), "https://s/i") for day in (8, 10, 12)
    ]
    assert [one.title for one in due] == [
        "Follow-up due on 2026-12-10: test it",
        "Follow-up due today: test it",
        "Follow-up due since 2026-12-10: test it",
    ]
    assert "`stopgap follow-up done 1123-x 1`" in due[0].text
    assert (due[0].person, due[0].link) == ("ada", "https://s/i")


def test_a_follow_up_goes_to_the_tracker_once() -> None:
    assert push_due(follow_up(), ADDED)
    assert not push_due(follow_up(tracker="github", key="7"), ADDED)
    assert not push_due(follow_up(status="done"), ADDED)
    assert not push_due(follow_up(given_up=True, failures=10, failed_at=ADDED), ADDED)


def test_what_a_tracker_did_not_take_is_tried_again_ever_later() -> None:
    failed = follow_up(failures=3, failed_at=ADDED)
    again = ADDED + PUSH_BACKOFF.pause(3)
    assert not push_due(failed, again - timedelta(seconds=1))
    assert push_due(failed, again)


def test_each_issue_has_a_marker_of_its_own() -> None:
    drafts = [issue_draft(i, follow_up(number=n), "") for i, n in (("a", 1), ("a", 2), ("b", 1))]
    assert [draft.marker for draft in drafts] == ["stopgap-a-1", "stopgap-a-2", "stopgap-b-1"]
