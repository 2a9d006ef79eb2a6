"""What is measured on VictoriaMetrics is what is measured on Prometheus."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable, bins, counts
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.metrics import Metrics
from daemon.measuring.define import define
from daemon.measuring.history import counted_stretches, counts_history, scrape_clock
from daemon.measuring.queries import Survey
from tests.core.build import MINUTE, NOW, SECOND
from tests.measuring.test_history import SPEC, STEP, happened, survey
from tests.worlds.prometheus import DrawnPrometheus
from tests.worlds.victoriametrics import SERVER, DrawnVictoriaMetrics
from tests.worlds.world import draw


def answer(*values: tuple[float, float], query: str = "bad", labels: str = "") -> QueryAnswer:
    found = [Series({"job": labels} if labels else {}, list(values))] if values else []
    return QueryAnswer(query, found, server=SERVER)


@pytest.mark.parametrize("scrape", [5.0, 15.0, 30.0])
async def test_each_bin_holds_exactly_what_happened_between_its_scrapes(scrape: float) -> None:
    known = draw(replace(STEP, scrape=scrape), 1, 0)
    found = await counts_history(survey(DrawnVictoriaMetrics(known)))
    assert len(found) == pytest.approx(2700 / scrape, abs=1)
    for current in found:
        assert current.begin is not None
        assert current.end - current.begin == scrape
        bad, total = happened(known, current.begin, current.end)
        assert current.total == pytest.approx(total, abs=1e-6)
        assert current.bad == pytest.approx(bad, abs=1e-6)


async def test_its_window_is_a_scrape_shorter_for_it_looks_before_it() -> None:
    known = draw(STEP, 1, 0)
    clocks = [
        await scrape_clock(survey(metrics(known)))
        for metrics in (DrawnPrometheus, DrawnVictoriaMetrics)
    ]
    windows = [(clock.window, clock.part) for clock in clocks if clock is not None]
    assert windows == [(30.0, 0.5), (15.0, 1.0)]


async def test_the_problem_is_the_same_by_both() -> None:
    known = draw(STEP, 1, 0)

    async def defined(metrics: Metrics) -> Problem:
        return await define(survey(metrics), ())

    one, other = await defined(DrawnPrometheus(known)), await defined(DrawnVictoriaMetrics(known))
    assert one.verdict == other.verdict == "confirmed"
    assert one.onset is not None
    assert other.onset is not None
    assert abs(one.onset - other.onset) < 15 * SECOND
    assert other.baseline == pytest.approx(one.baseline, abs=0.002)
    assert other.level == pytest.approx(one.level, abs=0.02)
    assert (one.behind, other.behind) == (timedelta(0), 11 * SECOND)


async def test_a_dead_target_is_not_fresh_though_its_timestamps_go_on() -> None:
    known = draw(replace(STEP, gap=lambda _: (90.0, 600.0)), 1, 0)
    victoria = DrawnVictoriaMetrics(known)
    when = datetime.fromtimestamp((NOW + timedelta(seconds=120)).timestamp(), UTC)
    assert (await victoria.instant('max(timestamp(requests{service="checkout"}))', when)).series
    with pytest.raises(Unmeasurable) as caught:
        await Survey(victoria, SPEC, {"service": "checkout"}, when, MINUTE).require_fresh()
    assert caught.value.reason == "targets_down"


class TestBirths:
    """A counter that appears with its first failures."""

    BAD, TOTAL = answer((2, 9.0), (3, 4.0)), answer((1, 50.0), (2, 50.0), (3, 50.0), query="all")

    def test_what_the_server_counts_from_zero_hides_nothing(self) -> None:
        found = bins(self.BAD, self.TOTAL)
        assert [(b.end, b.bad, b.total, b.born) for b in found] == [
            (1, 0.0, 50.0, False),
            (2, 9.0, 50.0, False),
            (3, 4.0, 50.0, False),
        ]

    def test_what_prometheus_does_not_count_hides_the_moment_before(self) -> None:
        told = [QueryAnswer(one.query, one.series) for one in (self.BAD, self.TOTAL)]
        assert [b.born for b in bins(*told)] == [True, False, False]

    async def test_the_first_failures_are_counted_once(self) -> None:
        known = draw(STEP, 1, 0)
        bad, total = await counted_stretches(survey(DrawnVictoriaMetrics(known)))
        begin, end = bad[0][0] - 15, bad[-1][0]
        assert sum(value for _, value in bad) == pytest.approx(happened(known, begin, end)[0])
        assert sum(value for _, value in total) == pytest.approx(happened(known, begin, end)[1])


class TestDivisions:
    """0/0 is no series there, and so looks as if nothing had failed."""

    RATIO = "sum(rate(failed[1m])) / sum(rate(tried[1m]))"

    def test_nothing_is_not_taken_for_no_failure(self) -> None:
        with pytest.raises(Unmeasurable, match="0/0 on VictoriaMetrics") as caught:
            counts(answer(query=self.RATIO), answer((1, 50.0)))
        assert caught.value.reason == "not_a_number"

    def test_nothing_is_none_where_nothing_is_divided(self) -> None:
        assert counts(answer(query="sum(increase(a[1m])) / 2"), answer((1, 50.0))) == (0.0, 50.0)

    def test_nothing_is_none_on_prometheus(self) -> None:
        told = QueryAnswer(self.RATIO, [])
        assert counts(told, answer((1, 50.0))) == (0.0, 50.0)

    def test_of_a_history_the_moments_without_a_number_are_left_out(self) -> None:
        total = answer((1, 50.0), (2, 50.0), query="all")
        assert [b.end for b in bins(answer((2, 3.0), query=self.RATIO), total)] == [2]

    def test_what_the_parser_cannot_read_is_taken_for_a_division_if_it_may_be_one(self) -> None:
        assert SERVER.hides_nan("sum(a) keep_metric_names / b")
        assert not SERVER.hides_nan("sum(a) keep_metric_names")
