"""What the libraries of calendars read otherwise than people mean it: zones, durations, ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daemon.core.people.icalendar_events import read_events
from daemon.core.people.icalendar_shifts import Calendar, read_calendar
from tests.core.people.test_icalendar_shifts import (
    BERLIN,
    IN_BERLIN,
    NAMES,
    calendar,
    day,
    event,
    listed,
    read,
    told,
    utc,
)

CUSTOM = "Customized Time Zone"
CHANGES = {
    "Europe/Berlin": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],  # by half an hour
    "Pacific/Auckland": ["2026-04-05", "2026-09-27"],
    "America/Havana": ["2026-03-08", "2026-11-01"],  # at midnight
    "Asia/Tokyo": ["2026-06-01"],  # never
}
NIGHTS = [(zone, day_) for zone, days in CHANGES.items() for day_ in days]
HOUR = timedelta(hours=1)


def defined(name: str, offset: str) -> str:
    """A zone of one offset, as Outlook defines them."""
    return "\r\n".join(
        [
            "BEGIN:VTIMEZONE",
            f"TZID:{name}",
            "BEGIN:STANDARD",
            "DTSTART:16010101T000000",
            f"TZOFFSETFROM:{offset}",
            f"TZOFFSETTO:{offset}",
            "END:STANDARD",
            "END:VTIMEZONE",
        ]
    )


def outlook(offset: str) -> str:
    """A feed of one shift of Ada's at nine, in a zone of that name and offset."""
    shift = event("20261005T090000", "20261005T170000", "SUMMARY:Ada", zone=f";TZID={CUSTOM}")
    return calendar(shift).replace("VERSION:2.0", f"VERSION:2.0\r\n{defined(CUSTOM, offset)}")


def begins(text: str) -> datetime:
    """When the first shift of October 2026 begins."""
    return whole(text).shifts[0].start


def whole(text: str) -> Calendar:
    return read_calendar(text, BERLIN, NAMES, utc("2026-10-01 00:00"), utc("2026-11-05 00:00"))


class TestZones:
    def test_the_zone_of_one_feed_is_not_anothers(self) -> None:
        assert begins(outlook("-0500")) == utc("2026-10-05 14:00")
        assert begins(outlook("+0300")) == utc("2026-10-05 06:00")
        assert begins(outlook("-0500")) == utc("2026-10-05 14:00")

    def test_nor_when_they_are_read_at_once(self) -> None:
        hours = [-11, -5, 0, 3, 9, 12] * 10
        texts = [outlook(f"{hour:+03}00") for hour in hours]
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(begins, texts))
        assert found == [utc("2026-10-05 09:00") - hour * HOUR for hour in hours]

    def test_nor_are_those_of_two_calendars_in_one_file(self) -> None:
        later = outlook("+0300").replace("20261005", "20261006").replace("Ada", "Bo")
        assert listed(whole(f"{outlook('-0500')}\r\n{later}\r\n")) == [
            ("05 14:00", "05 22:00", ("ada",)),
            ("06 06:00", "06 14:00", ("bo",)),
        ]

    @pytest.mark.parametrize(
        ("name", "hour"),
        [
            ('"UTC+02:00"', 7),
            ("UTC+2", 7),
            ("GMT-0530", 14.5),
            ('"-03:00"', 12),
            ("UTC+14", -5),
        ],
    )
    def test_a_fixed_offset_needs_no_definition(self, name: str, hour: float) -> None:
        shift = event("20261005T090000", "20261005T100000", "SUMMARY:Ada", zone=f";TZID={name}")
        (found,) = whole(calendar(shift)).shifts
        assert found.start == utc("2026-10-05 00:00") + hour * HOUR
        assert found.end - found.start == HOUR

    def test_a_name_like_an_offset_is_what_the_file_defines(self) -> None:
        shift = event("20261005T090000", "20261005T100000", "SUMMARY:Ada", zone=";TZID=UTC+2")
        text = calendar(shift).replace("VERSION:2.0", f"VERSION:2.0\r\n{defined('UTC+2', '+0500')}")
        assert begins(text) == utc("2026-10-05 04:00")


