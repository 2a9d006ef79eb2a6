"""On-call calendars: which events are whose shifts, and what is no calendar."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.people import icalendar_events
from daemon.core.people.icalendar_shifts import Calendar, read_calendar
from daemon.core.people.schedules import Shift

BERLIN = ZoneInfo("Europe/Berlin")
NAMES = {
    "ada": "ada",
    "ada lovelace": "ada",
    "ada@example.com": "ada",
    "bo": "bo",
    "bo diddley": "bo",
    "bo@example.com": "bo",
    "cy": "cy",
    "straße": "cy",
    "ada byron": "byron",
    "(night)": "byron",
}
IN_BERLIN = ";TZID=Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


START, END = utc("2026-10-01 00:00"), utc("2026-11-01 00:00")


def calendar(*events: str) -> str:
    """A calendar of events, each the lines that matter."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN"]
    for number, event in enumerate(events):
        uid = [] if "UID:" in event else [f"UID:{number}"]
        lines += ["BEGIN:VEVENT", *uid, *event.split("\n"), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR"])


def event(start: str, end: str, *lines: str, zone: str = "") -> str:
    """An event at these times: 20261005T090000Z, or in a zone."""
    return "\n".join([f"DTSTART{zone}:{start}", f"DTEND{zone}:{end}", *lines])


def day(number: int, *lines: str) -> str:
    """An event from 9 to 17 UTC on that day of October."""
    return event(f"202610{number:02}T090000Z", f"202610{number:02}T170000Z", *lines)


def read(*events: str, start: datetime = START, end: datetime = END) -> Calendar:
    return read_calendar(calendar(*events), BERLIN, NAMES, start, end)


def told(found: Calendar) -> tuple[tuple[Shift, ...], tuple[str, ...]]:
    """Its shifts, and whom nobody knows."""
    return found.shifts, found.unknown


def listed(found: Calendar) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(f"{s.start:%d %H:%M}", f"{s.end:%d %H:%M}", s.people) for s in found.shifts]


class TestWho:
    @pytest.mark.parametrize(
        "summary",
        [
            "ada",
            "ADA",
            "Ada Lovelace",
            "On call: Ada",
            "Ada's week",
            "Ada.",
            "[ada] payments",
            "Ada  Lovelace (primary)",
            "primary <ada@example.com>",
            "ADA@Example.com.",
        ],
    )
    def test_a_summary_names_a_person_by_a_whole_word(self, summary: str) -> None:
        assert listed(read(day(5, f"SUMMARY:{summary}"))) == [("05 09:00", "05 17:00", ("ada",))]

    @pytest.mark.parametrize(
        "summary", ["Adam", "Canada", "ada_2", "ada@other.example", "x@ada.example", "offsite"]
    )
    def test_a_part_of_a_word_or_of_another_address_names_nobody(self, summary: str) -> None:
        assert told(read(day(5, f"SUMMARY:{summary}"))) == ((), (summary,))

    @pytest.mark.parametrize(
        ("summary", "people"),
        [
            ("Ada & Bo", ("ada", "bo")),
            ("Ada Byron", ("byron",)),  # the longest name, not ada as well
            ("Ada Byron / Ada", ("ada", "byron")),
            ("STRASSE", ("cy",)),
            ("(night)", ("byron",)),
        ],
    )
    def test_a_summary_can_name_several(self, summary: str, people: tuple[str, ...]) -> None:
        assert read(day(5, f"SUMMARY:{summary}")).shifts[0].people == people

    def test_attendees_come_before_the_summary(self) -> None:
        attendees = "ATTENDEE;CN=Bo;ROLE=REQ-PARTICIPANT:MAILTO:Bo@Example.com"
        assert listed(read(day(5, attendees, "SUMMARY:Ada"))) == [("05 09:00", "05 17:00", ("bo",))]

    def test_several_attendees_and_one_that_nobody_knows(self) -> None:
        found = read(
            day(
                5,
                "ATTENDEE:mailto:ada@example.com",
                "ATTENDEE:mailto:dora@example.com",
                'ATTENDEE;EMAIL="bo@example.com":urn:uuid:1',
                "ATTENDEE;CUTYPE=ROOM:mailto:room@example.com",
            )
        )
        assert found.shifts[0].people == ("ada", "bo")
        assert found.unknown == ("dora@example.com",)

    def test_unknown_attendees_leave_it_to_the_summary(self) -> None:
        found = read(day(5, "ATTENDEE:mailto:team@example.com", "SUMMARY:Ada"))
        assert (found.shifts[0].people, found.unknown) == (("ada",), ())

    def test_who_declined_is_not_on_call(self) -> None:
        declined = "ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.com"
        both = read(day(5, declined, "ATTENDEE:mailto:bo@example.com", "SUMMARY:Ada and Bo"))
        assert both.shifts[0].people == ("bo",)
        assert told(read(day(5, declined, "SUMMARY:Ada"))) == ((), ())
        assert told(read(day(5, declined, "SUMMARY:Payments"))) == ((), ())

    def test_the_organizer_is_nobody(self) -> None:
        found = read(day(5, "ORGANIZER:mailto:ada@example.com", "SUMMARY:Standby"))
        assert told(found) == ((), ("Standby",))

    def test_what_names_nobody_is_told_once_and_on_one_line(self) -> None:
        weird = f"SUMMARY:Dora\\n\x1b[31m{'x' * 300}"
        found = read(day(5, "SUMMARY:Dora"), day(6, "SUMMARY:Dora"), day(7, weird), day(8))
        assert found.shifts == ()
        assert found.unknown[::2] == ("Dora", "an event without a summary")
        assert found.unknown[1].isprintable()
        assert len(found.unknown[1]) <= 100

    def test_what_names_nobody_elsewhere_is_not_told(self) -> None:
        past = event("20260901T090000Z", "20260901T170000Z", "SUMMARY:Dora")
        assert told(read(past)) == ((), ())


