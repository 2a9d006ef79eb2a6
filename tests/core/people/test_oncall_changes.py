"""Overrides are laid over schedules of any kind, and calendars and calls go by them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest

from daemon.core.people.oncall_changes import OncallOverride
from daemon.core.people.oncall_ics import person_calendar, schedule_calendar
from daemon.core.people.oncall_requests import (
    OncallRefused,
    WantedOverride,
    check_override,
    orphaned,
    shift_at,
)
from daemon.core.people.oncall_week import oncall_week
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Shift

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 10, 21, 10, 0, tzinfo=UTC)  # a Wednesday; the clocks go back on Sunday 25th
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEED = {"feed": (Shift(NOW - DAY, NOW + 5 * DAY, ("ada", "bo")),)}
ROSTER = Roster.model_validate(
    {
        "people": {
            **{n: {"name": n.title(), "contact": [{"console": True}]} for n in ("ada", "bo", "cy")},
            "eve": {"name": "Eve", "access": "viewer", "contact": [{"console": True}]},
        },
        "teams": {"shop": {"owners": ["ada"], "lead": "cy", "policy": "shop"}},
        "schedules": {
            "primary": {
                "zone": "Europe/Berlin",
                "layers": [{"rotation": ["ada", "bo"], "start": "2026-10-19"}],
            },
            "feed": {"zone": "UTC", "calendar": {"file": "feed.ics"}},
        },
        "policies": {"shop": {"tiers": [{"notify": ["primary"]}, {"notify": ["feed"]}]}},
        "default_policy": "shop",
    }
)


def override(
    schedule: str, person: str, start: datetime, until: datetime, replaces: str = "", n: int = 1
) -> OncallOverride:
    return OncallOverride(
        id=f"o{n}",
        schedule=schedule,
        person=person,
        replaces=replaces,
        start=start,
        until=until,
        by=person,
        at=NOW + n * timedelta(seconds=1),
    )


def knowing(*overrides: OncallOverride) -> Roster:
    return ROSTER.knowing(FEED, overrides)


def wanted(**changes: Any) -> WantedOverride:
    given = {"schedule": "primary", "person": "bo", "start": NOW, "until": NOW + HOUR, **changes}
    return WantedOverride(**given)


def refusal(by: str = "bo", *, admin: bool = False, **changes: Any) -> str:
    with pytest.raises(OncallRefused) as error:
        check_override(ROSTER, wanted(**changes), by, admin=admin, now=NOW)
    return str(error.value)


# ── what they do ─────────────────────────────────────────────────────────────────────────────


def test_a_call_goes_by_an_override_from_its_first_moment_to_its_last() -> None:
    roster = knowing(override("primary", "bo", NOW, NOW + HOUR))
    second = timedelta(seconds=1)
    moments = (NOW - second, NOW, NOW + HOUR - second, NOW + HOUR)
    called = [roster.tiers("shop", at)[0].people for at in moments]
    assert called == [("ada",), ("bo",), ("bo",), ("ada",)]


def test_an_override_of_one_person_leaves_the_others_of_a_calendar() -> None:
    roster = knowing(override("feed", "cy", NOW, NOW + HOUR, replaces="bo"))
    assert roster.on_call("feed", NOW) == ("ada", "cy")
    assert roster.on_call("primary", NOW) == ("ada",)


def test_an_override_of_somebody_who_is_not_on_call_changes_nothing() -> None:
    roster = knowing(override("primary", "cy", NOW, NOW + HOUR, replaces="bo"))
    assert roster.on_call("primary", NOW) == ("ada",)


def test_of_two_that_overlap_the_later_one_counts() -> None:
    first = override("primary", "bo", NOW, NOW + 4 * HOUR, n=1)
    second = override("primary", "cy", NOW + HOUR, NOW + 2 * HOUR, n=2)
    found = knowing(first, second).shifts("primary", NOW, NOW + 5 * HOUR)
    assert [(s.people, (s.end - s.start) / HOUR) for s in found] == [
        (("bo",), 1),
        (("cy",), 1),
        (("bo",), 2),
        (("ada",), 1),
    ]


def test_an_override_across_the_change_of_the_clocks_lasts_what_it_says() -> None:
    begin = datetime(2026, 10, 24, 20, 0, tzinfo=BERLIN).astimezone(UTC)
    until = datetime(2026, 10, 25, 8, 0, tzinfo=BERLIN).astimezone(UTC)
    assert until - begin == 13 * HOUR
    roster = knowing(override("primary", "bo", begin, until))
    night = [s for s in roster.shifts("primary", begin - HOUR, until + HOUR) if s.people == ("bo",)]
    assert [(s.start, s.end) for s in night] == [(begin, until)]


def test_an_override_for_somebody_who_left_does_not_leave_nobody() -> None:
    roster = knowing(override("primary", "gone", NOW, NOW + HOUR))
    assert roster.on_call("primary", NOW) == ("ada",)
    roster = knowing(override("primary", "eve", NOW, NOW + HOUR))
    assert roster.on_call("primary", NOW) == ("ada",)


def test_a_roster_sees_what_is_set_after_it_was_read() -> None:
    live: list[OncallOverride] = []
    roster = ROSTER.knowing(FEED, live)
    assert roster.on_call("primary", NOW) == ("ada",)
    live.append(override("primary", "bo", NOW, NOW + HOUR))
    assert roster.on_call("primary", NOW) == ("bo",)


# ── what may be set ──────────────────────────────────────────────────────────────────────────


def test_whoever_puts_themselves_on_call_needs_nobody() -> None:
    check_override(ROSTER, wanted(), "bo", admin=False, now=NOW)


def test_somebody_else_is_put_on_call_by_the_lead_or_an_admin_alone() -> None:
    check_override(ROSTER, wanted(), "cy", admin=False, now=NOW)
    check_override(ROSTER, wanted(), "ada", admin=True, now=NOW)
    assert refusal("ada") == (
        "bo must agree: ask them by `stopgap oncall swap`, or have it set by cy, "
        "who may put others on call"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"until": NOW - HOUR, "start": NOW - 2 * HOUR}, "it is past already"),
        ({"until": NOW, "start": NOW}, "it ends before it begins"),
        ({"until": NOW + 400 * DAY}, "longer than a year; change the schedule in the roster"),
        ({"person": "beo"}, "'beo' cannot be put on call: they are not in the roster; did you me"),
        ({"replaces": "zoe"}, "'zoe' cannot be replaced: they are not in the roster; it has ada"),
        ({"person": "eve"}, "`people.eve.access: responder` in the roster lets them act"),
        ({"schedule": "primry"}, "no schedule 'primry' (did you mean primary?)"),
        ({"replaces": "bo"}, "bo cannot replace themselves"),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(changes: dict[str, Any], told: str) -> None:
    assert told in refusal("cy", **changes)


def test_an_override_that_lies_over_nothing_any_more_is_told_of() -> None:
    renamed = override("primry", "bo", NOW, NOW + HOUR)
    left = override("primary", "gone", NOW, NOW + HOUR, n=2)
    over = override("primry", "bo", NOW - DAY, NOW, n=3)
    found = orphaned(ROSTER, [renamed, left, over, override("feed", "bo", NOW, NOW + DAY)], NOW)
    assert len(found) == 2
    assert "there is no schedule 'primry' any more (did you mean primary?)" in found[0]
    assert found[0].endswith("set it again, or `stopgap oncall remove o1`")
    assert "gone is not in the roster" in found[1]


def test_the_shift_that_is_meant_is_the_one_at_a_moment_or_the_next() -> None:
    monday = datetime(2026, 10, 26, 8, 0, tzinfo=UTC)  # at 09:00 in Berlin
    found = shift_at(ROSTER, "primary", "bo", NOW, NOW)
    assert (found.start, found.end) == (monday, monday + 7 * DAY)
    found = shift_at(ROSTER, "primary", "ada", NOW + HOUR, NOW)
    assert (found.start, found.end) == (NOW, monday)
    with pytest.raises(OncallRefused, match="cy has no shift of primary"):
        shift_at(ROSTER, "primary", "cy", NOW, NOW)
    with pytest.raises(OncallRefused, match="is past; name a moment"):
        shift_at(ROSTER, "primary", "ada", NOW - DAY, NOW)


def test_no_other_shift_is_taken_than_the_one_that_was_named() -> None:
    """Ada says next Wednesday, which is bo's: her shift a week later is not what she meant."""
    with pytest.raises(OncallRefused) as refused:
        shift_at(ROSTER, "primary", "ada", NOW + 7 * DAY, NOW)
    assert str(refused.value) == (
        "ada has no shift of primary at 2026-10-28 10:00 UTC: bo is on call then; their next "
        "begins at 2026-11-02 08:00 UTC, so name a moment in that, if it is meant"
    )
    # By the noon of a day the night that follows is meant.
    eve = datetime(2026, 10, 25, 12, 0, tzinfo=UTC)
    assert shift_at(ROSTER, "primary", "bo", eve, NOW).start == eve + timedelta(hours=20)


