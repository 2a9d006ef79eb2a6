"""Schedules: who is on call at an instant; their form, and the mistakes in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.people.rotations import wall
from daemon.core.people.schedules import Schedule, Shift, check_schedule, on_call, shifts
from daemon.core.values.yaml_document import Mistakes, one_document

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
    "Pacific/Apia",
)


def schedule(*layers: dict[str, Any], zone: str = "Europe/Berlin", **more: Any) -> Schedule:
    return Schedule.model_validate({"zone": zone, "layers": layers, **more})


def rotation(*people: str, start: str = "2026-01-05", **more: Any) -> dict[str, Any]:
    return {"rotation": people or ("ada", "bo", "cy"), "start": start, **more}


def local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return wall(datetime.fromisoformat(text), ZoneInfo(zone))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


GOOD = """\
zone: Europe/Berlin
layers:
  - rotation: [ada, bo]
    start: 2026-11-02
    handover: "10:30"
    every: 1d
    restrict: [{days: [mon, tue], from: "22:00", to: "06:00"}]
calendar: {file: net.ics}
overrides:
  - {person: cy, from: "2026-12-24 18:00", until: "2026-12-26 09:00"}
"""


def read(text: str) -> Schedule:
    return one_document(text, "schedule.yaml").read(Schedule)


class TestLayers:
    def test_the_later_layer_wins_where_it_has_somebody(self) -> None:
        both = schedule(
            rotation("ada"),
            rotation("bo", restrict=[{"days": ["sat", "sun"], "from": "00:00", "to": "24:00"}]),
        )
        found = shifts(both, local("2026-03-26 00:00"), local("2026-04-01 00:00"))
        assert found == [
            Shift(local("2026-03-26 00:00"), local("2026-03-28 00:00"), ("ada",)),
            Shift(local("2026-03-28 00:00"), local("2026-03-30 00:00"), ("bo",)),  # 47 hours
            Shift(local("2026-03-30 00:00"), local("2026-04-01 00:00"), ("ada",)),
        ]

    def test_a_layer_that_has_not_begun_leaves_it_to_the_one_below(self) -> None:
        both = schedule(rotation("ada"), rotation("bo", start="2026-05-04"))
        assert on_call(both, local("2026-05-04 08:59")) == ("ada",)
        assert on_call(both, local("2026-05-04 09:00")) == ("bo",)

    def test_a_calendar_is_asked_last(self) -> None:
        office = {"days": ["mon"], "from": "09:00", "to": "17:00"}
        mixed = schedule(rotation("ada", restrict=[office]), calendar={"file": "x.ics"})
        start = local("2026-03-02 08:00")
        calendar = [
            Shift(start, start + DAY, ("cy", "bo")),
            Shift(start, start + 2 * HOUR, ("cy",)),
        ]
        assert on_call(mixed, start, calendar) == ("bo", "cy")
        assert on_call(mixed, start + HOUR, calendar) == ("ada",)
        assert [s.people for s in shifts(mixed, start, start + 2 * DAY, calendar)] == [
            ("bo", "cy"),
            ("ada",),
            ("bo", "cy"),
            (),
        ]


class TestOverrides:
    def test_an_override_wins_over_every_layer_from_its_start_until_before_its_end(
        self,
    ) -> None:
        swapped = schedule(
            rotation("ada"),
            rotation("bo"),
            overrides=[{"person": "cy", "from": "2026-12-24 18:00", "until": "2026-12-26 09:00"}],
        )
        start, end = local("2026-12-24 18:00"), local("2026-12-26 09:00")
        instants = [start - MOMENT, start, end - MOMENT, end]
        assert [on_call(swapped, at) for at in instants] == [("bo",), ("cy",), ("cy",), ("bo",)]
        assert shifts(swapped, start - HOUR, end + HOUR) == [
            Shift(start - HOUR, start, ("bo",)),
            Shift(start, end, ("cy",)),
            Shift(end, end + HOUR, ("bo",)),
        ]

    def test_of_two_the_later_in_the_list_wins(self) -> None:
        swapped = schedule(
            rotation("ada"),
            overrides=[
                {"person": "bo", "from": "2026-12-24 00:00", "until": "2026-12-27 00:00"},
                {"person": "cy", "from": "2026-12-25 10:00", "until": "2026-12-25 14:00"},
            ],
        )
        found = shifts(swapped, local("2026-12-24 00:00"), local("2026-12-28 00:00"))
        assert [s.people for s in found] == [("bo",), ("cy",), ("bo",), ("ada",)]

    def test_it_fills_a_gap_and_replaces_a_calendar(self) -> None:
        calendar = schedule(
            calendar={"url": "env:FEED"},
            overrides=[{"person": "cy", "from": "2026-12-24 00:00", "until": "2026-12-25 00:00"}],
        )
        start = local("2026-12-24 00:00")
        assert on_call(calendar, start) == ("cy",)
        assert on_call(calendar, start, [Shift(start, start + DAY, ("ada", "bo"))]) == ("cy",)

    @pytest.mark.parametrize(
        ("written", "instant"),
        [
            ('"2026-12-24 18:00"', "2026-12-24 17:00"),
            ('"2026-12-24T18:00"', "2026-12-24 17:00"),
            ('"2026-12-24 9:00"', "2026-12-24 08:00"),
            ("2026-12-24 18:00", "2026-12-24 17:00"),
            ("2026-12-24 18:00:30", "2026-12-24 17:00:30"),  # YAML makes a datetime of it
            ('"2026-12-24 18:00 -05:00"', "2026-12-24 23:00"),
            ('"2026-12-24 18:00Z"', "2026-12-24 18:00"),
            ("2026-12-24T18:00:00+05:45", "2026-12-24 12:15"),
            ("2026-12-24T18:00:00Z", "2026-12-24 18:00"),
            # With an offset the second of two equal times can be meant.
            ('"2026-10-25 02:30+02:00"', "2026-10-25 00:30"),
            ('"2026-10-25 02:30+01:00"', "2026-10-25 01:30"),
        ],
    )
    def test_times_are_the_zones_unless_they_have_an_offset(
        self, written: str, instant: str
    ) -> None:
        found = read(GOOD.replace('"2026-12-24 18:00"', written))
        assert found.overrides[0].span(found.zone_info)[0] == utc(instant)


class TestTheForm:
    def test_the_defaults(self) -> None:
        (layer,) = schedule(rotation()).layers
        assert (layer.handover, layer.every, layer.restrict) == (9 * HOUR, 7 * DAY, ())

    def test_it_can_be_written_and_read_again(self) -> None:
        found = read(GOOD)
        assert Schedule.model_validate_json(found.model_dump_json(by_alias=True)) == found
        assert '"handover":"10:30"' in found.model_dump_json(by_alias=True)

    @pytest.mark.parametrize(
        ("old", "new", "place", "said"),
        [
            ("Europe/Berlin", "europe/berlin", "zone", "did you mean Europe/Berlin?"),
            ("Europe/Berlin", "Europe", "zone", "not a time zone"),
            ("Europe/Berlin", "../etc/passwd", "zone", "not a time zone"),
            ("Europe/Berlin", "+01:00", "zone", "not a time zone of the IANA database"),
            ("Europe/Berlin", "2", "zone", "write it like Europe/Berlin, or UTC"),
            ("[ada, bo]", "[]", "layers.0.rotation", "at least one is needed"),
            ('"10:30"', "10:30", "layers.0.handover", 'as the number 630; write "10:30"'),
            ('"10:30"', "9:00", "layers.0.handover", 'as the number 540; write "09:00"'),
            ('"10:30"', "24:00", "layers.0.handover", 'write "24:00"'),
            ('"10:30"', '"24:00"', "layers.0.handover", "nothing begins at 24:00"),
            ('"10:30"', "10", "layers.0.handover", "number 10"),
            ('"10:30"', "-1", "layers.0.handover", "not a time of day"),
            ('"10:30"', "true", "layers.0.handover", "not a time of day"),
            ('"10:30"', '"10:60"', "layers.0.handover", "not a time of day"),
            ('"10:30"', '"10h"', "layers.0.handover", 'in quotes, like "09:00"'),
            ("2026-11-02", "2026-11-02 09:00:00", "layers.0.start", "without a time"),
            ("2026-11-02", "2026-11-31", "layers.0.start", "not YAML"),
            ("2026-11-02", '"2026-11-31"', "layers.0.start", "not a date"),
            ("2026-11-02", "20261102", "layers.0.start", "like 2026-11-02"),
            ("every: 1d", "every: 59m", "layers.0.every", "an hour at least"),
            ("every: 1d", "every: weekly", "layers.0.every", "not a duration"),
            ("[mon, tue]", "[monday]", "layers.0.restrict.0.days.0", "'mon', 'tue'"),
            ("[mon, tue]", "[]", "layers.0.restrict.0.days", "at least one"),
            ('from: "22:00"', "from: 24:00", "layers.0.restrict.0.from", 'write "24:00"'),
            ('to: "06:00"', "to: 6:00", "layers.0.restrict.0.to", 'write "06:00"'),
            ('"2026-12-24 18:00"', "2026-12-24", "overrides.0.from", "needs a time of day"),
            ('"2026-12-24 18:00"', "tonight", "overrides.0.from", 'like "2026-12-24 18:00"'),
            ('"2026-12-24 18:00"', '"2026-12-24 25:00"', "overrides.0.from", "not a date and"),
            ('"2026-12-24 18:00"', '"0001-01-01 00:00"', "overrides.0.from", "not a date and"),
            ('"2026-12-24 18:00"', '"2026-12-26 09:00"', "overrides.0", "cy ends before it begins"),
            ('"2026-12-24 18:00"', '"2026-12-26 08:00Z"', "", "cy ends before it begins"),
            ("{file: net.ics}", "{}", "calendar", "exactly one of `file`, `url`"),
            ("{file: net.ics}", "{file: a, url: env:A}", "calendar", "exactly one of"),
            ("{file: net.ics}", "{url: 'https://s3cret'}", "calendar.url", "env:NAME"),
            ("{file: net.ics}", "{file: a, stale_after: 1h}", "calendar", "is for a `url`"),
        ],
    )
    def test_a_mistake_is_told_with_its_mend(
        self, old: str, new: str, place: str, said: str
    ) -> None:
        assert old in GOOD
        with pytest.raises(Mistakes) as caught:
            read(GOOD.replace(old, new))
        (found,) = caught.value.mistakes
        assert said in found.text
        assert "s3cret" not in found.text
        assert found.place == ("" if "not YAML" in said else place)

    def test_an_override_that_the_clocks_turn_round_is_told(self) -> None:
        """02:30 is 03:30 that night, and so after 03:15."""
        override = {"person": "cy", "from": "2026-03-29 02:30", "until": "2026-03-29 03:15"}
        with pytest.raises(ValueError, match="ends before it begins"):
            schedule(rotation(), overrides=[override])

    def test_without_layers_and_calendar_nobody_would_ever_be_on_call(self) -> None:
        with pytest.raises(ValueError, match="give `layers` or a `calendar`"):
            schedule()


def test_unknown_people_are_told_where_they_stand() -> None:
    overrides = [{"person": "eve", "from": "2026-12-24 18:00", "until": "2026-12-26 09:00"}]
    found = schedule(rotation("ada"), rotation("bo", "adda"), overrides=overrides)
    assert check_schedule("payments", found, ["ada", "bo", "eve"]) == [
        (("layers", 1, "rotation", 1), "schedule 'payments' calls 'adda'; did you mean 'ada'?"),
    ]
    assert check_schedule("payments", found, ["ada", "bo", "adda"]) == [
        (("overrides", 0, "person"), "schedule 'payments' calls 'eve'; known people: ada, adda, bo")
    ]


@st.composite
def rotations(draw: st.DrawFn) -> Schedule:
    people = draw(st.lists(st.sampled_from(["ada", "bo", "cy"]), min_size=1, max_size=4))
    every = draw(st.sampled_from(["1h", "90m", "8h", "12h", "1d", "25h", "1w", "30d"]))
    minutes = draw(st.integers(0, 24 * 60 - 1))
    handover = f"{minutes // 60:02}:{minutes % 60:02}"
    layer = rotation(*people, start="2009-06-01", every=every, handover=handover)
    return schedule(layer, zone=draw(st.sampled_from(ZONES)))


windows = st.builds(
    lambda days, start, end: {"days": days, "from": start, "to": end},
    st.lists(st.sampled_from(["mon", "fri", "sat", "sun"]), min_size=1),
    st.sampled_from(["00:00", "01:45", "02:30", "09:00", "22:00"]),
    st.sampled_from(["00:00", "02:00", "02:30", "06:00", "17:00", "24:00"]),
)
# Around the nights when the clocks change, and around the day that Apia left out.
moments = st.one_of(
    st.datetimes(datetime(2011, 12, 26), datetime(2012, 1, 4)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 3, 25), datetime(2026, 4, 8)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 10, 1), datetime(2026, 11, 4)),  # noqa: DTZ001
).map(lambda naive: naive.replace(tzinfo=UTC))


class TestProperties:
    @given(rotations(), moments, st.timedeltas(HOUR / 60, 10 * DAY), st.data())
    def test_a_rotation_has_one_person_at_every_instant(
        self, always: Schedule, start: datetime, length: timedelta, data: st.DataObject
    ) -> None:
        found = shifts(always, start, start + length)
        assert all(len(shift.people) == 1 for shift in found)
        agrees(always, start, start + length, found, data)

    @given(rotations(), st.lists(windows, min_size=1, max_size=2), moments, st.data())
    def test_shifts_and_on_call_agree_with_restrictions_and_overrides(
        self, base: Schedule, restrict: list[dict[str, Any]], start: datetime, data: st.DataObject
    ) -> None:
        extra = rotation("dora", "eve", start="2009-06-01", every="12h", restrict=restrict)
        first = data.draw(moments)
        override = {"person": "fay", "from": first, "until": first + 5 * HOUR}
        layers = [base.layers[0], extra] if data.draw(st.booleans()) else [extra]
        mixed = schedule(*layers, zone=base.zone, overrides=[override])
        agrees(mixed, start, start + 6 * DAY, shifts(mixed, start, start + 6 * DAY), data)


def agrees(
    given: Schedule, start: datetime, end: datetime, found: list[Shift], data: st.DataObject
) -> None:
    """The shifts cover the range without overlap, and say what `on_call` says."""
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(a.end == b.start and a.people != b.people for a, b in zip(found, found[1:]))  # noqa: B905, RUF007
    assert sum((s.end - s.start for s in found), timedelta(0)) == end - start
    for instant in data.draw(st.lists(st.timedeltas(timedelta(0), end - start), max_size=5)):
        at = min(start + instant, end - timedelta(microseconds=1))
        (shift,) = (s for s in found if s.start <= at < s.end)
        assert on_call(given, at) == shift.people