class TestDurations:
    @pytest.mark.parametrize(("zone", "on"), NIGHTS)
    def test_day_and_night_hand_over_without_gap_or_overlap(self, zone: str, on: str) -> None:
        first = f"{date.fromisoformat(on) - timedelta(days=3):%Y%m%d}"
        every = "RRULE:FREQ=DAILY;COUNT=7"
        text = calendar(
            f"DTSTART;TZID={zone}:{first}T080000\nDURATION:PT12H\nSUMMARY:Ada\n{every}",
            f"DTSTART;TZID={zone}:{first}T200000\nDURATION:PT12H\nSUMMARY:Bo\n{every}",
        )
        around = datetime.fromisoformat(on).replace(tzinfo=UTC)
        found = read_calendar(text, BERLIN, NAMES, around - 3 * 24 * HOUR, around + 3 * 24 * HOUR)
        assert len(found.shifts) >= 11
        assert all(len(shift.people) == 1 for shift in found.shifts)
        assert all(one.end == other.start for one, other in pairwise(found.shifts))
        local = {f"{shift.start.astimezone(ZoneInfo(zone)):%H:%M}" for shift in found.shifts}
        assert local == {"08:00", "20:00"}

    @given(
        night=st.sampled_from(NIGHTS),
        hour=st.integers(0, 23),
        lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    )
    def test_hours_are_exact_one_after_another(
        self, night: tuple[str, str], hour: int, lengths: list[int]
    ) -> None:
        """A chain of shifts that begin when the one before has lasted its hours."""
        zone = ZoneInfo(night[0])
        start = datetime.fromisoformat(night[1]).replace(tzinfo=UTC) - 30 * HOUR + hour * HOUR
        moment, events = start, []
        for length in lengths:
            local = moment.astimezone(zone)
            assume(not local.fold)  # the second of two equal times cannot be written in a zone
            events.append(
                f"DTSTART;TZID={zone.key}:{local:%Y%m%dT%H%M%S}\nDURATION:PT{length}H\nSUMMARY:Ada"
            )
            moment += length * HOUR
        found, _ = read_events(calendar(*events), BERLIN, start - HOUR, moment + HOUR)
        assert [each.end - each.start for each in found] == [length * HOUR for length in lengths]
        assert all(one.end == other.start for one, other in pairwise(found))

    @pytest.mark.parametrize(
        ("duration", "ends"),
        [
            ("PT12H", "25 06:00"),  # exact: 20:00 summer time to 07:00 winter time
            ("PT24H", "25 18:00"),
            ("P1D", "25 19:00"),  # the next evening at eight
            ("P1DT1H", "25 20:00"),
            ("P1W", "31 19:00"),
            ("+PT30M", "24 18:30"),
        ],
    )
    def test_days_are_those_of_the_wall_clock_and_hours_are_hours(
        self, duration: str, ends: str
    ) -> None:
        found = read(
            f"DTSTART{IN_BERLIN}:20261024T200000\nDURATION:{duration}\nSUMMARY:Ada",
            end=utc("2026-11-05 00:00"),
        )
        assert listed(found) == [("24 18:00", ends, ("ada",))]

    @pytest.mark.parametrize(
        ("night", "stranger", "until"),
        [("20261024", "20261025T070000", 8), ("20260328", "20260329T080000", 9)],
    )
    def test_nobody_hands_over_to_an_event_that_is_no_shift(
        self, night: str, stranger: str, until: int
    ) -> None:
        zone = ";TZID=Europe/Berlin"
        text = calendar(
            f"DTSTART{zone}:{night}T200000\nDURATION:PT12H\nSUMMARY:Ada",
            f"DTSTART{zone}:{stranger}\nDURATION:PT1H\nSUMMARY:maintenance",
            f"DTSTART{zone}:{stranger[:8]}T{until:02}0000\nDURATION:PT9H\nSUMMARY:Bo",
        )
        begin = datetime.fromisoformat(night).replace(tzinfo=BERLIN)
        found = read_calendar(text, BERLIN, NAMES, begin, begin + timedelta(days=2)).shifts
        assert found[0].end == found[1].start
        assert found[0].end.astimezone(BERLIN).hour == until

    def test_a_folded_duration_is_one_too(self) -> None:
        found = read(
            f"DTSTART{IN_BERLIN}:20261024T200000\nDURATION:PT\n 12H\nSUMMARY:Ada",
        )
        assert listed(found) == [("24 18:00", "25 06:00", ("ada",))]

    def test_an_alarms_duration_is_none_of_the_event(self) -> None:
        alarm = "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT5M\nDURATION:PT15M\nREPEAT:2\nEND:VALARM"
        found = read(
            event("20261024T200000", "20261025T080000", "SUMMARY:Ada", alarm, zone=IN_BERLIN)
        )
        assert listed(found) == [("24 18:00", "25 07:00", ("ada",))]