class TestWhen:
    def test_events_that_overlap_are_shifts_of_several_people(self) -> None:
        found = read(
            event("20261005T080000Z", "20261005T120000Z", "SUMMARY:Ada"),
            event("20261005T100000Z", "20261005T140000Z", "SUMMARY:Bo"),
            event("20261005T140000Z", "20261005T160000Z", "SUMMARY:Bo"),
            event("20261005T150000Z", "20261005T160000Z", "SUMMARY:Bo"),
        )
        assert listed(found) == [
            ("05 08:00", "05 10:00", ("ada",)),
            ("05 10:00", "05 12:00", ("ada", "bo")),
            ("05 12:00", "05 16:00", ("bo",)),
        ]

    def test_a_day_is_one_of_the_schedules_zone(self) -> None:
        dates = ";VALUE=DATE"
        found = read(
            event("20261005", "20261007", "SUMMARY:Ada", zone=dates),
            "DTSTART;VALUE=DATE:20261025\nSUMMARY:Bo",
        )
        assert listed(found) == [
            ("04 22:00", "06 22:00", ("ada",)),
            ("24 22:00", "25 23:00", ("bo",)),
        ]

    def test_times_are_absolute_in_a_zone_or_the_schedules(self) -> None:
        york = ";TZID=America/New_York"
        found = read(
            event("20261005T090000Z", "20261005T100000Z", "SUMMARY:Ada"),
            event("20261006T090000", "20261006T100000", "SUMMARY:Ada", zone=york),
            event("20261007T090000", "20261007T100000", "SUMMARY:Ada"),
            "DTSTART:20261008T090000Z\nDURATION:PT1H\nSUMMARY:Ada",
        )
        assert [f"{s.start:%d %H:%M}" for s in found.shifts] == [
            "05 09:00",
            "06 13:00",
            "07 07:00",
            "08 09:00",
        ]
        assert all(s.end - s.start == timedelta(hours=1) for s in found.shifts)

    def test_a_calendars_own_zone_changes_nothing(self) -> None:
        text = calendar(event("20261005T090000Z", "20261005T100000Z", "SUMMARY:Ada"))
        text = text.replace("VERSION", "X-WR-TIMEZONE:Asia/Tokyo\r\nVERSION")
        found = read_calendar(text, BERLIN, NAMES, START, END)
        assert listed(found) == [("05 09:00", "05 10:00", ("ada",))]

    def test_a_weekly_shift_stays_at_nine_when_the_clocks_change(self) -> None:
        weekly = event(
            "20261005T090000",
            "20261012T090000",
            "SUMMARY:Ada",
            "RRULE:FREQ=WEEKLY;INTERVAL=3",
            zone=IN_BERLIN,
        )
        assert listed(read(weekly, end=utc("2026-11-09 00:00"))) == [
            ("05 07:00", "12 07:00", ("ada",)),
            ("26 08:00", "02 08:00", ("ada",)),
        ]

    def test_exceptions_moved_ones_and_cancelled_ones_of_a_rule(self) -> None:
        found = read(
            event(
                "20261005T090000",
                "20261005T170000",
                "UID:rule",
                "SUMMARY:Ada",
                "RRULE:FREQ=DAILY;COUNT=5",
                "EXDATE;TZID=Europe/Berlin:20261006T090000",
                zone=IN_BERLIN,
            ),
            event(
                "20261007T120000",
                "20261007T140000",
                "UID:rule",
                "RECURRENCE-ID;TZID=Europe/Berlin:20261007T090000",
                "SUMMARY:Bo",
                zone=IN_BERLIN,
            ),
            event(
                "20261008T090000",
                "20261008T170000",
                "UID:rule",
                "RECURRENCE-ID;TZID=Europe/Berlin:20261008T090000",
                "SUMMARY:Ada",
                "STATUS:CANCELLED",
                zone=IN_BERLIN,
            ),
        )
        assert listed(found) == [
            ("05 07:00", "05 15:00", ("ada",)),
            ("07 10:00", "07 12:00", ("bo",)),
            ("09 07:00", "09 15:00", ("ada",)),
        ]

    def test_cancelled_is_no_coverage_and_free_time_is(self) -> None:
        found = read(
            day(5, "SUMMARY:Ada", "STATUS:CANCELLED"),
            day(6, "SUMMARY:Dora", "STATUS:Cancelled"),
            day(7, "SUMMARY:Ada", "TRANSP:TRANSPARENT", "STATUS:TENTATIVE"),
        )
        assert listed(found) == [("07 09:00", "07 17:00", ("ada",))]
        assert found.unknown == ()

    def test_shifts_at_the_edges_are_whole_and_others_are_left_out(self) -> None:
        month = event("20260915T000000Z", "20261005T000000Z", "SUMMARY:Ada")
        before = event("20260930T000000Z", "20261001T000000Z", "SUMMARY:Bo")
        after = event("20261101T000000Z", "20261102T000000Z", "SUMMARY:Bo")
        assert read(month, before, after).shifts == (
            Shift(utc("2026-09-15 00:00"), utc("2026-10-05 00:00"), ("ada",)),
        )

    def test_an_event_without_length_covers_nothing(self) -> None:
        assert told(read("DTSTART:20261005T090000Z\nSUMMARY:Ada")) == ((), ())


