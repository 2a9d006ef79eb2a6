"""When drills are held: days that people can say, by the wall clock of a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from daemon.core.drills.calendar import DrillDate, ScheduledDrill, upcoming


def date(day: str, at: str = "10:30", zone: str = "UTC") -> DrillDate:
    return DrillDate.model_validate({"day": day, "at": at, "zone": zone})


@pytest.mark.parametrize(
    ("day", "after", "due"),
    [
        ("daily", "2026-11-30 10:29", "2026-11-30 10:30"),
        ("daily", "2026-11-30 10:30", "2026-12-01 10:30"),
        ("wed", "2026-11-30 00:00", "2026-12-02 10:30"),
        ("mon", "2026-11-30 11:00", "2026-12-07 10:30"),
        ("first tue", "2026-11-30 00:00", "2026-12-01 10:30"),
        ("first tue", "2026-12-01 10:30", "2027-01-05 10:30"),
        ("fourth thu", "2026-12-25 00:00", "2027-01-28 10:30"),
    ],
)
def test_the_next_date_is_the_first_after_now(day: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert date(day).next_after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_the_wall_clock_holds_across_daylight_saving() -> None:
    berlin = date("daily", "10:00", "Europe/Berlin")
    winter = berlin.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert winter == datetime(2026, 3, 29, 8, tzinfo=UTC)  # summer time has begun that night
    assert berlin.next_after(datetime(2026, 3, 27, 12, tzinfo=UTC)) == datetime(
        2026, 3, 28, 9, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("changes", "mend"),
    [
        ({"day": "fifth tue"}, "write `first tue`, `wed` or `daily`"),
        ({"day": "tuesday"}, "write `first tue`, `wed` or `daily`"),
        ({"at": "25:00"}, "not a time of day"),
        ({"zone": "Europe/Bärlin"}, "did you mean Europe/Berlin?"),
    ],
)
def test_what_is_no_date_is_told_with_the_mend(changes: dict[str, str], mend: str) -> None:
    with pytest.raises(ValidationError, match=mend.replace("?", r"\?")):
        DrillDate.model_validate({"day": "wed", "at": "10:00", **changes})


def test_what_is_ahead_is_told_the_soonest_first() -> None:
    schedule = [
        ScheduledDrill.model_validate({"drill": name, "day": day, "at": "10:00"})
        for name, day in (("a", "fri"), ("b", "tue"))
    ]
    now = datetime(2026, 11, 30, tzinfo=UTC)
    found = upcoming(schedule, now)
    assert [one.drill for one in found] == ["b", "a"]
    assert all(now < one.at <= now + timedelta(days=7) for one in found)
