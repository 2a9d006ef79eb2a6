"""What scrapes show of a series that a case gives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.cases.curves import (
    CurvePiece,
    ScrapedCurve,
    Scrapes,
    continued,
    counter_pieces,
    rate_pieces,
    share_pieces,
    since,
    value_pieces,
)
from daemon.core.cases.notation import parse_notation
from tests.worlds.prometheus import increase
from tests.worlds.world import Samples

EVERY = 15.0


def _curve(pieces: Sequence[CurvePiece], missed: Sequence[float] = ()) -> ScrapedCurve:
    return ScrapedCurve(pieces, Scrapes(EVERY, lambda at: at in missed))


def _per_minute(text: str) -> list[CurvePiece]:
    return rate_pieces(parse_notation(text), 60.0, 60.0)


def test_an_even_rate_is_counted_whole() -> None:
    curve = _curve(_per_minute("600x90"))
    assert curve.increase(3600, 60) == pytest.approx(600)
    assert curve.increase(3600, 300) == pytest.approx(3000)
    assert curve.increase(3607, 30) == pytest.approx(300)


def test_before_and_behind_it_is_as_it_begins_and_ends() -> None:
    curve = _curve(_per_minute("60x10 600"))
    assert curve.increase(-86400, 60) == pytest.approx(60)
    assert curve.increase(86400, 60) == pytest.approx(600)


def test_a_window_of_one_scrape_counts_nothing() -> None:
    assert _curve(_per_minute("600x90")).increase(3600, 15) is None


def test_what_was_missed_is_counted_by_the_scrapes_around_it() -> None:
    curve = _curve(_per_minute("60x9 _x2 60x9"))
    assert curve.increase(690, 60) is None, "none of them succeeded"
    assert curve.increase(780, 300) == pytest.approx(300)
    assert curve.newest(690) == 585


def test_an_ended_series_has_neither_samples_nor_counts() -> None:
    curve = _curve(_per_minute("60x9 stale"))
    assert curve.newest(601) is None
    assert curve.increase(720, 60) is None
    assert curve.value(601) is None


def test_a_counter_sees_through_its_reset() -> None:
    curve = _curve(counter_pieces(parse_notation("1000+60x10 60+60x10"), 60.0))
    assert curve.increase(900, 300) == pytest.approx(300)
    assert curve.increase(3600, 60) == pytest.approx(60), "it goes on as it grew last"


def test_a_share_follows_the_total() -> None:
    total = _per_minute("600x4 60x4")
    bad = share_pieces(rate_pieces(parse_notation("0x1 0.5x20"), 60.0, 1.0), total)
    curve = _curve(bad)
    assert curve.increase(120, 60) == pytest.approx(0)
    assert curve.increase(240, 60) == pytest.approx(300)
    assert curve.increase(600, 60) == pytest.approx(30)


def test_a_value_is_that_of_the_newest_scrape() -> None:
    curve = _curve(value_pieces(parse_notation("1 _ 3"), 60.0))
    assert (curve.value(59), curve.value(61), curve.value(130)) == (1, None, 3)


def test_another_course_begins_where_the_first_is_left() -> None:
    pieces = continued(_per_minute("60x90"), 330.0, _per_minute("600"))
    curve = _curve(pieces)
    assert curve.increase(330, 60) == pytest.approx(60)
    assert curve.increase(390, 60) == pytest.approx(600)
    assert since(pieces, 330.0) == [CurvePiece(0.0, 10.0)]


@given(
    rates=st.lists(st.integers(0, 50), min_size=2, max_size=12),
    now=st.integers(60, 900),
    width=st.integers(15, 400),
    missed=st.sets(st.integers(0, 60)),
)
def test_it_counts_as_prometheus_does(
    rates: list[int], now: int, width: int, missed: set[int]
) -> None:
    pieces = _per_minute(" ".join(str(rate) for rate in rates))
    curve = _curve(pieces, missed=[n * EVERY for n in missed])
    scraped = [n * EVERY for n in range(-40, 61) if n not in missed]

    def counted(at: float) -> float:
        before = [min(max(at - n * 60.0, 0.0), 60.0) / 60.0 * r for n, r in enumerate(rates)]
        extra = max(at - 60.0 * len(rates), 0.0) / 60.0 * rates[-1]
        return 1e6 + min(at, 0.0) / 60.0 * rates[0] + sum(before) + extra

    expected = increase(Samples(scraped, [counted(at) for at in scraped]), now, width)
    got = curve.increase(now, width)
    if expected is None:
        assert got is None
    else:
        assert got == pytest.approx(expected, abs=1e-6)
