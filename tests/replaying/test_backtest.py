"""A rule over the past: when its alert fired, and what the rule would have done each time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from daemon.core.changes.change import Change
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.replaying.backtest import Backtested, Episode, alert_episodes, backtest
from daemon.replaying.case_runner import targets_of
from daemon.replaying.virtual_time import run_virtually
from tests.fakes import START, Service
from tests.replaying.test_replay import house, rule_with

MINUTE = timedelta(minutes=1)
LABELS = {"alertname": "CheckoutSuccessRateLow", "env": "prod", "service": "shop"}


class Remembering:
    """A Prometheus that remembers when alerts fired: (labels, from minute, to minute)."""

    def __init__(self, *fired: tuple[dict[str, str], int, int]) -> None:
        self.fired = fired
        self.asked: list[tuple[str, timedelta]] = []
        self.begins: list[datetime] = []

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        raise AssertionError(query)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        self.asked.append((query, end - start))
        self.begins.append(start)
        found = []
        for labels, begin, last in self.fired:
            times = [START + n * MINUTE for n in range(begin, last + 1)]
            if step < MINUTE:
                times = [START + begin * MINUTE - timedelta(seconds=20)]
            samples = [(at.timestamp(), 1.0) for at in times if start <= at <= end]
            if samples:
                found.append(Series({**labels, "alertstate": "firing"}, samples))
        return QueryAnswer(query, found)


def episodes(*fired: tuple[dict[str, str], int, int], days: int = 1) -> list[Episode]:
    metrics, until = Remembering(*fired), START + timedelta(days=days)
    return run_virtually(lambda: alert_episodes(metrics, rule_with(), START, until))


def test_what_fires_again_soon_is_one_episode_and_each_group_has_its_own() -> None:
    other = {**LABELS, "service": "search"}
    pod = {**LABELS, "pod": "shop-1"}
    early = timedelta(seconds=20)  # it began within the minute
    found = episodes((LABELS, 10, 12), (pod, 15, 20), (LABELS, 60, 61), (other, 11, 11))
    assert [(one.labels["service"], one.begin - START, one.end - START) for one in found] == [
        ("shop", 10 * MINUTE - early, 20 * MINUTE),
        ("search", 11 * MINUTE - early, 11 * MINUTE),
        ("shop", 60 * MINUTE - early, 61 * MINUTE),
    ]
    assert "alertstate" not in found[0].labels


def test_a_long_past_is_asked_for_in_parts_by_the_rules_matchers() -> None:
    metrics = Remembering((LABELS, 30 * 1440 - 60, 30 * 1440 - 50))
    until = START + timedelta(days=30)
    [found] = run_virtually(lambda: alert_episodes(metrics, rule_with(), START, until))
    assert found.begin == START + (30 * 1440 - 60) * MINUTE - timedelta(seconds=20)
    assert all(length <= 10_000 * MINUTE for _, length in metrics.asked)
    wanted = 'ALERTS{alertstate="firing",alertname="CheckoutSuccessRateLow",env="prod"}'
    assert {q for q, _ in metrics.asked} == {f"max_over_time({wanted}[1m])", wanted}


class Lasting(Service):
    """A service whose past is seen from any moment: times are since START."""

    async def _answering(self, query: str) -> None:
        """Nothing takes time."""


def lived(share: float, changes: Sequence[Change], **rule: Any) -> Backtested:
    service = Lasting()
    service.fails(share, 60)
    episode = Episode(LABELS, START + 3 * MINUTE, START + 10 * MINUTE)
    made = rule_with(**rule)
    return backtest(made, house(made), service, changes, episode, START + 60 * MINUTE)


DEPLOYED = Change(
    subject="shop", item="v2", previous="v1", at=START + timedelta(seconds=50), seen_by="watch"
)


def test_it_tells_when_it_would_have_acted_and_against_what() -> None:
    found = lived(0.10, [DEPLOYED], mode="observe")
    assert found.verdict == "confirmed"
    assert "99.0 % → 90.0 %" in found.statement
    [acts] = found.acts
    assert acts.word == "step 1: started, rollback on shop"
    assert START + 3 * MINUTE <= acts.at < START + 5 * MINUTE


def test_it_tells_why_it_would_not() -> None:
    fine = lived(0.012, [DEPLOYED])
    assert (fine.acts, fine.verdict) == ((), "not_confirmed")
    assert fine.why_not
    step = {"action": "rollback", "with": {"target": "shop"}, "when": "suspect_change"}
    nothing_changed = lived(0.10, [], recover=[{**step, "approval": "automatic"}])
    assert nothing_changed.acts == ()
    assert "change" in nothing_changed.why_not
    asking = lived(0.10, [DEPLOYED], recover=[{**step, "approval": "commander"}])
    assert (asking.acts, len(asking.asks)) == ((), 1)


def test_who_asks_again_a_moment_later_is_told_the_same() -> None:
    asked = []
    for late in (0, 17):
        metrics, since = Remembering((LABELS, 10, 12)), START + timedelta(seconds=late)
        until = START + 60 * MINUTE
        run_virtually(partial(alert_episodes, metrics, rule_with(), since, until))
        asked.append(metrics.begins)
    assert asked[0] == asked[1]


def test_changes_are_those_of_what_the_plan_acts_on_for_the_episodes_labels() -> None:
    steps = [
        {"action": "rollback", "with": {"target": "$service"}, "approval": "automatic"},
        {"action": "flag_off", "with": {"target": "flags-$service"}},
        {"action": "gone", "with": {"target": "$service"}},
    ]
    rule = rule_with(recover=steps)
    targets = targets_of(rule, {"service": "shop"}, house(rule).actions)
    assert targets == {"shop", "flags-shop"}