class TestWhatIsCancelled:
    def test_a_calendar_that_cancels_is_no_shift(self) -> None:
        text = calendar(day(5, "SUMMARY:Ada")).replace("VERSION", "METHOD:CANCEL\r\nVERSION")
        found = whole(text)
        assert told(found) == ((), ())
        [passed] = found.passed_over
        assert (passed.summary, passed.start) == ("Ada", utc("2026-10-05 09:00"))
        assert passed.why == "its calendar cancels it (METHOD:CANCEL)"

    def test_it_withdraws_what_another_of_the_file_announced(self) -> None:
        series = day(5, "UID:a", "SUMMARY:Ada", "RRULE:FREQ=DAILY;COUNT=3")
        one = day(6, "UID:a", "SUMMARY:Ada", "RECURRENCE-ID:20261006T090000Z")
        cancel = calendar(one).replace("VERSION", "METHOD:CANCEL\r\nVERSION")
        assert [shift.start.day for shift in whole(calendar(series)).shifts] == [5, 6, 7]
        both = f"{calendar(series, day(9, 'UID:b', 'SUMMARY:Bo'))}\r\n{cancel}"
        assert [shift.start.day for shift in whole(both).shifts] == [5, 7, 9]

    def test_what_was_announced_anew_since_is_a_shift(self) -> None:
        cancel = calendar(day(5, "UID:a", "SEQUENCE:1")).replace(
            "VERSION", "METHOD:CANCEL\r\nVERSION"
        )
        again = calendar(day(5, "UID:a", "SEQUENCE:2", "SUMMARY:Ada"))
        assert listed(whole(f"{cancel}\r\n{again}")) == [("05 09:00", "05 17:00", ("ada",))]

    def test_what_is_passed_over_says_why(self) -> None:
        found = read(
            day(5, "SUMMARY:Ada", "STATUS:CANCELLED"),
            day(6, "SUMMARY:Offsite"),
            "DTSTART:20261007T090000Z\nSUMMARY:Bo",
            day(8, "SUMMARY:Ada", "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.com"),
            day(9, "SUMMARY:Cy"),
        )
        assert [(passed.summary, passed.why) for passed in found.passed_over] == [
            ("Ada", "it is cancelled (STATUS:CANCELLED)"),
            ("Offsite", "names nobody whom the roster knows"),
            ("Bo", "it has no length"),
            ("Ada", "everybody declined"),
        ]


