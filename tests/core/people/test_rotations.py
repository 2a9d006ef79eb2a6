"""Rotations on the wall clock, on the nights when the clocks change above all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.core.people.rotations import wall
from daemon.core.people.schedules import Schedule, Shift, gaps, on_call, shifts

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def schedule(*layers: dict[str, Any], zone: str = "Europe/Berlin", **more: Any) -> Schedule:
    return Schedule.model_validate({"zone": zone, "layers": layers, **more})


def rotation(*people: str, start: str = "2026-01-05", **more: Any) -> dict[str, Any]:
    return {"rotation": people or ("ada", "bo", "cy"), "start": start, **more}


def local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return wall(datetime.fromisoformat(text), ZoneInfo(zone))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def listed(found: list[Shift]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Shifts by their UTC times, to be read."""
    return [(f"{s.start:%d %H:%M}", f"{s.end:%d %H:%M}", s.people) for s in found]


class TestTheWallClock:
    @pytest.mark.parametrize(
        ("zone", "text", "instant"),
        [
            ("Europe/Berlin", "2026-03-29 01:59", "2026-03-29 00:59"),
            ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30"),  # skipped: it is 03:30
            ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00"),
            ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),  # twice: the first
            ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00"),
            ("Australia/Lord_Howe", "2026-10-04 02:00", "2026-10-03 15:30"),  # 02:00 → 02:30
            ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45"),
            ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),  # 02:00 → 01:30
            ("Australia/Lord_Howe", "2026-04-05 02:00", "2026-04-04 15:30"),
            ("Pacific/Apia", "2011-12-30 09:00", "2011-12-30 19:00"),  # a day that never was
        ],
    )
    def test_skipped_times_and_repeated_ones(self, zone: str, text: str, instant: str) -> None:
        assert wall(datetime.fromisoformat(text), ZoneInfo(zone)) == utc(instant)


class TestHandovers:
    def test_a_weekly_handover_stays_at_nine_when_the_clocks_change(self) -> None:
        weekly = schedule(rotation(start="2026-03-23"))
        found = shifts(weekly, utc("2026-03-23"), utc("2026-04-07"))
        assert listed(found) == [
            ("23 00:00", "23 08:00", ()),
            ("23 08:00", "30 07:00", ("ada",)),
            ("30 07:00", "06 07:00", ("bo",)),
            ("06 07:00", "07 00:00", ("cy",)),
        ]

    def test_it_begins_at_the_very_instant_and_not_before(self) -> None:
        weekly = schedule(rotation(start="2026-03-23"))
        first = local("2026-03-23 09:00")
        assert on_call(weekly, first - timedelta(microseconds=1)) == ()
        assert on_call(weekly, first) == ("ada",)
        assert on_call(weekly, first + 7 * DAY - HOUR) == ("bo",)
        assert on_call(weekly, first - 365 * DAY) == ()

    def test_it_comes_round_after_many_years(self) -> None:
        weekly = schedule(rotation(start="1990-01-01"))
        weeks = (datetime(2026, 3, 2) - datetime(1990, 1, 1)) // timedelta(weeks=1)  # noqa: DTZ001
        assert on_call(weekly, local("2026-03-02 09:00")) == (("ada", "bo", "cy")[weeks % 3],)

    def test_twelve_hours_are_eleven_or_thirteen_when_the_clocks_change(self) -> None:
        half = schedule(rotation("ada", "bo", every="12h", handover="21:00"))
        spring = shifts(half, local("2026-03-28 21:00"), local("2026-03-29 21:00"))
        autumn = shifts(half, local("2026-10-24 21:00"), local("2026-10-25 21:00"))
        assert [(s.end - s.start) / HOUR for s in spring] == [11, 12]
        assert [(s.end - s.start) / HOUR for s in autumn] == [13, 12]

    def test_a_handover_at_a_time_that_is_skipped_comes_an_hour_later_by_the_clock(self) -> None:
        daily = schedule(rotation("ada", "bo", start="2026-03-28", handover="02:30", every="1d"))
        assert listed(shifts(daily, utc("2026-03-28 01:30"), utc("2026-03-31 00:30"))) == [
            ("28 01:30", "29 01:30", ("ada",)),  # 02:30 until 03:30 summer time
            ("29 01:30", "30 00:30", ("bo",)),
            ("30 00:30", "31 00:30", ("ada",)),
        ]

    def test_a_handover_at_a_time_that_comes_twice_is_at_the_first(self) -> None:
        daily = schedule(rotation("ada", "bo", start="2026-10-24", handover="02:30", every="1d"))
        assert listed(shifts(daily, utc("2026-10-24 00:30"), utc("2026-10-27 01:30"))) == [
            ("24 00:30", "25 00:30", ("ada",)),
            ("25 00:30", "26 01:30", ("bo",)),
            ("26 01:30", "27 01:30", ("ada",)),
        ]

    def test_hourly_turns_of_which_one_is_skipped(self) -> None:
        """02:00 and 03:00 are the same instant that night: bo's turn has no time at all."""
        hourly = schedule(rotation(start="2026-03-29", handover="01:00", every="1h"))
        assert listed(shifts(hourly, utc("2026-03-29 00:00"), utc("2026-03-29 03:00"))) == [
            ("29 00:00", "29 01:00", ("ada",)),
            ("29 01:00", "29 02:00", ("cy",)),
            ("29 02:00", "29 03:00", ("ada",)),
        ]

    @pytest.mark.parametrize(
        ("day", "handover", "expected"),
        [
            # +10:30 to +11 at 02:00; +11 to +10:30 at 02:00.
            ("2026-10-03", "02:00", [("02 15:30", "03 15:30"), ("03 15:30", "04 15:00")]),
            ("2026-10-03", "01:45", [("02 15:15", "03 15:15"), ("03 15:15", "04 14:45")]),
            ("2026-04-04", "02:00", [("03 15:00", "04 15:30"), ("04 15:30", "05 15:30")]),
            ("2026-04-04", "01:45", [("03 14:45", "04 14:45"), ("04 14:45", "05 15:15")]),
        ],
    )
    def test_half_an_hour_on_lord_howe(
        self, day: str, handover: str, expected: list[tuple[str, str]]
    ) -> None:
        zone = "Australia/Lord_Howe"
        daily = schedule(rotation("ada", "bo", start=day, handover=handover, every="1d"), zone=zone)
        start = local(f"{day} {handover}", zone)
        found = shifts(daily, start, start + 4 * DAY)[:2]
        assert [(f"{s.start:%d %H:%M}", f"{s.end:%d %H:%M}") for s in found] == expected

    def test_a_whole_day_that_apia_left_out(self) -> None:
        daily = schedule(rotation(start="2011-12-28", every="1d"), zone="Pacific/Apia")
        assert listed(shifts(daily, utc("2011-12-28 19:00"), utc("2012-01-01 19:00"))) == [
            ("28 19:00", "29 19:00", ("ada",)),
            ("29 19:00", "30 19:00", ("bo",)),  # the 30th and the 31st begin at one instant
            ("30 19:00", "31 19:00", ("ada",)),
            ("31 19:00", "01 19:00", ("bo",)),
        ]

    def test_neighbours_with_the_same_person_are_one_shift(self) -> None:
        start, end = utc("2026-02-01"), utc("2026-06-01")
        assert shifts(schedule(rotation("ada", "ada")), start, end) == [Shift(start, end, ("ada",))]

    def test_an_empty_range_has_no_shifts(self) -> None:
        now = utc("2026-02-01")
        assert shifts(schedule(rotation()), now, now) == []
        assert shifts(schedule(rotation()), now, now - HOUR) == []