# ── how they are shown ───────────────────────────────────────────────────────────────────────


def test_a_week_is_shown_on_the_clock_of_whoever_looks() -> None:
    roster = knowing(override("primary", "bo", NOW, NOW + 2 * HOUR))
    week = oncall_week(roster, "primary", date(2026, 10, 19), BERLIN)
    assert [day.day.day for day in week] == [19, 20, 21, 22, 23, 24, 25]
    wednesday = [(f"{s.start:%H:%M}", s.people, s.changed) for s in week[2].slots]
    assert wednesday == [
        ("00:00", ("ada",), False),
        ("12:00", ("bo",), True),
        ("14:00", ("ada",), False),
    ]
    assert week[6].slots[0].whole
    sunday = week[6].slots[0]
    assert sunday.end.astimezone(UTC) - sunday.start.astimezone(UTC) == 25 * HOUR
    tokyo = oncall_week(roster, "primary", date(2026, 10, 19), ZoneInfo("Asia/Tokyo"))
    assert [f"{s.start:%H:%M}" for s in tokyo[2].slots] == ["00:00", "19:00", "21:00"]


def events(text: bytes) -> list[Any]:
    (calendar,) = icalendar.Calendar.from_ical(text, multiple=True)
    assert calendar["VERSION"] == "2.0"
    assert calendar["PRODID"]
    assert calendar.errors == []
    return list(calendar.walk("VEVENT"))


def test_the_calendar_is_one_that_programs_read_in_utc() -> None:
    roster = knowing(override("primary", "bo", NOW, NOW + HOUR))
    found = events(schedule_calendar(roster, "primary", NOW))
    assert all(not one.errors and one["UID"] and one["DTSTAMP"] for one in found)
    assert len({one["UID"] for one in found}) == len(found)
    (short,) = [one for one in found if one["DTEND"].dt - one["DTSTART"].dt == HOUR]
    assert (short["DTSTART"].dt, short["DTSTART"].dt.utcoffset()) == (NOW, timedelta(0))
    assert str(short["SUMMARY"]) == "Bo: primary"
    assert b"DTSTART:20261021T100000Z" in short.to_ical()


def test_the_calendar_of_a_person_has_their_shifts_of_all_schedules() -> None:
    found = events(person_calendar(knowing(), "bo", NOW))
    assert {str(one["SUMMARY"]) for one in found} == {"On call: primary", "On call: feed"}
    assert events(person_calendar(knowing(), "cy", NOW)) == []