class TestRules:
    @given(
        zone=st.sampled_from([*CHANGES, "America/Los_Angeles", "Pacific/Kiritimati"]),
        hour=st.integers(0, 23),
        days=st.integers(0, 5),
    )
    def test_a_day_as_its_end_is_a_day_of_the_rule(self, zone: str, hour: int, days: int) -> None:
        first, last = date(2026, 10, 12), date(2026, 10, 12) + timedelta(days=days)
        text = calendar(
            f"DTSTART;TZID={zone}:{first:%Y%m%d}T{hour:02}0000\nDURATION:PT1H\nSUMMARY:Ada\n"
            f"RRULE:FREQ=DAILY;UNTIL={last:%Y%m%d}"
        )
        local = [shift.start.astimezone(ZoneInfo(zone)).date() for shift in whole(text).shifts]
        assert local == [first + timedelta(days=number) for number in range(days + 1)]

    @pytest.mark.parametrize("start", ["DTSTART:20261005T090000Z", "DTSTART:20261005T230000"])
    def test_in_utc_and_on_any_clock_too(self, start: str) -> None:
        found = read(f"{start}\nDURATION:PT30M\nSUMMARY:Ada\nRRULE:FREQ=DAILY;UNTIL=20261007")
        assert len(found.shifts) == 3

    def test_a_time_as_its_end_stays_one(self) -> None:
        found = read(day(5, "SUMMARY:Ada", "RRULE:FREQ=DAILY;UNTIL=20261007T080000Z"))
        assert [shift.start.day for shift in found.shifts] == [5, 6]

    def test_events_that_share_a_uid_are_each_a_shift(self) -> None:
        found = read(
            day(5, "UID:rota", "SUMMARY:Ada"),
            day(6, "UID:rota", "SUMMARY:Bo", "RRULE:FREQ=DAILY;COUNT=2"),
            event(
                "20261007T100000Z",
                "20261007T170000Z",
                "UID:rota",
                "RECURRENCE-ID:20261007T090000Z",
                "SUMMARY:Ada",
            ),
        )
        assert listed(found) == [
            ("05 09:00", "05 17:00", ("ada",)),
            ("06 09:00", "06 17:00", ("bo",)),
            ("07 10:00", "07 17:00", ("ada",)),
        ]

    def test_but_an_older_version_of_one_is_not(self) -> None:
        old, new = day(5, "UID:a", "SUMMARY:Ada"), day(6, "UID:a", "SEQUENCE:1", "SUMMARY:Ada")
        assert [shift.start.day for shift in read(old, new).shifts] == [6]

    def test_what_shares_a_uid_is_cancelled_by_it(self) -> None:
        shared = [day(number, "UID:rota", "SUMMARY:Ada") for number in (5, 6)]
        cancels = calendar(day(5, "UID:rota")).replace("VERSION:2.0", "METHOD:CANCEL")
        assert whole(f"{calendar(*shared)}\r\n{cancels}").shifts == ()

    @pytest.mark.parametrize("how", ["", ";RANGE=THISANDFUTURE"])
    def test_a_change_may_name_its_day_alone(self, how: str) -> None:
        found = read(
            event(
                "20261023T200000",
                "20261024T080000",
                "UID:a",
                "SUMMARY:Ada",
                "RRULE:FREQ=DAILY;COUNT=2",
                zone=";TZID=Europe/Berlin",
            ),
            event(
                "20261024T210000",
                "20261025T080000",
                "UID:a",
                f"RECURRENCE-ID{how};VALUE=DATE:20261024",
                "SUMMARY:Bo",
                zone=";TZID=Europe/Berlin",
            ),
        )
        assert listed(found) == [
            ("23 18:00", "24 06:00", ("ada",)),
            ("24 19:00", "25 07:00", ("bo",)),
        ]

    @pytest.mark.parametrize("numbers", [(2, 5), (5, 2)])
    def test_of_two_changes_of_one_shift_the_later_version_counts(
        self, numbers: tuple[int, int]
    ) -> None:
        changed = [
            day(
                6,
                "UID:a",
                "RECURRENCE-ID:20261006T090000Z",
                f"SEQUENCE:{number}",
                f"SUMMARY:{'Bo' if number == 5 else 'Cy'}",
            )
            for number in numbers
        ]
        series = day(5, "UID:a", "SUMMARY:Ada", "RRULE:FREQ=DAILY;COUNT=3")
        found = read(series, *changed)
        assert [shift.people for shift in found.shifts] == [("ada",), ("bo",), ("ada",)]


class TestPriorities:
    def test_the_highest_counts_wherever_it_is_there(self) -> None:
        found = read(
            event("20261005T080000Z", "20261005T200000Z", "SUMMARY:[L1] Ada"),
            event("20261005T100000Z", "20261005T140000Z", "SUMMARY:[L3] Bo"),
            event("20261005T060000Z", "20261005T220000Z", "SUMMARY:Cy"),
            event("20261005T120000Z", "20261005T160000Z", "SUMMARY: [l3]Ada Byron"),
        )
        assert listed(found) == [
            ("05 06:00", "05 08:00", ("cy",)),
            ("05 08:00", "05 10:00", ("ada",)),
            ("05 10:00", "05 12:00", ("bo",)),
            ("05 12:00", "05 14:00", ("bo", "byron")),
            ("05 14:00", "05 16:00", ("byron",)),
            ("05 16:00", "05 20:00", ("ada",)),
            ("05 20:00", "05 22:00", ("cy",)),
        ]

    def test_somebody_nobody_knows_takes_no_priority(self) -> None:
        found = read(day(5, "SUMMARY:[L9] Dora"), day(5, "SUMMARY:Ada"))
        assert listed(found) == [("05 09:00", "05 17:00", ("ada",))]
        assert found.unknown == ("Dora",)
