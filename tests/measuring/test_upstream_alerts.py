"""Alerts that Prometheus has of what a rule depends on, before anybody else tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.rules.matchers import parse_matcher
from daemon.core.values.outcome import Permanent, Temporary
from daemon.measuring.upstream_alerts import upstream_alerting
from tests.core.build import NOW, ago

PAY = [parse_matcher('alertname="PayFails"'), parse_matcher('env=~"prod|eu"')]
DB = [parse_matcher('service="d\\"b"')]


@dataclass
class Alerts:
    """Prometheus with so many such alerts."""

    count: int = 0
    away: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        self.asked.append(query)
        if self.away is not None:
            raise self.away
        found = [Series({}, [(at.timestamp(), float(self.count))])] if self.count else []
        return QueryAnswer(query, found)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        raise AssertionError


async def test_it_asks_for_those_that_began_since() -> None:
    known = Alerts(count=1)
    assert await upstream_alerting(known, [PAY, DB], ago(2), NOW)
    states = 'ALERTS{alertstate=~"pending|firing"'
    pay = f'{states},alertname="PayFails",env=~"prod|eu"}}'
    db = f'{states},service="d\\"b"}}'
    assert known.asked == [
        f"count(({pay} unless ignoring (alertstate) {pay} offset 120s) or "
        f"({db} unless ignoring (alertstate) {db} offset 120s))"
    ]


async def test_none_of_them_alerts() -> None:
    assert not await upstream_alerting(Alerts(), [PAY], ago(2), NOW)


async def test_a_rule_that_depends_on_nothing_asks_nothing() -> None:
    known = Alerts(count=1)
    assert not await upstream_alerting(known, [], ago(2), NOW)
    assert known.asked == []


@pytest.mark.parametrize(
    "away", [Temporary("refused"), Permanent("parse error"), TimeoutError("late")]
)
async def test_if_nobody_can_say_what_the_store_knows_still_counts(away: Exception) -> None:
    assert not await upstream_alerting(Alerts(count=1, away=away), [PAY], ago(2), NOW)
