"""A threshold is measured query by query: what each selects may be fresh, stale, over, or never
have been there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.measurement.problem import Problem
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.rules.rule import VerifySpec
from daemon.core.values.outcome import Temporary
from daemon.measuring.define import define
from daemon.measuring.queries import Survey
from daemon.measuring.threshold_history import threshold_between, threshold_now
from daemon.measuring.verify import read_recovery_now
from tests.core.build import MINUTE, NOW, ago, make_rule

_SELECTOR = r"(?:max|min)\((?:timestamp|count_over_time)\((?P<selector>[^)\[]+)"
Curve = Callable[[datetime], float | None]


@dataclass
class Gauges:
    """A Prometheus whose queries answer what `answers` says, on series scraped each 15 s.

    `newest`: the time of the newest sample by metric; a metric without one has none. `seen`: the
    jobs of those that had some lately; of these `up` are up. `late`: seconds by which the answers
    of a range miss the moments that were asked for.
    """

    answers: dict[str, Curve]
    newest: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    up: frozenset[str] = frozenset()
    warnings: dict[str, str] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    late: float = 0.0

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        asked = re.match(_SELECTOR, query)
        if asked is not None:
            newest = self.newest.get(asked["selector"].partition("{")[0])
            value = None if newest is None else newest.timestamp()
            return self._answer(query, {} if value is None else {at: value})
        lately = re.match(r"count by \(job\) \(last_over_time\((\w+)", query)
        if lately is not None:
            job = self.seen.get(lately[1])
            found = [] if job is None else [Series({"job": job}, [(at.timestamp(), 1.0)])]
            return QueryAnswer(query, found)
        up = re.match(r'max\(up\{job="(\w+)"\}\)', query)
        if up is not None:
            return self._answer(query, {at: float(up[1] in self.up)})
        return QueryAnswer(query, [])

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        if query in self.refused:
            raise Temporary("connection refused")
        moments = [start + n * step for n in range(int((end - start) / step + 1e-6) + 1)]
        asked = re.match(_SELECTOR, query)
        if asked is not None:
            there = asked["selector"].partition("{")[0] in self.newest
            return self._answer(query, dict.fromkeys(moments, 20.0) if there else {})
        curve = self.answers.get(query, lambda _: None)
        known = {at + timedelta(seconds=self.late): curve(at) for at in moments}
        return self._answer(query, {at: v for at, v in known.items() if v is not None})

    def _answer(self, query: str, values: dict[datetime, float]) -> QueryAnswer:
        warnings = [self.warnings[query]] if query in self.warnings else []
        samples = [(at.timestamp(), value) for at, value in values.items()]
        return QueryAnswer(query, [Series({}, samples)] if samples else [], warnings)


def since(at: datetime, value: float, before: float | None) -> Curve:
    return lambda moment: value if moment >= at else before


ERRORS = "count(errors) or vector(0)"
RULE = {"symptom": "errors", "value": ERRORS, "threshold": {"at_least": 1}}
EITHER = {
    "symptom": "disk",
    "threshold": {"any": [{"value": "max(a)", "above": 5}, {"value": "max(b)", "above": 5}]},
}


def survey(metrics: Gauges, problem: dict[str, object], now: datetime = NOW) -> Survey:
    spec = make_rule(problem=problem, verify={}, recover=[]).problem
    return Survey(metrics, spec, {"service": "checkout"}, now, 2 * MINUTE)


async def measured(metrics: Gauges, problem: dict[str, object]) -> Problem:
    return await define(survey(metrics, problem), ())


async def test_a_value_over_its_threshold_is_confirmed_scrape_by_scrape() -> None:
    scraped = NOW - timedelta(seconds=4)
    metrics = Gauges({ERRORS: since(ago(3), 7.0, 0.0)}, {"errors": scraped})
    problem = await measured(metrics, RULE)
    assert (problem.verdict, problem.level) == ("confirmed", 7.0)
    assert problem.onset_bounds[0] is not None
    assert problem.onset_bounds[1] is not None
    assert problem.onset_bounds[1] - problem.onset_bounds[0] == timedelta(seconds=15)
    # Each number is as old as the scrape that told it.
    assert (scraped - problem.onset_bounds[1]) % timedelta(seconds=15) == timedelta(0)
    assert problem.queries


async def test_a_server_that_answers_beside_the_grid_tells_the_same() -> None:
    curve = since(ago(3), 7.0, 0.0)
    exact = Gauges({ERRORS: curve}, {"errors": NOW})
    beside = Gauges({ERRORS: curve}, {"errors": NOW}, late=-6.0)
    first, second = await measured(exact, RULE), await measured(beside, RULE)
    assert first.onset_bounds == second.onset_bounds


async def test_series_that_ended_while_their_targets_are_up_are_no_problem_any_more() -> None:
    metrics = Gauges({ERRORS: since(ago(8), 0.0, 7.0)}, {}, {"errors": "shop"}, frozenset({"shop"}))
    problem = await measured(metrics, RULE)
    assert (problem.verdict, problem.reason) == ("not_confirmed", "within_threshold")
    reading = await read_recovery_now(survey(metrics, RULE), VerifySpec(), problem)
    assert (reading.state, reading.reason) == ("healthy", "within_threshold")


async def test_series_that_ended_with_their_targets_are_not_healthy() -> None:
    metrics = Gauges({ERRORS: since(ago(8), 0.0, 7.0)}, {}, {"errors": "shop"})
    problem = await measured(metrics, RULE)
    assert (problem.verdict, problem.reason) == ("no_data", "targets_down")
    reading = await read_recovery_now(survey(metrics, RULE), VerifySpec(), problem)
    assert reading.state == "unreadable"


async def test_what_rules_recorded_is_of_no_target_that_could_be_down() -> None:
    metrics = Gauges({ERRORS: since(ago(8), 0.0, 7.0)}, {}, {"errors": ""})
    assert (await measured(metrics, RULE)).reason == "within_threshold"


async def test_a_selector_that_never_had_a_series_is_not_healthy() -> None:
    problem = await measured(Gauges({ERRORS: lambda _: 0.0}), RULE)
    assert (problem.verdict, problem.reason) == ("no_data", "empty_answer")
    assert "look at the selector" in problem.text


@pytest.mark.parametrize(("seen", "dated"), [({}, False), ({"heartbeat": "shop"}, True)])
async def test_absence_is_a_problem_where_the_query_asks_for_it(
    seen: dict[str, str], dated: bool
) -> None:
    query = 'max(absent(heartbeat{service="checkout"})) or vector(0)'
    rule = {"symptom": "heartbeat", "value": query, "threshold": {"at_least": 1}}
    problem = await measured(Gauges({query: since(ago(9), 1.0, 0.0)}, {}, seen), rule)
    assert (problem.verdict, problem.reason) == ("confirmed", "threshold_passed")
    # That it was there before is believed of what was ever seen.
    assert (problem.onset is not None) is dated


async def test_while_prometheus_was_away_neither_zero_nor_an_absence_is_seen() -> None:
    def there(at: datetime) -> float | None:
        return None if ago(20) <= at < ago(4) else 1.0

    # It was so before Prometheus went away, and is so again since it is back.
    errors = {ERRORS: lambda at: 0.0 if at < ago(30) or not there(at) else 7.0, "count(up)": there}
    problem = await measured(Gauges(errors, {"errors": NOW}), RULE)
    assert problem.onset_bounds[1] is not None
    assert ago(31) < problem.onset_bounds[1] < ago(29)
    gone = "max(absent(up)) or vector(0)"
    rule = {"symptom": "heartbeat", "value": gone, "threshold": {"at_least": 1}}
    away = {gone: lambda at: 0.0 if there(at) else 1.0, "count(up)": there}
    evaluation, _ = await threshold_now(survey(Gauges(away, {"up": NOW}), rule))
    assert True not in {one.holds for one in evaluation.judged}


async def test_stale_samples_are_no_measurement_of_their_leaf_alone() -> None:
    low, high = (lambda _: 1.0), since(ago(5), 9.0, 1.0)
    stale = {"a": ago(4), "b": NOW}
    assert (await measured(Gauges({"max(a)": low, "max(b)": high}, stale), EITHER)).text.startswith(
        "disk: max(b) 9, above 5 since"
    )
    problem = await measured(Gauges({"max(a)": high, "max(b)": low}, stale), EITHER)
    assert (problem.verdict, problem.reason) == ("no_data", "samples_stale")


async def test_a_partial_answer_is_none() -> None:
    warned = Gauges({ERRORS: lambda _: 0.0}, {"errors": NOW}, warnings={ERRORS: "a store is away"})
    problem = await measured(warned, RULE)
    assert (problem.verdict, problem.reason) == ("query_error", "partial_answer")


async def test_a_query_that_is_not_answered_is_the_trouble_of_its_leaf() -> None:
    fresh = {"a": NOW, "b": NOW}
    answers = {"max(a)": lambda _: 1.0, "max(b)": since(ago(5), 9.0, 1.0)}
    metrics = Gauges(answers, fresh, refused=frozenset({"max(a)"}))
    assert (await measured(metrics, EITHER)).verdict == "confirmed"
    metrics = Gauges(answers, fresh, refused=frozenset({"max(b)"}))
    assert (await measured(metrics, EITHER)).reason == "prometheus_unreachable"


async def test_one_query_of_several_leaves_is_asked_once() -> None:
    band = {
        "symptom": "status",
        "threshold": {"any": [{"value": "max(a)", "below": 2}, {"value": "max(a)", "above": 4}]},
    }
    asking = survey(Gauges({"max(a)": lambda _: 3.0}, {"a": NOW}), band)
    evaluation, _ = await threshold_now(asking)
    assert len(evaluation.leaves) == 2
    assert evaluation.newest is False
    assert list(asking.query_log).count("max(a)") == 1


async def test_a_window_in_the_query_is_how_much_earlier_it_may_have_begun() -> None:
    either = [{"value": "rate(a[$window])", "above": 1}, {"value": "max(b)", "above": 5}]
    spec = {"symptom": "s", "threshold": {"any": either}}
    fresh = {"a": NOW, "b": NOW}
    passed = Gauges({"rate(a[1m])": lambda _: 2.0, "max(b)": lambda _: 1.0}, fresh)
    assert (await threshold_now(survey(passed, spec)))[1] == MINUTE
    beside = Gauges({"rate(a[1m])": lambda _: 0.0, "max(b)": lambda _: 9.0}, fresh)
    assert (await threshold_now(survey(beside, spec)))[1] == timedelta(0)


async def test_a_time_of_which_a_query_tells_nothing_is_not_judged() -> None:
    metrics = Gauges({}, refused=frozenset({"max(a)"}))
    with pytest.raises(Unmeasurable):
        await threshold_between(survey(metrics, EITHER), ago(5), NOW, MINUTE)
    found = await threshold_between(survey(Gauges({}), EITHER), ago(5), NOW, MINUTE)
    assert [one.holds for one in found.judged] == [None] * 6
    assert found.moments[-1] == datetime.fromtimestamp(NOW.timestamp(), UTC).timestamp()
