"""Where nothing is measured, the true reason is asked for and said."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.changes.suspects import Change
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent
from daemon.measuring.evidence import assess
from daemon.measuring.queries import Survey, in_short
from tests.core.build import MINUTE, NOW, VALUE, ago, answer, make_change, make_rule

RULE = make_rule()
QUANTILE = make_rule(
    problem={**VALUE, "value": 'histogram_quantile(0.99, sum by (le) (b{service="$service"}))'}
)


class Scraped:
    """Prometheus whose counters and gauges are scraped every so often, and nothing else.

    `value`: what a gauge or quantile says at a moment. From `since` to `until` seconds ago.
    """

    def __init__(
        self,
        every: int,
        value: Callable[[datetime], float] | None = None,
        since: float = 7200,
        until: float = 0,
    ) -> None:
        self.every = every
        self.since, self.until = since, until
        self.value = value
        self.counts_refused = False

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        if query.startswith("max(timestamp("):
            return answer(at.timestamp(), query=query)
        return self._empty(query)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        moments = [start + n * step for n in range(int((end - start) / step) + 1)]
        if query.startswith("max(count_over_time(") and "[1m]" in query:
            if self.counts_refused:
                raise Permanent("it may not be asked")
            return QueryAnswer(query, [Series({}, self._held(moments))])
        if self.value is None:
            return self._empty(query)
        samples = [(at.timestamp(), self.value(at)) for at in moments]
        return QueryAnswer(query, [Series({}, samples)])

    def _held(self, ends: list[datetime]) -> list[tuple[float, float]]:
        """How many scrapes the minute before each moment held, where it held any."""
        now = NOW.timestamp()
        first, last = now - self.since, now - self.until
        scrapes = [first + n * self.every for n in range(int((last - first) / self.every) + 1)]
        held = [(e, sum(e - 60 < at <= e for at in scrapes)) for e in map(datetime.timestamp, ends)]
        return [(end, float(count)) for end, count in held if count]

    @staticmethod
    def _empty(query: str) -> QueryAnswer:
        """increase() of a window with fewer than two scrapes."""
        return QueryAnswer(query, [])


def survey(metrics: Any, rule: Rule = RULE) -> Survey:
    return Survey(metrics, rule.problem, {"service": "checkout"}, NOW, 2 * MINUTE)


async def said(metrics: Any, rule: Rule = RULE, *changes: Change) -> tuple[str, str]:
    """(reason, sentence) of the problem."""
    problem = (await assess(survey(metrics, rule), rule, changes)).problem
    return problem.reason, problem.text


async def test_a_window_that_holds_one_scrape_is_said_to() -> None:
    assert await said(Scraped(60)) == (
        "window_too_short",
        "scraped every 1m: a window of 1m holds one sample; use windows of 4m or more",
    )


@pytest.mark.parametrize("every", [15, 30])
async def test_enough_scrapes_are_not_the_reason(every: int) -> None:
    assert (await said(Scraped(every)))[0] == "empty_answer"


@pytest.mark.parametrize("every", [15, 30])
@pytest.mark.parametrize(("since", "until"), [(7200, 200), (7200, 540), (150, 0), (300, 90)])
async def test_samples_that_have_begun_or_ended_lately_are_no_slow_scrapes(
    every: int, since: float, until: float
) -> None:
    assert (await said(Scraped(every, since=since, until=until)))[0] == "empty_answer"


@pytest.mark.parametrize(("since", "until"), [(7200, 230), (290, 0)])
async def test_slow_scrapes_that_have_begun_or_ended_lately_are_slow(
    since: float, until: float
) -> None:
    reason, text = await said(Scraped(60, since=since, until=until))
    assert reason == "window_too_short"
    assert text.startswith("scraped every 1m: ")


async def test_what_cannot_be_asked_explains_nothing() -> None:
    metrics = Scraped(60)
    metrics.counts_refused = True
    assert (await said(metrics))[0] == "empty_answer"


async def test_a_quantile_in_the_last_bucket_is_said_to_be() -> None:
    metrics = Scraped(15, lambda at: math.inf if at > ago(2) else 0.2)
    assert await said(metrics, QUANTILE) == (
        "not_a_number",
        "latency is +Inf (beyond the largest bucket), which is no number to compare",
    )
    assert in_short(answer(math.inf)) == "+Inf (beyond the largest bucket)"


async def test_nobody_is_blamed_before_anything_is_confirmed() -> None:
    changes = [make_change("v2", ago(1), "v1"), make_change("v0", ago(90))]
    found = (await assess(survey(Scraped(15)), RULE, changes)).suspicion
    assert found is not None
    assert (found.verdict, found.change) == ("none", None)
    assert [one.change.item for one in found.candidates] == ["v2"]
    assert (await assess(survey(Scraped(15)), RULE, ())).suspicion is None
