"""Freeze windows by calendar: which freeze stands when, and what is coming."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.core.recovery.freeze_windows import FreezeWindows, check_freeze_windows

EVERYTHING = ("global", "team:shop", "service:checkout")
ICS = """BEGIN:VCALENDAR
BEGIN:VEVENT
UID:1
SUMMARY:books
DTSTART;TZID=Europe/Berlin:20261130T200000
DTEND;TZID=Europe/Berlin:20261201T060000
END:VEVENT
END:VCALENDAR"""


def windows(*given: dict[str, Any], **calendars: str) -> FreezeWindows:
    base = {"name": "w", "reason": "because"}
    read = FreezeWindows.model_validate({"windows": [{**base, **window} for window in given]})
    named = {f"{name}.ics": text for name, text in calendars.items()}
    return read.model_copy(update={"calendars": named})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


FRIDAYS = windows(
    {
        "zone": "Europe/Berlin",
        "weekly": {"days": ["fri"], "from": "16:00", "to": "24:00"},
    }
)


def test_a_weekly_window_stands_in_its_hours_on_the_wall_clock() -> None:
    stands = [
        FRIDAYS.latest_for(EVERYTHING, at(moment)) is not None
        for moment in (
            "2026-11-27T14:59:59",  # 15:59:59 in Berlin
            "2026-11-27T15:00:00",
            "2026-11-27T22:59:59",
            "2026-11-27T23:00:00",
            "2026-11-26T16:00:00",  # a Thursday
            "2026-07-03T14:00:00",  # summer: 16:00 in Berlin
        )
    ]
    assert stands == [False, True, True, False, False, True]
    freeze = FRIDAYS.latest_for(EVERYTHING, at("2026-11-27T20:00"))
    assert freeze is not None
    assert (freeze.by, freeze.reason) == ("calendar", "w: because")
    assert (freeze.at, freeze.until) == (at("2026-11-27T15:00"), at("2026-11-27T23:00"))


def test_a_window_may_end_on_the_next_day_and_touching_ones_are_one() -> None:
    nightly = windows({"weekly": {"from": "20:00", "to": "06:00"}})
    freeze = nightly.latest_for(EVERYTHING, at("2026-11-24T03:00"))
    assert freeze is not None
    assert (freeze.at, freeze.until) == (at("2026-11-23T20:00"), at("2026-11-24T06:00"))
    always = windows({"weekly": {"from": "00:00", "to": "24:00"}})
    freeze = always.latest_for(EVERYTHING, at("2026-11-24T03:00"))
    assert freeze is not None
    assert freeze.until is not None
    assert freeze.until - freeze.at > timedelta(days=30)


@pytest.mark.parametrize(
    ("zone", "moment", "stands"),
    [
        # Berlin's clocks skip 02:00–03:00 on 29 March 2026: 02:30 is read as 03:30 (01:30 UTC).
        ("Europe/Berlin", "2026-03-29T01:29", False),
        ("Europe/Berlin", "2026-03-29T01:31", True),
        # and have 02:00–03:00 twice on 25 October: the first 02:30 is meant (00:30 UTC).
        ("Europe/Berlin", "2026-10-25T00:31", True),
        # Lord Howe goes back by half an hour at 02:00 on 5 April: its 02:30 is 16:00 UTC.
        ("Australia/Lord_Howe", "2026-04-04T15:59", False),
        ("Australia/Lord_Howe", "2026-04-04T16:00", True),
    ],
)
def test_daylight_saving(zone: str, moment: str, stands: bool) -> None:
    found = windows({"zone": zone, "weekly": {"from": "02:30", "to": "05:00"}})
    assert (found.latest_for(EVERYTHING, at(moment)) is not None) == stands


def test_a_span_stands_between_its_moments_and_only_in_its_scope() -> None:
    sale = windows(
        {
            "scope": "team:shop",
            "zone": "Europe/Berlin",
            "between": {"from": "2026-11-27 00:00", "until": "2026-12-01 08:00"},
        }
    )
    now = at("2026-11-28T12:00")
    assert sale.latest_for(("global", "team:search"), now) is None
    freeze = sale.latest_for(EVERYTHING, now)
    assert freeze is not None
    assert freeze.until == at("2026-12-01T07:00")
    assert sale.latest_for(EVERYTHING, at("2026-12-01T07:00")) is None


def test_an_event_of_a_calendar_freezes() -> None:
    found = windows({"calendar": "ops.ics"}, ops=ICS)
    assert found.latest_for(EVERYTHING, at("2026-11-30T18:59")) is None
    freeze = found.latest_for(EVERYTHING, at("2026-11-30T19:00"))
    assert freeze is not None
    assert freeze.until == at("2026-12-01T05:00")


def test_of_several_the_one_that_ends_last_is_told() -> None:
    found = windows(
        {"name": "short", "weekly": {"from": "08:00", "to": "12:00"}},
        {"name": "long", "weekly": {"from": "09:00", "to": "18:00"}},
    )
    freeze = found.latest_for(EVERYTHING, at("2026-11-24T10:00"))
    assert freeze is not None
    assert freeze.reason == "long: because"
    ahead = found.upcoming(at("2026-11-24T10:00"), at("2026-11-25T10:00"))
    assert [f.reason.split(":")[0] for f in ahead] == ["short", "long", "short", "long"]


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ({}, "give one of"),
        ({"weekly": {"from": "08:00", "to": "9:00"}, "calendar": "x.ics"}, "give one of"),
        ({"scope": "everything", "calendar": "x.ics"}, "is no scope"),
        ({"zone": "Berlin", "calendar": "x.ics"}, "did you mean"),
        ({"calendar": "../x.ics"}, "calendar"),
        ({"weekly": {"days": [], "from": "08:00", "to": "9:00"}}, "days"),
        ({"between": {"from": "2026-11-27 00:00", "until": "2026-11-26 00:00"}}, "must be later"),
        ({"between": {"from": "2026-11-27 00:00", "until": "2027-11-26 00:00"}}, "31 days"),
        ({"reason": " ", "calendar": "x.ics"}, "reason"),
    ],
)
def test_a_window_that_makes_no_sense_is_a_mistake(window: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        windows(window)


def test_a_window_of_an_unknown_team_is_a_mistake() -> None:
    found = windows({"calendar": "x.ics"}, {"scope": "team:shpo", "calendar": "x.ics"})
    ((index, text),) = check_freeze_windows(found, ["shop"])
    assert (index, text) == (1, "no team 'shpo' in the roster; known: shop")


hours = st.integers(0, 23).map(lambda hour: f"{hour:02}:00")
some = st.lists(
    st.fixed_dictionaries(
        {
            "weekly": st.fixed_dictionaries(
                {
                    "days": st.lists(
                        st.sampled_from(["mon", "wed", "sun"]), min_size=1, unique=True
                    ),
                    "from": hours,
                    "to": hours,
                }
            ),
            "zone": st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
            "scope": st.sampled_from(["global", "team:shop"]),
        }
    ),
    max_size=3,
)
moments = st.integers(0, 400 * 24 * 4).map(
    lambda quarter: at("2026-01-01T00:00") + timedelta(minutes=15 * quarter)
)


@given(some, moments)
def test_what_stands_is_among_what_is_upcoming(given: list[dict[str, Any]], now: datetime) -> None:
    found = windows(*given)
    standing = found.latest_for(EVERYTHING, now)
    ahead = found.upcoming(now, now + timedelta(days=1))
    assert (standing is not None) == any(freeze.at <= now for freeze in ahead)
    if standing is not None:
        assert standing in ahead
        assert standing.until is not None
        assert standing.at <= now < standing.until
        before = found.latest_for(EVERYTHING, standing.at - timedelta(microseconds=1))
        assert before is None or before.reason == standing.reason
