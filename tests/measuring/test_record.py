"""What is kept of an incident's measurements tells the same as the measurements did."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from daemon.core.incident.events import MOST_RECORDED, RecordedSeries
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.metrics import Metrics
from daemon.core.values.outcome import Temporary
from daemon.measuring.history import counts_history
from daemon.measuring.queries import Survey
from daemon.measuring.record import record_samples
from tests.core.build import MINUTE, NOW, counts_spec, value_spec
from tests.measuring.test_history import STEP, Spoilt
from tests.worlds.prometheus import DrawnPrometheus
from tests.worlds.world import draw

HOUR = timedelta(hours=1)
BACK = counts_spec().baseline


def at_the_end(metrics: Metrics, *, value: bool = False) -> Survey:
    """Some minutes after the onset, when the drawn incident is over."""
    spec = value_spec() if value else counts_spec()
    return Survey(metrics, spec, {"service": "checkout"}, NOW + 4 * MINUTE, MINUTE)


def finest(series: tuple[RecordedSeries, ...], query: str) -> RecordedSeries:
    return min((one for one in series if one.query == query), key=lambda one: one.step)


async def test_around_the_onset_it_is_kept_scrape_by_scrape() -> None:
    survey = at_the_end(DrawnPrometheus(draw(STEP, 1, 0)))
    series, _, trouble = await record_samples(survey, NOW + MINUTE, survey.now)
    assert trouble == ""
    spec = survey.spec.model_copy(update={"baseline": survey.now - NOW - MINUTE + BACK})
    seen = await counts_history(replace(survey, spec=spec))
    for query, values in (("bad", [b.bad for b in seen]), ("total", [b.total for b in seen])):
        kept = finest(series, query)
        assert kept.window == kept.step == timedelta(seconds=15)
        assert [value for _, value in kept.samples()] == pytest.approx(values, rel=1e-5)
        ends = [at for at, _ in kept.samples()]
        assert ends == pytest.approx([one.end for one in seen], abs=0.01)


async def test_the_look_back_is_kept_too_and_nothing_twice() -> None:
    survey = at_the_end(DrawnPrometheus(draw(replace(STEP, history=27), 1, 0)))
    series, _, _ = await record_samples(survey, NOW + MINUTE, survey.now)
    totals = sorted((one for one in series if one.query == "total"), key=lambda one: one.begin)
    day_before, around = totals
    assert abs(day_before.begin - (NOW - BACK - 24 * HOUR)) <= 3 * MINUTE
    assert (day_before.step, day_before.window) == (MINUTE, MINUTE)
    assert day_before.begin + day_before.covers - MINUTE <= around.begin
    assert sum(len(one.model_dump_json()) for one in series) < 50_000


async def test_of_an_incident_that_lasts_for_days_it_is_kept_coarsely() -> None:
    class Endless:
        """A service that is always the same."""

        async def instant(self, query: str, at: datetime) -> QueryAnswer:
            value = 20.0 if query.startswith("max(count") else at.timestamp()
            return QueryAnswer(query, [Series({}, [(at.timestamp(), value)])])

        async def series(
            self, query: str, start: datetime, end: datetime, step: timedelta
        ) -> QueryAnswer:
            value = 20.0 if query.startswith("max(count") else 100.0
            value *= " unless " not in query  # no counter is born
            moments = range(int((end - start) / step) + 1)
            samples = [((start + n * step).timestamp(), value) for n in moments]
            return QueryAnswer(query, [Series({}, samples)])

    closed = NOW + timedelta(days=30)
    survey = replace(at_the_end(Endless()), now=closed)
    series, _, trouble = await record_samples(survey, NOW, closed)
    assert trouble == ""
    totals = sorted((one for one in series if one.query == "total"), key=lambda one: one.begin)
    week_ago, day_before, around, after = totals
    assert week_ago.begin < NOW - timedelta(days=7)
    assert (day_before.step, around.step) == (MINUTE, timedelta(seconds=15))
    assert after.step == pytest.approx(timedelta(days=30) / 400, abs=MINUTE)
    assert all(len(one.values) <= MOST_RECORDED + 1 for one in series)
    assert sum(len(one.model_dump_json()) for one in series) < 100_000


async def test_values_are_kept_as_they_were() -> None:
    survey = at_the_end(DrawnPrometheus(draw(replace(STEP, kind="value"), 1, 0)), value=True)
    series, _, _ = await record_samples(survey, NOW + MINUTE, survey.now)
    assert {one.query for one in series} == {"value"}
    assert finest(series, "value").covers >= BACK


async def test_what_cannot_be_had_is_told_and_the_rest_is_kept() -> None:
    def long_ago(query: str) -> bool:
        return "[1m]" in query

    behind = DrawnPrometheus(draw(STEP, 1, 0))
    survey = at_the_end(Spoilt(behind, long_ago, Temporary("too many samples")))
    series, _, trouble = await record_samples(survey, NOW + MINUTE, survey.now)
    assert trouble == "too many samples"
    assert finest(series, "total").covers >= BACK
    deaf = at_the_end(Spoilt(behind, lambda _: True, Temporary("connection refused")))
    with pytest.raises(Unmeasurable, match="connection refused"):
        await record_samples(deaf, NOW + MINUTE, survey.now)


def test_a_series_says_when_each_value_was() -> None:
    one = RecordedSeries(
        query="bad", begin=NOW, step=MINUTE, window=MINUTE, values=(1.0, None, 3.0)
    )
    begin = NOW.timestamp()
    assert list(one.samples()) == [(begin, 1.0), (begin + 120, 3.0)]
    assert one.covers == 3 * MINUTE