NIGHTLY = [{"from": "22:00", "to": "06:00"}]


class TestRestrictions:
    @pytest.mark.parametrize(
        ("window", "inside", "outside"),
        [
            (
                {"days": ["mon", "tue"], "from": "09:00", "to": "17:00"},
                ["2026-03-02 09:00", "2026-03-03 16:59"],
                ["2026-03-02 08:59", "2026-03-02 17:00", "2026-03-04 12:00"],
            ),
            (  # a night belongs to the day on which it begins
                {"days": ["fri"], "from": "22:00", "to": "06:00"},
                ["2026-03-06 22:00", "2026-03-07 05:59"],
                ["2026-03-06 05:00", "2026-03-07 06:00", "2026-03-07 22:30"],
            ),
            (
                {"days": ["sun"], "from": "18:00", "to": "24:00"},
                ["2026-03-08 18:00", "2026-03-08 23:59"],
                ["2026-03-09 00:00", "2026-03-08 17:59"],
            ),
            (  # an end at the beginning is that of the next day
                {"days": ["sun"], "from": "09:00", "to": "09:00"},
                ["2026-03-08 09:00", "2026-03-09 08:59"],
                ["2026-03-08 08:59", "2026-03-09 09:00"],
            ),
        ],
    )
    def test_only_inside_the_windows(
        self, window: dict[str, Any], inside: list[str], outside: list[str]
    ) -> None:
        restricted = schedule(rotation("ada", restrict=[window]))
        assert [on_call(restricted, local(text)) for text in inside] == [("ada",)] * len(inside)
        assert [on_call(restricted, local(text)) for text in outside] == [()] * len(outside)

    @pytest.mark.parametrize(
        ("night", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-06", 8)]
    )
    def test_a_night_is_as_long_as_the_clocks_make_it(self, night: str, hours: int) -> None:
        start = local(f"{night} 12:00")
        (on,) = (
            s
            for s in shifts(schedule(rotation("ada", restrict=NIGHTLY)), start, start + DAY)
            if s.people
        )
        assert on.start == local(f"{night} 22:00")
        assert (on.end - on.start) / HOUR == hours

    def test_turns_go_on_outside_the_windows(self) -> None:
        nights = schedule(rotation("ada", "bo", every="1d", handover="03:00", restrict=NIGHTLY))
        start = local("2026-03-02 12:00")
        found = [s.people for s in shifts(nights, start, start + 2 * DAY)]
        assert found == [(), ("ada",), ("bo",), (), ("bo",), ("ada",), ()]

    def test_what_they_leave_open_are_gaps(self) -> None:
        nights = schedule(rotation("ada", restrict=NIGHTLY))
        start = local("2026-03-02 12:00")
        assert gaps(nights, start, start + DAY) == [
            Shift(start, local("2026-03-02 22:00"), ()),
            Shift(local("2026-03-03 06:00"), start + DAY, ()),
        ]
