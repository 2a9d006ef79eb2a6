"""What a measurement asks first can be begun before it, and is not asked again by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from daemon.core.measurement.samples import QueryAnswer
from daemon.core.ports.metrics import Metrics
from daemon.core.values.outcome import Temporary
from daemon.measuring.define import define
from daemon.measuring.first_questions import begin_questions
from daemon.measuring.queries import Survey
from tests.core.build import MINUTE, NOW, answer, make_rule

RULE = make_rule()


class Known:
    """Prometheus, which notes what it is asked."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.asked: Counter[tuple[str, datetime, datetime]] = Counter()
        self._trouble = trouble

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        return self._answered(query, at, at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return self._answered(query, start, end)

    def _answered(self, query: str, start: datetime, end: datetime) -> QueryAnswer:
        self.asked[query, start, end] += 1
        if self._trouble is not None:
            raise self._trouble
        return answer(end.timestamp() if "timestamp(" in query else 600.0, query=query)


def survey(metrics: Metrics, labels: Mapping[str, str] | None = None) -> Survey:
    given = {"service": "shop"} if labels is None else labels
    return Survey(metrics, RULE.problem, given, NOW, 5 * MINUTE)


async def begun(asking: Survey) -> Survey:
    await begin_questions(asking)
    if asking.asked:
        await asyncio.wait(asking.asked.values())
    return asking


async def test_the_measurement_asks_none_of_it_again() -> None:
    alone, metrics = Known(), Known()
    by_itself = await define(survey(alone), ())
    before = await begun(survey(metrics))
    first = set(metrics.asked)
    resumed = await define(survey(metrics).resuming(before), ())
    assert first
    assert metrics.asked == alone.asked, "the same, and each once"
    assert resumed == by_itself


async def test_the_scrapes_are_asked_for_first_as_the_history_waits_for_them() -> None:
    metrics = Known()
    await begun(survey(metrics))
    scrapes = ("count_over_time", "timestamp(")
    kinds = ["scrapes" if any(x in q for x in scrapes) else "counts" for q, _, _ in metrics.asked]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"scrapes", "counts"}


async def test_what_fails_is_asked_again_by_the_measurement() -> None:
    metrics = Known(Temporary("it is away"))
    before = await begun(survey(metrics))
    assert before.asked == {}
    again = Known()
    await define(survey(again), ())
    assert set(metrics.asked) <= set(again.asked)


@pytest.mark.parametrize("value", ['shop"}', "a\nb"])
async def test_what_cannot_be_asked_is_left_to_the_measurement(value: str) -> None:
    before = await begun(survey(Known(), {"service": value}))
    resumed = survey(before.metrics, {"service": value}).resuming(before)
    assert await define(resumed, ()) == await define(survey(Known(), {"service": value}), ())


async def test_a_label_that_is_missing_asks_nothing() -> None:
    metrics = Known()
    await begun(survey(metrics, {}))
    assert not metrics.asked
