"""Why little or nothing is measured, in sentences that name the true reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import pytest

from daemon.core.measurement.samples import Sample
from daemon.core.measurement.silence import fall_text, too_few_scrapes, traffic_fall, unbounded
from tests.core.build import MINUTE, NOW, SECOND, make_change


def windows(rate: Callable[[float], float], until: float = 0.0) -> list[Sample]:
    """The events in each minute up to a moment, four a minute; `rate` is by seconds from NOW."""
    ends = [until - 15.0 * n for n in range(180)][::-1]
    return [
        (NOW.timestamp() + end, sum(rate(end - second) for second in range(60))) for end in ends
    ]


def said(history: list[Sample], *changes: float, counts: bool = True) -> str:
    """The sentence; the changes are so many seconds from NOW."""
    fall = traffic_fall(history, MINUTE, NOW, counts=counts)
    made = [make_change(f"v{n}", NOW + timedelta(seconds=at)) for n, at in enumerate(changes, 2)]
    return "" if fall is None else fall_text(fall, made, "latency")


def test_traffic_that_fell_after_a_deployment_says_so() -> None:
    text = said(windows(lambda at: 52.0 if at < -120 else 0.0), -3600, -125)
    assert text == "traffic fell from 52/s to 0 within 20s of release:shop → v3"


def test_traffic_that_fell_without_one_says_when() -> None:
    text = said(windows(lambda at: 52.0 if at < -120 else 0.0), -3600, -60)
    assert text == "traffic fell from 52/s to 0 at about 14:08:15 UTC"


def test_a_target_that_is_gone_says_that_nothing_is_there() -> None:
    text = said(windows(lambda at: 52.0, until=-300.0), -340)
    assert text.startswith("traffic fell from 52/s to nothing within ")
    assert text.endswith(" of release:shop → v2")


def test_a_value_that_is_gone_says_so() -> None:
    text = said(windows(lambda at: 0.2, until=-300.0), -310, counts=False)
    assert text == "latency has no samples any more within 25s of release:shop → v2"


@pytest.mark.parametrize(
    "history",
    [
        windows(lambda at: 52.0),
        windows(lambda at: 52.0 if at < -120 else 30.0),
        windows(lambda at: 0.0),
        windows(lambda at: 52.0)[-4:],
    ],
    ids=["as ever", "less", "never any", "too little known"],
)
def test_what_is_still_there_did_not_fall(history: list[Sample]) -> None:
    assert said(history, -125) == ""


@pytest.mark.parametrize(
    ("interval", "window", "text"),
    [
        (60, 60, "scraped every 1m: a window of 1m holds one sample; use windows of 4m or more"),
        (60, 30, "scraped every 1m: a window of 30s holds no sample at times; use windows of 4m"),
        (30, 60, ""),
        (15, 60, ""),
    ],
)
def test_a_window_needs_two_scrapes(interval: int, window: int, text: str) -> None:
    found = too_few_scrapes(interval * SECOND, window * SECOND)
    assert found.startswith(text) if text else found == ""


def test_a_quantile_beyond_the_buckets_is_told_as_that() -> None:
    trouble = unbounded([math.inf], "p99")
    assert trouble is not None
    assert (trouble.verdict, trouble.reason) == ("query_error", "not_a_number")
    assert trouble.text == "p99 is +Inf (beyond the largest bucket), which is no number to compare"


@pytest.mark.parametrize("values", [(0.2,), (0.2, math.inf), (math.nan,), ()])
def test_what_is_finite_or_unknown_is_not_unbounded(values: tuple[float, ...]) -> None:
    assert unbounded(values, "p99") is None
