"""The Prometheus of a case: the rule's queries, and what the daemon asks beside them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.cases.given_answers import GivenAnswers
from daemon.core.cases.given_series import GivenSeries, changed, pieces_of
from daemon.core.cases.rule_case import BEGINS
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.rules.rule import Rule, load
from daemon.core.values.outcome import Temporary

MINUTE = timedelta(minutes=1)
RULE = """
rule: shop
match: ['alertname="X"']
group_by: [service]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(bad{service="$service"}[$window]))
  total: sum(increase(all{service="$service"}[$window]))
  confirm: {drop: 1%}
  impact:
    euros: sum(euros{service="$service"})
suspects:
  revisions:
    bad: sum by (revision) (increase(bad{service="$service"}[$window]))
    total: sum by (revision) (increase(all{service="$service"}[$window]))
    label: revision
"""
BAD = 'sum(increase(bad{service="a"}[%s]))'
COUNTS = {"total": {"per_minute": "600x90"}, "bad": {"share": "0.1x59 0.5x30"}}


def _rule() -> Rule:
    ((rule, _),) = load(RULE, "shop.yaml")
    return rule


def _answers(series: dict[str, Any] | None = None, **more: Any) -> GivenAnswers:
    given = GivenSeries.model_validate(COUNTS if series is None else series)
    pieces = pieces_of(given, MINUTE)
    return GivenAnswers(_rule(), [{"service": "a"}], BEGINS, 15.0, pieces, **more)


def _number(answer: QueryAnswer) -> float | None:
    return answer.series[0].samples[-1][1] if answer.series else None


def _at(minutes: float) -> Any:
    return BEGINS + minutes * MINUTE


def test_the_window_of_a_query_is_what_it_counts_over() -> None:
    answers = _answers()
    assert _number(answers.instant(BAD % "1m", _at(50))) == pytest.approx(60)
    assert _number(answers.instant(BAD % "5m", _at(50))) == pytest.approx(300)
    assert _number(answers.instant(BAD % "1m30s", _at(70))) == pytest.approx(450)


def test_a_range_has_a_sample_at_each_step() -> None:
    answer = _answers().series(BAD % "1m", _at(50), _at(52), timedelta(seconds=30))
    (series,) = answer.series
    assert [at - BEGINS.timestamp() for at, _ in series.samples] == [3000, 3030, 3060, 3090, 3120]


def test_another_group_is_not_measured_by_it() -> None:
    answers = _answers()
    other = 'sum(increase(bad{service="b"}[1m]))'
    assert answers.instant(other, _at(50)).series == []
    assert answers.unanswered == {other}


def test_what_is_not_given_has_no_answer_and_what_is_has_its_value() -> None:
    query = 'sum(euros{service="a"})'
    assert _answers().instant(query, _at(50)).series == []
    given = _answers({**COUNTS, "impact": {"euros": "0x59 12x30"}})
    assert _number(given.instant(query, _at(61))) == 12


def test_revisions_are_told_apart_by_their_label() -> None:
    one = {"total": {"per_minute": "60"}, "bad": {"share": "0.5"}}
    other = {"total": {"per_minute": "120"}, "bad": {"share": "0"}}
    answers = _answers({**COUNTS, "revisions": {"v1": other, "v2": one}})
    query = 'sum by (revision) (increase(bad{service="a"}[1m]))'
    found = {s.labels["revision"]: s.samples[0][1] for s in answers.instant(query, _at(9)).series}
    assert found == {"v1": pytest.approx(0), "v2": pytest.approx(30)}


def test_the_samples_tell_how_old_and_how_often() -> None:
    answers = _answers()
    newest = answers.instant('max(timestamp(all{service="a"}))', _at(50.1))
    assert _number(newest) == (_at(50)).timestamp()
    assert _number(answers.instant('max(count_over_time(all{service="a"}[5m]))', _at(50))) == 20
    jobs = answers.instant('count by (job) (last_over_time(all{service="a"}[45m]))', _at(50))
    assert [s.labels for s in jobs.series] == [{"job": "case"}]


def test_a_monitoring_that_is_down_refuses_and_misses_what_it_did_not_scrape() -> None:
    answers = _answers(monitoring=[(600.0, "down"), (1200.0, "fine")])
    with pytest.raises(Temporary):
        answers.instant("count(up)", _at(15))
    assert _number(answers.instant(BAD % "1m", _at(25))) == pytest.approx(60)
    assert answers.instant(BAD % "1m", _at(20)).series == []


def test_targets_that_are_down_are_seen_to_be() -> None:
    answers = _answers(monitoring=[(600.0, "targets down")])
    assert _number(answers.instant("count(up == 0) or vector(0)", _at(9))) == 0
    assert _number(answers.instant("count(up == 0) or vector(0)", _at(11))) == 10
    assert _number(answers.instant('max(up{job="case"})', _at(11))) == 0
    assert answers.instant('max(timestamp(all{service="a"}))', _at(16)).series == []


def test_partial_answers_carry_a_warning() -> None:
    answers = _answers(monitoring=[(600.0, "partial")])
    assert not answers.instant(BAD % "1m", _at(5)).warnings
    assert answers.instant(BAD % "1m", _at(11)).warnings


def test_a_service_alerts_once_and_lately() -> None:
    answers = _answers(alerts=[(60.0, "a"), (600.0, "a"), (610.0, "b")])
    storm = (
        'count(count by (service) (ALERTS{alertstate=~"pending|firing"} unless on (alertname, '
        'service) ALERTS{alertstate=~"pending|firing"} offset 5m))'
    )
    assert _number(answers.instant(storm, _at(11))) == 1
    assert answers.instant(storm, _at(30)).series == []


def test_what_an_action_does_begins_at_its_end() -> None:
    answers = _answers()
    then = GivenSeries.model_validate({"bad": {"share": "0.01"}})
    answers.change(changed(answers.pieces, 3900.0, then, MINUTE))
    assert _number(answers.instant(BAD % "1m", _at(65))) == pytest.approx(300)
    assert _number(answers.instant(BAD % "1m", _at(66))) == pytest.approx(6)
