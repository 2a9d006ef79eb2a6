"""Durations, shares and rates: what is written is what is meant, and comes back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.core.values.units import (
    Duration,
    Frozen,
    Moment,
    PerMinute,
    Share,
    clock_time,
    format_duration,
    parse_duration,
    parse_rate,
    parse_share,
    percent,
    quantity,
)


class Values(Frozen):
    duration: Duration = timedelta(0)
    share: Share = 0.0
    rate: PerMinute = 0.0
    moment: Moment = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1d", 86400),
        ("2w", 1209600),
        ("250ms", 0.25),
        ("1.5m", 90),
        (" 5m ", 300),
        ("0s", 0),
        (timedelta(minutes=2), 120),
    ],
)
def test_a_duration_is_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "5", "5 m", "-5m", "5min", "m", "1h 30m", "1y", 300, None, True, "5m;", "9" * 30 + "w"],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write it like 30s"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**14))
def test_a_duration_comes_back_as_it_was(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    text = format_duration(value)
    # As exact as the float arithmetic of a reading allows: far below a millisecond.
    assert abs(parse_duration(text) - value) < timedelta(milliseconds=0.5)
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "1m30s"), (0.25, "250ms"), (86461, "1d1m1s"), (0, "0s"), (-5, "0s"), (604800, "7d")],
)
def test_a_duration_is_spelled_as_promql_reads_it(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("text", "share"),
    [("5%", 0.05), ("0.5 %", 0.005), (0.05, 0.05), ("0", 0), ("100%", 1), ("300%", 3.0)],
)
def test_a_share_is_read(text: object, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", ["", "%", "five", "-1%", -0.1, 5, 1, "1", 1.01, True, None, "nan", "inf%"]
)
def test_what_is_no_share_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write it like"):
        parse_share(text)


def test_a_number_that_may_be_a_percentage_is_told_how_to_be_one() -> None:
    with pytest.raises(ValueError, match="write it like 5%"):
        parse_share(5)


@pytest.mark.parametrize(
    ("text", "rate"), [("30/m", 30), ("2/s", 120), ("120/h", 2), ("1.5 / m", 1.5), ("0/m", 0)]
)
def test_a_rate_is_read_as_events_a_minute(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "30", 30, "30/d", "-1/m", "/m", "30/min"])
def test_what_is_no_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="write it like 30/m"):
        parse_rate(text)


@given(
    st.floats(min_value=0, max_value=10, allow_subnormal=False),
    st.floats(min_value=1e-6, max_value=1e7),
    st.integers(min_value=0, max_value=10**9),
)
def test_shares_rates_and_durations_survive_being_written_down(
    share: float, rate: float, milliseconds: int
) -> None:
    values = Values.model_construct(
        share=share, rate=rate, duration=timedelta(milliseconds=milliseconds)
    )
    written = values.model_dump(mode="json")
    if "e" in written["share"] + written["rate"]:
        return  # below a millionth: nobody writes that
    again = Values.model_validate(written)
    assert again.share == pytest.approx(share, rel=1e-9)
    assert again.rate == pytest.approx(rate, rel=1e-9)
    assert abs(again.duration - values.duration) < timedelta(milliseconds=1)
    assert again.model_dump(mode="json") == written


def test_a_moment_without_a_zone_is_utc() -> None:
    value: Any = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - the case
    assert Values(moment=value).moment == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_value_is_immutable_and_knows_its_fields() -> None:
    with pytest.raises(ValidationError):
        Values().share = 1.0
    with pytest.raises(ValidationError):
        Values.model_validate({"shares": 1})


def test_numbers_are_told_as_people_read_them() -> None:
    assert percent(0.9912) == "99.1 %"
    assert percent(0.99962) == "99.96 %"
    assert percent(1.0) == "100.0 %"
    assert quantity(1240.4) == "1,240"
    assert quantity(12.54) == "12.5"
    assert quantity(0.0341) == "0.0341"
    assert quantity(float("inf")) == "inf"
    assert clock_time(datetime(2026, 3, 1, 14, 3, 20, tzinfo=UTC)) == "14:03:20 UTC"