class TestWhatIsNoCalendar:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "does not begin with BEGIN:VCALENDAR"),
            ("<!doctype html><p>Please log in", "does not begin with BEGIN:VCALENDAR"),
            (calendar(day(5))[:-40], "cut off"),
            ("BEGIN:VCALENDAR\nfoo\nEND:VCALENDAR", "cannot be read: .*foo"),
            (calendar("SUMMARY:Ada"), "cannot be read: event 'Ada' has no DTSTART"),
            (calendar("DTSTART:soon\nSUMMARY:Ada"), "cannot be read: event 'Ada': DTSTART: .*soon"),
            (calendar(day(5, "SUMMARY:Ada", "EXDATE:soon")), "event 'Ada': EXDATE: .*soon"),
            (calendar(day(5, "SUMMARY:Ada", "RRULE:weekly")), "event 'Ada' repeats by no rule"),
            (calendar(day(5, "RRULE:FREQ=NEVER")), "cannot be read: "),
            (calendar(day(5, "RRULE:FREQ=SECONDLY")), "more often than hourly"),
            (calendar(day(5, "RRULE:FREQ=DAILY\nRRULE:FREQ=MINUTELY")), "more often than hourly"),
            (calendar(event("20261005T09", "20261005T10")), "cannot be read: "),
            (
                calendar(event("20261005T090000", "20261005T100000", zone=";TZID=Mars/Olympus")),
                "time zone Mars/Olympus, which nobody knows",
            ),
        ],
    )
    def test_it_is_refused_in_a_sentence(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            read_calendar(text, BERLIN, NAMES, START, END)

    def test_too_much_is_not_even_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(icalendar_events, "_LARGEST", 50)
        with pytest.raises(ValueError, match="at most 50 are read"):
            read(day(5, "SUMMARY:Ada"))

    def test_an_empty_one_is_a_calendar_and_blanks_around_it_do_not_matter(self) -> None:
        text = f"\ufeff\r\n{calendar()}\r\n\r\n"
        assert read_calendar(text, BERLIN, {}, START, END) == Calendar((), ())
        assert read_calendar(calendar(day(5, "SUMMARY:Ada")), BERLIN, {}, START, END).shifts == ()

    @given(st.data())
    def test_whatever_is_broken_in_it_it_is_read_or_refused(self, data: st.DataObject) -> None:
        whole = calendar(
            day(5, "SUMMARY:Ada", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20261006T090000Z"),
            event("20261007", "20261008", "ATTENDEE:mailto:bo@example.com", zone=";VALUE=DATE"),
        )
        at = data.draw(st.integers(15, len(whole) - 16))
        after = at + data.draw(st.integers(0, 9))
        text = whole[:at] + data.draw(st.text(max_size=3)) + whole[after:]
        with suppress(ValueError):
            read_calendar(text, BERLIN, NAMES, START, END)
