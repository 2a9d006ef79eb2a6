"""The report on who is on call, who is next, and where nobody will be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.core.people.oncall_report import ScheduleReport, shift_coverage
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Schedule, Shift

AT = datetime(2026, 11, 4, 12, 0, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = datetime(2026, 11, 9, 9, 0, tzinfo=UTC)


def schedule(*people: str, **layer: Any) -> Schedule:
    rotation = {"rotation": people, "start": "2026-11-02", **layer}
    return Schedule.model_validate({"zone": "Europe/London", "layers": [rotation]})


def report(found: Schedule, calendar: tuple[Shift, ...] = (), **ahead: timedelta) -> ScheduleReport:
    (only,) = shift_coverage(roster_with({"shop": found}).knowing({"shop": calendar}), AT, **ahead)
    return only


def roster_with(schedules: dict[str, Schedule]) -> Roster:
    """ada, bo and cy, by these schedules."""
    person = {"name": "x", "contact": [{"console": True}]}
    return Roster.model_validate(
        {
            "people": dict.fromkeys(("ada", "bo", "cy", "dee"), person),
            "schedules": schedules,
            "policies": {"all": {"tiers": [{"notify": ["ada"]}]}},
            "default_policy": "all",
        }
    )


def test_who_is_on_call_until_when_and_who_is_next() -> None:
    found = report(schedule("ada", "bo"))
    assert (found.schedule, found.zone) == ("shop", "Europe/London")
    assert (found.now, found.until, found.next) == (("ada",), MONDAY, ("bo",))
    assert found.gaps == ()


def test_one_person_for_ever() -> None:
    found = report(schedule("ada"))
    assert (found.now, found.until, found.next, found.gaps) == (("ada",), None, (), ())


def test_nobody_before_the_first_handover() -> None:
    found = report(schedule("ada", start="2026-11-06"))
    first = datetime(2026, 11, 6, 9, 0, tzinfo=UTC)
    assert (found.now, found.until, found.next) == ((), first, ("ada",))
    assert found.gaps == (Shift(AT, first, ()),)


def test_gaps_are_those_in_the_time_looked_at() -> None:
    office = [{"days": ["wed", "thu", "fri"], "from": "09:00", "to": "17:00"}]
    found = report(schedule("ada", restrict=office), ahead=DAY + HOUR)
    evening, morning = AT + 5 * HOUR, AT + 21 * HOUR
    assert (found.now, found.until, found.next) == (("ada",), evening, ())
    assert found.gaps == (Shift(evening, morning, ()),)


def test_a_calendar_ends_where_its_shifts_end() -> None:
    network = Schedule.model_validate({"zone": "UTC", "calendar": {"file": "network.ics"}})
    held = (Shift(AT - DAY, AT + HOUR, ("ada",)), Shift(AT + HOUR, AT + 3 * DAY, ("ada", "bo")))
    found = report(network, held)
    assert (found.now, found.until, found.next) == (("ada",), AT + HOUR, ("ada", "bo"))
    assert found.gaps == (Shift(AT + 3 * DAY, AT + 14 * DAY, ()),)


def test_every_schedule_has_a_report_in_their_order_with_a_calendar_or_without() -> None:
    network = Schedule.model_validate({"zone": "UTC", "calendar": {"file": "network.ics"}})
    found = shift_coverage(roster_with({"shop": schedule("ada"), "network": network}), AT)
    assert [(r.schedule, r.now) for r in found] == [("shop", ("ada",)), ("network", ())]
    assert found[1].gaps == (Shift(AT, AT + 14 * DAY, ()),)
    assert shift_coverage(roster_with({}), AT) == []


def test_there_must_be_time_to_look_at() -> None:
    with pytest.raises(ValueError, match="must be more than 0s"):
        shift_coverage(roster_with({"shop": schedule("ada")}), AT, timedelta(0))
