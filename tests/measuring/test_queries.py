"""How the queries of one measurement are asked: all at once, and each once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest

from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.values.outcome import Temporary
from daemon.measuring.queries import AS_GOOD_AS_NOW, Survey
from daemon.measuring.verify import read_recovery_now
from tests.core.build import MINUTE, NOW, answer, make_problem, make_rule

RULE = make_rule()


class Held:
    """Prometheus that answers nothing until `most` queries wait for it."""

    def __init__(
        self, most: int, trouble: Exception | None = None, age: timedelta = MINUTE
    ) -> None:
        self.asked: Counter[str] = Counter()
        self._all = asyncio.Event()
        self._most = most
        self._trouble = trouble
        self._age = age

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        self.asked[query] += 1
        if self.asked.total() == self._most:
            self._all.set()
        await self._all.wait()
        if self._trouble is not None:
            raise self._trouble
        if query.startswith("max(timestamp("):
            return answer((at - self._age).timestamp(), query=query)
        return answer(600.0, query=query)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        raise NotImplementedError


def survey(metrics: Held, now: datetime = NOW) -> Survey:
    return Survey(metrics, RULE.problem, {"service": "shop"}, now, 5 * MINUTE)


async def test_what_two_want_to_know_at_once_is_asked_once() -> None:
    metrics = Held(most=1)
    asking = survey(metrics)
    first, second = await asyncio.gather(asking.ask("up"), asking.ask("up"))
    assert first is second
    assert metrics.asked == {"up": 1}


async def test_what_is_answered_is_not_asked_again_of_the_same_moment() -> None:
    metrics = Held(most=1)
    asking = survey(metrics)
    first, second = await asking.ask("up"), await asking.ask("up")
    assert first is second
    assert metrics.asked == {"up": 1}


async def test_what_has_failed_is_asked_again() -> None:
    metrics = Held(most=1, trouble=Temporary("it is away"))
    asking = survey(metrics)
    for _ in range(2):
        with pytest.raises(Unmeasurable):
            await asking.ask("up")
    assert metrics.asked == {"up": 2}


@pytest.mark.parametrize(
    ("later", "asked"),
    [(0.0, 1), (AS_GOOD_AS_NOW.total_seconds(), 1), (1.001, 2), (600.0, 2), (-0.001, 2)],
)
async def test_a_measurement_is_gone_on_with_for_a_second(later: float, asked: int) -> None:
    metrics = Held(most=1)
    first, last = survey(metrics), survey(metrics, NOW + timedelta(seconds=later))
    await first.ask("up")
    resumed = last.resuming(first)
    await resumed.ask("up")
    assert metrics.asked == {"up": asked}
    assert resumed.now == (first.now if asked == 1 else last.now)
    assert resumed.query_log == {"up": "600"}


async def test_another_server_is_asked_by_itself() -> None:
    first, other = survey(Held(most=1)), survey(Held(most=1))
    assert other.resuming(first) is other
    assert other.resuming(None) is other


async def test_both_hear_that_it_failed() -> None:
    asking = survey(Held(most=1, trouble=Temporary("it is away")))
    told = await asyncio.gather(asking.ask("up"), asking.ask("up"), return_exceptions=True)
    assert [type(one) for one in told] == [Unmeasurable, Unmeasurable]


@pytest.mark.parametrize(
    ("age", "found"),
    [
        (MINUTE, ("impaired", "away_from_baseline")),
        (6 * MINUTE, ("unreadable", "samples_stale")),
    ],
    ids=["fresh", "stale"],
)
async def test_a_reading_asks_for_its_counts_beside_their_age(
    age: timedelta, found: tuple[str, str]
) -> None:
    # Two counts of two windows, and how old their two metrics are.
    metrics = Held(most=6, age=age)
    async with asyncio.timeout(60):
        reading = await read_recovery_now(survey(metrics), RULE.verify, make_problem())
    assert (reading.state, reading.reason) == found


async def test_where_nothing_can_be_asked_the_outage_has_the_first_word() -> None:
    metrics = Held(most=6, trouble=Temporary("it is away"))
    async with asyncio.timeout(60):
        reading = await read_recovery_now(survey(metrics), RULE.verify, make_problem())
    assert (reading.state, reading.reason) == ("unreadable", "prometheus_unreachable")
